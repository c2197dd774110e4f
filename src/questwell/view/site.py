"""The data that all pages share: the runs, their text indexes, and the templates."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from questwell.errors import StoreError
from questwell.recipes.reports.browse import words_path
from questwell.recipes.reports.certified import certificate_lines
from questwell.recipes.reports.runs import FoundRun, find_runs
from questwell.recipes.reports.summary import why
from questwell.recipes.runs.description import info_of
from questwell.store.reader import RunReader
from questwell.store.textsearch import TextIndex
from questwell.text.money import dollars
from questwell.view import markup

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
_WORDS_WAIT_S = 0.2
"""Seconds that a page waits for a run's text index; after that it shows the matches found so far."""


@dataclass(slots=True)
class Site:
    """The runs that the server shows."""

    paths: Sequence[Path]
    reviewer: str
    """Default reviewer's name in the form."""
    runs: dict[str, FoundRun] = field(default_factory=dict[str, FoundRun])
    _following: dict[str, threading.Thread] = field(default_factory=dict[str, threading.Thread])
    _stopped: bool = False

    def __post_init__(self) -> None:
        """Find the runs; raises StoreError if there are none."""
        self.look()

    def look(self) -> None:
        """Find runs that were started since the last look."""
        self.runs = {found.name: found for found in find_runs(self.paths)}

    def run(self, name: str) -> FoundRun:
        """Return the run of that name; raises StoreError if there is none."""
        if name not in self.runs:
            self.look()
        if name not in self.runs:
            raise StoreError(f"there is no run {name!r} here")
        return self.runs[name]

    def words(self, found: FoundRun) -> tuple[TextIndex, bool]:
        """Return a run's text index, and whether it is complete; it is built in the background."""
        with RunReader(found.folder) as run:
            path = words_path(info_of(run).run_id)
        thread = self._following.get(found.name)
        if thread is None or not thread.is_alive():
            thread = threading.Thread(target=self._follow, args=(found.folder, path), daemon=True)
            self._following[found.name] = thread
            thread.start()
        thread.join(_WORDS_WAIT_S)
        return TextIndex(path), not thread.is_alive()

    def close(self) -> None:
        """Stop the background work."""
        self._stopped = True
        for thread in self._following.values():
            thread.join(5)

    def _follow(self, folder: Path, path: Path) -> None:
        index = TextIndex(path)
        try:
            with RunReader(folder) as run:
                index.follow(run, lambda: self._stopped)
        finally:
            index.close()


def templates() -> Environment:
    """Return the template environment: all values are escaped, and an undefined name is an error."""
    found = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=markup.finish,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "attr": markup.attribute,
        "raw": markup.raw,
        "marked": markup.marked,
        "diff": markup.word_diff,
        "count": _count,
        "money": dollars,
        "percent": _percent,
        "share": _share,
        "estimate": _estimate,
        "words": _words,
        "path": _path,
        "certificate_lines": certificate_lines,
        "why": why,
        "query": _query,
        "chart": Markup,  # only for SVG of `recipes/reports/svg.py`, which escapes its texts
    }
    found.filters.update(filters)
    return found


def _words(text: str) -> str:
    return text.replace("_", " ")


def _path(text: str) -> str:
    return quote(text, safe="")


def _query(values: dict[str, object]) -> str:
    kept = {name: value for name, value in values.items() if value not in ("", None)}
    return f"?{urlencode(kept)}" if kept else ""


def _count(number: float | None) -> str:
    return "unknown" if number is None else f"{number:,.0f}"


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.0f} %"


def _share(share: Any) -> str:  # noqa: ANN401  a Proportion
    if share.fraction is None or share.low is None or share.high is None:
        return "-"
    return f"{100 * share.fraction:.0f} [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def _estimate(found: Any, scale: float = 100) -> str:  # noqa: ANN401  an Estimate
    if found.mean is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{scale * found.mean:.1f}"
    return f"{scale * found.mean:.1f} [{scale * found.low:.1f}, {scale * found.high:.1f}]"
