"""What MkDocs is told while it builds the site: pages from outside docs/, and links to and from them."""

import importlib
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
OUTSIDE = {
    **{name: name for name in ("CONTRIBUTING.md", "AGENTS.md", "CHANGELOG.md", "SECURITY.md")},
    "examples/from_corpus_to_agent/README.md": "examples/from_corpus_to_agent.md",
    "examples/real_text/README.md": "examples/real_text.md",
}
"""Pages that are not in docs/: where each is in the repository, and where on the site."""


def on_files(files: Any, *, config: Any) -> Any:  # noqa: ANN401  MkDocs is in another environment
    """Add the pages from outside."""
    make: Any = importlib.import_module("mkdocs.structure.files").File
    for there, here in OUTSIDE.items():
        files.append(make.generated(config, here, content=(ROOT / there).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:  # noqa: ANN401
    """Links lead to where the pages are on the site; a file that is no page is only named."""
    return relinked(markdown, page.file.src_uri)


def relinked(markdown: str, page: str) -> str:
    """The text of a page of the site, with its links as they are there."""
    there = {here: place for place, here in OUTSIDE.items()}.get(page, f"docs/{page}")

    def link(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        if re.match(r"[a-z][a-z0-9+.-]*:", target) or not target:
            return found[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(there), target))
        if place.startswith("docs/"):
            here = place.removeprefix("docs/")
        elif place in OUTSIDE:
            here = OUTSIDE[place]
        else:
            return text
        return f"[{text}]({posixpath.relpath(here, posixpath.dirname(page) or '.')}{anchor})"

    parts = re.split(r"(^```.*?^```)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(
        part if at % 2 else re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)", link, part)
        for at, part in enumerate(parts)
    )
