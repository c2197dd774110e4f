"""WikiExtractor's plain output: pages one after another as `<doc id="12" url="..." title="Alpha">`, text, `</doc>`."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from questwell.retrieval.corpora.packed import text_of

WIKI_START = re.compile(rb"\s*<doc id=\"[^\"\n]*\"[^>\n]*>")
_ATTRIBUTE = re.compile(r"(\w+)=\"([^\"]*)\"")
_TITLE = re.compile(r" title=\"(.*)\">\s*$")
"""The last attribute: quotes in it are not escaped."""
Found = tuple[str, dict[str, Any] | None, str]


def read_wiki(path: Path) -> Iterator[Found]:
    """(place, record, problem) of each page; problems of the file as `packed.FAULTS`.

    The title, which a page repeats as its first line, is not part of its text.
    """
    began, record, lines = 0, dict[str, Any](), list[str]()
    with text_of(path) as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield f"line {number}", None, f"not UTF-8 ({error.reason})"
                began = 0
                continue
            if line.startswith("<doc id="):
                if began:
                    yield f"line {began}", None, "the page has no </doc> before the next one"
                began, record, lines = number, _attributes(line), []
            elif line.strip() == "</doc>":
                if began:
                    yield f"line {began}", {**record, "text": _text(record, lines)}, ""
                began = 0
            elif began:
                lines.append(line)
            elif line.strip():
                yield f"line {number}", None, "it is in no page: a page begins with <doc id="
    if began:
        yield f"line {began}", None, "the page has no </doc>: the file was cut"


def _attributes(line: str) -> dict[str, Any]:
    found = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(line)}
    title = _TITLE.search(line)
    return {**found, "title": html.unescape(title[1])} if title else found


def _text(record: dict[str, Any], lines: list[str]) -> str:
    text = html.unescape("\n".join(lines)).strip()
    first, _, rest = text.partition("\n")
    return rest.strip() if first.strip() == str(record.get("title", "")).strip() else text
