"""Detects the format of a file from its content; the ending of its name decides only unclear cases."""

import json
import re
import zipfile
from enum import StrEnum
from pathlib import Path

from questwell.retrieval.corpora import packed
from questwell.retrieval.corpora.fields import IDS, TEXTS, TITLES
from questwell.retrieval.corpora.wiki import WIKI_START


class Form(StrEnum):
    """The format of a file."""

    JSON = "JSON"
    TABLE = "CSV or TSV"
    PARQUET = "parquet"
    ARROW = "arrow"
    WIKI = "WikiExtractor's pages"
    TEXT = "text"
    MARKDOWN = "Markdown"
    RST = "reStructuredText"
    HTML = "HTML"
    PDF = "PDF"
    DOCX = "docx"
    OTHER = "something else"


RECORDS = frozenset({Form.JSON, Form.TABLE, Form.PARQUET, Form.ARROW, Form.WIKI})
"""Formats in which one file contains many documents."""
DOCUMENTS = frozenset({Form.TEXT, Form.MARKDOWN, Form.RST, Form.HTML, Form.PDF, Form.DOCX})
"""Formats in which one file is one document."""
KNOWN = (
    "JSON lines, a JSON array, CSV, TSV, parquet, arrow or WikiExtractor's pages (parquet and arrow unpacked, the rest "
    "also as .gz, .bz2, .zst or .xz), "
    ".txt, .md, .rst, .html, .pdf or .docx"
)

BY_SUFFIX = {
    ".json": Form.JSON, ".jsonl": Form.JSON, ".ndjson": Form.JSON, ".jsonlines": Form.JSON,
    ".csv": Form.TABLE, ".tsv": Form.TABLE, ".tab": Form.TABLE, ".psv": Form.TABLE,
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
JSON_START = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{"\]]|"(?:[^"\\\n]|\\.)*"[ \t\r]*\n\s*")')
"""Of strings at least two lines: a text may begin with a quotation."""
NOT_RECORDS = (".ipynb", ".canvas", ".geojson")
"""Endings of JSON files that hold no records."""
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""Beginning of the pointer that replaces a large file in a checkout without Git LFS."""
HTML_START = re.compile(rb"\s*(?:<!doctype\s+html|<html[\s>])", re.IGNORECASE)


def form_of(path: Path) -> Form:
    """The format of the file.

    Raises:
        OSError: the file cannot be read or unpacked.
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
    if suffix_of(path) in NOT_RECORDS:
        return Form.OTHER
    if JSON_START.match(start) and (named not in DOCUMENTS or _begins_as_json(start)):
        return Form.JSON
    if WIKI_START.match(start):
        return Form.WIKI
    if HTML_START.match(start):
        return Form.OTHER if named in RECORDS else Form.HTML
    if named in (Form.TEXT, Form.OTHER) and _is_table(start):
        return Form.TABLE
    return named


def _begins_as_json(start: bytes) -> bool:
    """Whether a file named like a text holds JSON: a note may begin with `[[a link]]`, `[ ]` or a quotation."""
    text = start.decode("utf-8", "replace").lstrip()
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        return len(start) == packed.HEAD and (error.msg.startswith("Unterminated") or error.pos > len(text) - 9)
    except (ValueError, RecursionError):
        return False
    rest = text[end:].lstrip(", \t\r\n")
    if isinstance(value, str):
        lines = text.split("\n")[: -1 if len(start) == packed.HEAD else None]
        return all(line.startswith('"') and line.rstrip(", \t\r").endswith('"') for line in lines if line.strip())
    return bool(value) and (not rest or rest[0] in '{["')


def suffix_of(path: Path) -> str:
    """The file ending in lower case, without that of a compressor: `.jsonl` for `C.JSONL.gz`."""
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
    """Whether the first line is a row of column names, one of which names a text; without tabs only known names."""
    line = start.split(b"\n", 1)[0].strip().decode("utf-8", "replace").lower()
    names = [name.strip('" ') for name in line.split("\t")]
    if len(names) > 1:
        return any(name in TEXTS for name in names)
    for delimiter in ",;|":
        names = [name.strip('" ') for name in line.split(delimiter)]
        if len(names) > 1 and all(name in _COLUMNS for name in names):
            return any(name in TEXTS for name in names) and any(name in IDS or name in TITLES for name in names)
    return False


def hint(path: Path) -> str:
    """Says what a file of the format `OTHER` is and what to do with it; empty if that is not known."""
    start = packed.head(path)
    suffix = suffix_of(path)
    for magic, said in _OTHERS:
        if start.startswith(magic):
            return said
    for suffixes, said in _BY_SUFFIX:
        if suffix in suffixes:
            return said
    for pattern, said in _PATTERNS:
        if pattern.match(start):
            return said
    if start.startswith(b"PK\x03\x04"):
        return "it is a zip archive: unpack it first"
    if start[257:262] == b"ustar":
        return "it is a tar archive: unpack it first"
    if b"\0" in start[:4096]:
        return "it contains NUL bytes, so it is not text; if it is UTF-16 or UTF-32, save it as UTF-8"
    return "it is empty" if not start.strip() else "to read it as plain text, name it .txt, or .md if it is Markdown"


_COLUMNS = {*IDS, *TITLES, *TEXTS, "url", "metadata", "licence", "license", "source", "date", "author"}
_OTHERS = (
    (LFS_POINTER, "it is a pointer of Git LFS, not the file itself: run git lfs pull"),
    (b"7z\xbc\xaf", "it is a 7z archive: unpack it first"),
    (b"Rar!", "it is a rar archive: unpack it first"),
    ((b"\x1f\x8b", b"BZh9", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"), "it is packed twice: unpack it once"),
    ((b"\x04\x22\x4d\x18", b"\x1f\x9d", b"\x5d\0\0"), "it is packed by a program that is not known here: unpack it"),
    (b"SQLite format 3\0", "it is an SQLite database: write its rows as JSON lines first"),
    (b"\xd0\xcf\x11\xe0", "it is an old Office file: save it as docx, PDF or CSV"),
    (b"{\\rtf", "it is RTF: save it as docx, PDF or text"),
    (b"\x93NUMPY", "it is a NumPy array: write its rows as JSON lines first"),
    (b"WARC/", "it is a web archive: write its pages as HTML files or JSON lines first"),
    (b"<mediawiki", "it is a dump of MediaWiki: run WikiExtractor on it, whose output is read"),
)
_BY_SUFFIX = (
    ((".ipynb",), "it is a notebook: export it as Markdown (jupyter nbconvert --to markdown)"),
    ((".canvas", ".geojson"), "it is a drawing or a map, which holds no documents"),
    ((".xlsx", ".xlsm", ".ods"), "it is a spreadsheet: save it as CSV"),
    (
        (".epub", ".odt", ".pptx", ".odp"),
        "it is in a format that is not read: save it as HTML or PDF",
    ),
    ((".eml", ".mbox", ".mhtml", ".mht"), "it is mail or a saved page: save it as text or HTML"),
    ((".pkl", ".pickle", ".pt", ".npz"), "it holds Python objects, which are not loaded: write its rows as JSON lines"),
    ((".lz4", ".lzma", ".br", ".z", ".7z"), "it is packed by a program that is not known here: unpack it"),
    ((".yaml", ".yml", ".toml", ".xml"), "write its records as JSON lines first"),
)
_PATTERNS = (
    (HTML_START, "it is a web page, perhaps from a failed download"),
    (re.compile(rb"\s*<DOC>\s*<DOCNO>"), "it is TREC's form: write its documents as JSON lines first"),
)
