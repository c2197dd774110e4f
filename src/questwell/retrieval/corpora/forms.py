"""The format of a file, detected from its content; the ending of its name decides only unclear cases."""

import re
import zipfile
from enum import StrEnum
from pathlib import Path

from questwell.retrieval.corpora import packed
from questwell.retrieval.corpora.fields import TEXTS


class Form(StrEnum):
    """The contents of a file."""

    JSON = "JSON"
    TABLE = "CSV or TSV"
    PARQUET = "parquet"
    ARROW = "arrow"
    TEXT = "text"
    MARKDOWN = "Markdown"
    RST = "reStructuredText"
    HTML = "HTML"
    PDF = "PDF"
    DOCX = "docx"
    OTHER = "something else"


RECORDS = frozenset({Form.JSON, Form.TABLE, Form.PARQUET, Form.ARROW})
"""Forms of which one file holds many documents."""
DOCUMENTS = frozenset({Form.TEXT, Form.MARKDOWN, Form.RST, Form.HTML, Form.PDF, Form.DOCX})
"""Forms of which a file is one document."""
KNOWN = (
    "JSON lines, a JSON array, CSV, TSV, parquet or arrow (all but the last two also as .gz, .bz2, .zst or .xz), "
    ".txt, .md, .rst, .html, .pdf or .docx"
)

BY_SUFFIX = {
    ".json": Form.JSON, ".jsonl": Form.JSON, ".ndjson": Form.JSON, ".jsonlines": Form.JSON,
    ".csv": Form.TABLE, ".tsv": Form.TABLE,
    ".txt": Form.TEXT, ".text": Form.TEXT,
    ".md": Form.MARKDOWN, ".markdown": Form.MARKDOWN, ".mdx": Form.MARKDOWN,
    ".rst": Form.RST,
    ".html": Form.HTML, ".htm": Form.HTML, ".xhtml": Form.HTML,
    ".parquet": Form.PARQUET, ".arrow": Form.ARROW, ".pdf": Form.PDF, ".docx": Form.DOCX,
}  # fmt: skip
MAGIC = (
    (b"PAR1", Form.PARQUET),
    (b"ARROW1", Form.ARROW),
    (b"\xff\xff\xff\xff", Form.ARROW),  # a stream of record batches, as `datasets` keeps them
    (b"%PDF-", Form.PDF),
)
JSON_START = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{"\]])')
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""What a checkout without Git LFS has in place of a large file."""
HTML_START = re.compile(rb"\s*(?:<!doctype\s+html|<html[\s>])", re.IGNORECASE)


def form_of(path: Path) -> Form:
    """What the file holds.

    Raises:
        OSError: it cannot be read or unpacked.
    """
    start = packed.head(path)
    for magic, form in MAGIC:
        if start.startswith(magic):
            return form
    if start.startswith(LFS_POINTER):
        return Form.OTHER
    if start.startswith(b"PK\x03\x04"):
        return Form.DOCX if _is_docx(path) else Form.OTHER
    named = BY_SUFFIX.get(suffix_of(path), Form.OTHER)
    if start.startswith(packed.UTF16):
        start = start[: len(start) // 2 * 2].decode("utf-16", "replace").encode()
    if b"\0" in start[:4096]:
        return named if named in (Form.PARQUET, Form.ARROW, Form.PDF, Form.DOCX) else Form.OTHER
    start = start.removeprefix(b"\xef\xbb\xbf")
    if JSON_START.match(start):
        return Form.JSON
    if HTML_START.match(start):
        return Form.OTHER if named in RECORDS else Form.HTML
    if named in (Form.TEXT, Form.OTHER) and _is_table(start):
        return Form.TABLE
    return named


def suffix_of(path: Path) -> str:
    """The ending of the name in small letters, without that of a packer: `.jsonl` of `C.JSONL.gz`."""
    name = path.name.lower()
    for packer in packed.SUFFIXES:
        name = name.removesuffix(packer)
    return Path(name).suffix


def _is_docx(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "word/document.xml" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return path.suffix.lower() == ".docx"


def _is_table(start: bytes) -> bool:
    """Whether the first line is a row of column names, tabs between them, one of which names a text."""
    names = start.split(b"\n", 1)[0].strip().decode("utf-8", "replace").lower().split("\t")
    return len(names) > 1 and any(name.strip('" ') in TEXTS for name in names)


def hint(path: Path) -> str:
    """What a file of `OTHER` is and what to do with it; empty if that is not known."""
    start = packed.head(path)
    for magic, said in _OTHERS:
        if start.startswith(magic):
            return said
    if HTML_START.match(start):
        return "it is a web page, perhaps in place of a file that was to be downloaded"
    if start[257:262] == b"ustar":
        return "it is a tar archive: unpack it first"
    return "it holds NUL bytes, as no text does" if b"\0" in start[:4096] else ""


_OTHERS = (
    (LFS_POINTER, "it is a pointer of Git LFS, not the file itself: run git lfs pull"),
    (b"PK\x03\x04", "it is a zip archive: unpack it first"),
    (b"7z\xbc\xaf", "it is a 7z archive: unpack it first"),
    (b"SQLite format 3\0", "it is an SQLite database: write its rows as JSON lines first"),
)
