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


def on_page_content(html: str, *, page: Any, config: Any, files: Any) -> str:  # noqa: ANN401
    """Short code is not broken at a line's end, and a line of commands that is has its rest indented."""
    html = re.sub(r"(<pre><span></span><code>)([^<]+)\n(</code>)", _lines, html)
    return re.sub(r"<code>([^<]{1,30})</code>", r'<code class="short">\1</code>', html)


def _lines(block: re.Match[str]) -> str:
    lines = (f'<span class="line">{line}\n</span>' for line in block[2].split("\n"))
    return f"{block[1]}{''.join(lines)}{block[3]}"


def on_post_page(output: str, *, page: Any, config: Any) -> str:  # noqa: ANN401
    """Refuse a page that would load something from another server."""
    if found := re.search(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"?(https?://[^\s\">]+)", output):
        raise ValueError(f"{page.file.src_uri} loads {found[1]}: the site needs no network")
    return output


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
