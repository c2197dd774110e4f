"""Each link of each document leads to a file or a heading that is there. No network: outside links are not opened."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("docs", "examples", "benchmarks", "src", "tests")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])
PICTURES = sorted(path for path in (ROOT / "docs" / "images").iterdir() if path.suffix in (".png", ".svg"))


def prose(document: Path) -> str:
    """The text without code, in which brackets are no links."""
    text = document.read_text(encoding="utf-8")
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def links(document: Path) -> Iterator[str]:
    """The targets of links, pictures and reference definitions."""
    text = prose(document)
    yield from re.findall(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)", text)
    yield from re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, re.MULTILINE)
    yield from re.findall(r"<(?:img|a)\s[^>]*?(?:src|href)=\"([^\"]+)\"", text)


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives to the headings."""
    text = re.sub(r"^(```|~~~).*?^\1", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found: dict[str, int] = {}
    names: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        names.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return names


def broken(document: Path) -> list[str]:
    """Links of one document that lead nowhere."""
    wrong: list[str] = []
    for link in links(document):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and (target.suffix != ".md" or anchor not in anchors(target))):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    assert broken(document) == []


def test_the_checker_finds_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One\n\n## Two `words`, 2\n\n## One\n\n```\n# no heading\n```\n")
    (tmp_path / "here.md").write_text(
        "[a](there.md) [b](there.md#two-words-2) [c](there.md#one-1) [d](https://example.com/x) `[e](gone.md)`\n"
        "```\n[f](gone.md)\n```\n"
        "[g](gone.md) ![h](gone.png) [i](there.md#three) [j](#nowhere) [k](there.md#no-heading)\n\n[l]: lost.md\n"
    )
    assert broken(tmp_path / "here.md") == [
        *("gone.md", "gone.png", "there.md#three", "#nowhere", "there.md#no-heading"),
        "lost.md",
    ]


def test_every_page_can_be_reached_from_the_start_page() -> None:
    """By links from README and docs/index.md."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md", ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if "://" not in link]
        waiting += [target for target in targets if target.suffix == ".md" and target.exists()]
    assert sorted(path.name for path in (ROOT / "docs").rglob("*.md") if path not in seen) == []


def test_every_picture_is_shown() -> None:
    shown = {(page.parent / link).resolve() for page in DOCUMENTS for link in links(page) if "://" not in link}
    assert [path.name for path in PICTURES if path not in shown] == []
