"""Exports a run, or some of its items, as one HTML file that opens without a server. Uses the templates of the pages.

Items are kept in compressed blocks that the browser unpacks when one is opened. The file's own policy lets only its own
script and style run, by their hashes, and nothing be fetched; no path, endpoint or config is in it.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from questwell.errors import StoreError
from questwell.recipes.reports.browse import overview
from questwell.recipes.reports.label_shares import saved
from questwell.recipes.reports.reviewing import reviewed
from questwell.recipes.reports.runs import FoundRun
from questwell.recipes.reports.story import each_listed, story
from questwell.store.reader import RunReader
from questwell.store.records import Play
from questwell.store.reviews import read_reviews
from questwell.text.whole import write_whole
from questwell.types.review import pair_digest
from questwell.view.generated import item_values, overview_values
from questwell.view.site import STATIC, Site, templates

MOST_BYTES = 20_000_000
"""Maximum size of the file in bytes: mail servers refuse more."""
_BLOCK = 20
"""Number of items in a compressed block."""


@dataclass(frozen=True, slots=True)
class Written:
    """The contents of a file."""

    items: int
    left_out: int
    """Number of items that were left out because the file was full."""
    size: int
    """Size of the file in bytes."""


def export_page(site: Site, name: str, out: Path, only: Sequence[str] = (), *, most_bytes: int = MOST_BYTES) -> Written:
    """Write the run `name`, or only the items `only`, into the file `out`; accepted items come first.

    Raises:
        StoreError: there is no such run or item, or the file cannot be written.
    """
    found = site.run(name)
    if not found.kind.plays:
        raise StoreError(f"{name!r} is a run of {found.kind.value}: only runs of generate become one file")
    made = templates()
    blocks: list[str] = []
    shown: list[Play] = []
    count, plays = len(only), (story(found.folder, one).play for one in only)
    if not only:
        count, plays = _drawn(found.folder), each_listed(found.folder)
    room = most_bytes - 200_000 - 400 * count  # the page around the items, and its list
    while part := list(islice(plays, _BLOCK)):
        html = {play.seed_id: _item(made, found, play) for play in part}
        block = base64.b64encode(gzip.compress(json.dumps(html).encode(), mtime=0)).decode()
        if len(block) > room:
            break
        room -= len(block)
        blocks.append(block)
        shown += part
    html = _document(made, found, shown, blocks, count - len(shown), whole=not only)
    content = html.encode("utf-8", "replace")
    try:
        write_whole(out, content)
    except OSError as error:
        raise StoreError(f"{str(out)!r} cannot be written: {error.strerror}") from error
    return Written(len(shown), count - len(shown), len(content))


def _drawn(folder: Path) -> int:
    with RunReader(folder) as run:
        return run.drawn()


def _item(made: Environment, found: FoundRun, play: Play) -> str:
    told = story(found.folder, play.seed_id)
    digest = pair_digest(play.question or "", play.answer or "")
    known = reviewed(read_reviews(found.folder, play.seed_id), digest)
    template = made.get_template("item_body.html")
    return template.render(run=found, static=True, **item_values(found, told, known))


def _document(
    made: Environment, found: FoundRun, shown: Sequence[Play], blocks: Sequence[str], left_out: int, *, whole: bool
) -> str:
    style = (STATIC / "style.css").read_text(encoding="utf-8")
    script = (STATIC / "file.js").read_text(encoding="utf-8")
    head = ""
    if whole:
        values = overview_values(overview(found.folder), saved(found.folder))
        head = made.get_template("overview_body.html").render(run=found, static=True, **values)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return made.get_template("file.html").render(
        name=found.name,
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        overview=Markup(head),
        plays=shown,
        blocks=[Markup(block) for block in blocks],
        size=_BLOCK,
        left_out=left_out,
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
