"""Reads files that are one document each: text, Markdown, reStructuredText, HTML, PDF, docx.

HTML, PDF and docx are read by trafilatura, pypdf and python-docx (extra `documents`; docs/log.md says why these).
"""

import io
import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from questwell.retrieval.corpora.documents import Document, clean, one_line
from questwell.retrieval.corpora.forms import Form
from questwell.retrieval.corpora.front_matter import without_front_matter
from questwell.retrieval.corpora.packed import UTF16, unpacked
from questwell.retrieval.corpora.sources import Member
from questwell.retrieval.extras import optional

EXTRA = "documents"
HEADING = re.compile(r"\A\s*#{1,6}\s+(.+?)\s*#*\s*(?:\n|\Z)")
MARK = r"[=\-~^\"'`#*+.:_]"
UNDERLINED = re.compile(rf"\A\s*(?:({MARK})\1{{2,}}[ \t]*\n)?[ \t]*(\S[^\n]*?)[ \t]*\n({MARK})\3{{2,}}[ \t]*(?:\n|\Z)")
"""A heading of reStructuredText or Markdown: a line with marks under it and perhaps above it."""
MOST_UNPACKED = 1 << 29
"""Maximum size of an unpacked docx in bytes."""


class Read(NamedTuple):
    """Title and text of a file."""

    title: str
    text: str


def read_text(member: Member, licence: str) -> Document:
    """The document in a file.

    Raises:
        ValueError: the file is not valid in its format; the message says why.
        OSError: the file cannot be read; also any other of `packed.FAULTS`.
    """
    match member.form:
        case Form.HTML:
            read = _html(_bytes(member.path))
        case Form.PDF:
            read = _pdf(_bytes(member.path))
        case Form.DOCX:
            read = _docx(_bytes(member.path))
        case form:
            read = _plain(_decode(_bytes(member.path)), form)
    title = one_line(read.title) or member.path.stem
    return Document(id=member.name, title=title, text=clean(read.text), licence=licence)


def _bytes(path: Path) -> bytes:
    with unpacked(path) as file:
        return file.read()


def _decode(content: bytes) -> str:
    encoding = "utf-16" if content[:2] in UTF16 else "utf-8"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(f"not UTF-8 in line {line} ({error.reason}): save it as UTF-8") from error
    if (at := text.find("\0")) >= 0:
        raise ValueError(f"it holds a NUL byte in line {text.count(chr(10), 0, at) + 1}, as no text does")
    return clean(text)


def _plain(text: str, form: Form) -> Read:
    """Title and text. The title is in the front matter, or is the first heading; front matter is removed."""
    if form is Form.TEXT:
        return Read("", text)
    stated = ""
    if form is Form.MARKDOWN:
        stated, text = without_front_matter(text)
    heading = HEADING.match(text) if form is Form.MARKDOWN else None
    if heading is not None:
        title, rest = heading[1], text[heading.end() :]
    elif (heading := UNDERLINED.match(text)) is not None:
        title, rest = heading[2], text[heading.end() :]
    else:
        return Read(stated, text)
    return Read(stated, text) if stated and one_line(stated) != one_line(title) else Read(title, rest)


def _html(content: bytes) -> Read:
    trafilatura: Any = optional("trafilatura", EXTRA)
    try:
        text = trafilatura.extract(content, include_comments=False, include_tables=True, favor_recall=True)
        text = text or trafilatura.html2txt(content)
        if not text and content[:2] not in UTF16:  # a part of a page, which the parser takes only within one
            text = trafilatura.html2txt(b"<html><body>" + content + b"</body></html>")
        about = trafilatura.extract_metadata(content)
    except Exception as error:  # the parser raises many types for a broken page
        raise ValueError(f"not readable HTML ({type(error).__name__}: {error})") from error
    return Read(about.title or "" if about is not None else "", text or "")


def _pdf(content: bytes) -> Read:
    pypdf: Any = optional("pypdf", EXTRA)
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ValueError("the PDF needs a password")
        text = "\n\n".join(page.extract_text() for page in reader.pages)
        title = str((reader.metadata.title if reader.metadata is not None else None) or "")
    except ValueError:
        raise
    except Exception as error:  # the parser raises many types for a broken file
        raise ValueError(f"not a readable PDF ({type(error).__name__}: {error})") from error
    return Read(title, text)


def _docx(content: bytes) -> Read:
    docx: Any = optional("docx", EXTRA)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(part.file_size for part in archive.infolist()) > MOST_UNPACKED:
                raise ValueError(f"a docx that unpacks to more than {MOST_UNPACKED >> 20} MB")
        document = docx.Document(io.BytesIO(content))
        blocks = [_block(block) for block in document.iter_inner_content()]
        title = str(document.core_properties.title or "")
    except ValueError:
        raise
    except Exception as error:  # the parser raises many types for a broken file
        raise ValueError(f"not a readable docx ({type(error).__name__}: {error})") from error
    return Read(title, "\n\n".join(block for block in blocks if block.strip()))


def _block(block: Any) -> str:  # noqa: ANN401  python-docx has no types
    """A paragraph as text, a heading with Markdown marks, or table rows with bars between cells."""
    if hasattr(block, "rows"):
        return "\n".join(
            "| " + " | ".join(" ".join(cell.text.split()) for cell in row.cells) + " |" for row in block.rows
        )
    style = str(getattr(block.style, "name", "") or "")
    return f"## {block.text}" if style.startswith(("Heading", "Title")) and block.text.strip() else str(block.text)
