"""Reads the Free On-line Dictionary of Computing (GFDL) from Debian's dict-foldoc: 12,000 cross-referenced entries."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from questwell.assets import Deb, LocalFile, Progress, assemble
from questwell.assets.progress import silent
from questwell.retrieval.corpora.documents import Document, clean, named_by

NAME = "foldoc"
LICENCE = "GFDL-1.1-or-later"
FILE = "foldoc.dict"
SHA256 = "c2dfea8326f0adb810f3624a8c0de234134c927434fb74737275719b0085a1be"
SIZE = 5_578_809
IDENTITY = f"{NAME} {SHA256}"
MEMBER = "usr/share/dictd/foldoc.dict.dz"
SOURCES = (LocalFile(Path("/") / MEMBER, unpack=True), Deb("dict-foldoc", MEMBER, unpack=True))
ADVICE = "It is read from Debian's package dict-foldoc 20230119-1; install that, or take another corpus (factbook)."

ABOUT_ITSELF = frozenset({"Free On-line Dictionary of Computing", "Acknowledgements", "Missing definition"})
"""Entries about the dictionary itself, which are left out."""
END = "\nDictionary.debian"
"""The line at which the entries end and Debian's additions begin."""

UPDATED = re.compile(r"\s*\(\d{4}-\d\d?-\d\d?\)\.?\s*$")
"""The date on which an entry was last updated; it is not a fact about its subject."""
LINK = re.compile(r"\{(?P<name>[^{}()]*)(?:\((?P<target>[^{}]*)\))?\}")
URL = re.compile(r"\w+://|^(?:rfc|news|mailto|ftp|gopher):|\.html?(?:#\w+)?$|^/")
CATEGORY = re.compile(r"^(?P<number>\d+\.\s+)?<(?P<category>[^<>@]+)>\s*")
PRONUNCIATION = re.compile(
    r"^(?P<before>(?:\d+\.\s+)?(?:\([^()]*\)\s+)?)(?:/[^/]{1,40}/(?:,?\s+(?:or|also|and))?,?\s+)+"
)
EDITORIAL = re.compile(r"\s*\[[^\[\]]*\?\]")
"""An open question of the editor, such as `[Details?]`."""
MAIL = re.compile(r"\s*<[^<>\s]+@[^<>\s]+>")
SOURCE_NOTE = re.compile(r"^\[.*\]\W*$", re.DOTALL)
"""A paragraph that is only a citation."""
CONTACT = re.compile(
    r"^(?:E-?mail|Address|Tel(?:ephone)?|Fax|Mailing lists?|(?:Usenet )?newsgroups?|FTP|Home|Mail|Web)\b[^.]{0,20}:",
    re.IGNORECASE,
)
EMPHASIS = re.compile(r"(?<!\w)__(\w[^_\n]*)__(?!\w)")
TRAILING_CONTACT = re.compile(r"\s*\bE-?mail(?: address)?:.*$", re.DOTALL)
NO_BRACES = str.maketrans("", "", "{}")
"""Removes braces that are left in running text; they are typing errors in links."""
ADDRESS = "\ue000"
"""Placeholder for an address until the words around it are corrected; a private-use character that no entry has."""
INTRODUCED_ADDRESS = re.compile(
    rf"\s*\(\s*{ADDRESS}\s*\)|\s*(?:\b(?:at|by|from|see|to|via)\s+)?{ADDRESS}", re.IGNORECASE
)
SENTENCE = 8
"""A paragraph that ends with an address and has at least this many words is a sentence, not the name of a page."""
LOOSE_MARK = re.compile(r"\s+([.,;:])(?=\s|$)|^[.,;:]\s+")
DOUBLE_STOP = re.compile(r"(?<!\.)\.\.(?!\.)")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it is written in the dictionary."""

    headwords: tuple[str, ...]
    """Title of the entry, then other names of the same thing."""
    body: str
    """Text of the entry with markup, indented by three spaces."""


def fetch(progress: Progress = silent) -> Path:
    """Path of the dictionary, fetched if it is not cached."""
    return assemble(FILE, SHA256, SIZE, SOURCES, progress=progress, advice=ADVICE)


def read_foldoc() -> Iterator[Document]:
    """One document per entry, in the order of the dictionary."""
    yield from documents(fetch().read_text(encoding="utf-8"))


def documents(dictionary: str) -> Iterator[Document]:
    """The entries as documents: plain text, with links to the titles of other entries."""
    entries = [entry for entry in parse(dictionary) if entry.headwords[0] not in ABOUT_ITSELF]
    titles = {named_by(entry.headwords[0]).casefold() for entry in entries}
    taken: Counter[str] = Counter()
    for entry in entries:
        title = entry.headwords[0]
        slug = re.sub(r"\W+", "-", title.lower()).strip("-") or "sign"
        taken[slug] += 1
        text, names = plain(entry.body)
        own = named_by(title).casefold()
        if text.casefold() == f"see {own}.":  # an alias of itself
            continue
        yield Document(
            id=f"{NAME}/{slug}" + (f"~{taken[slug]}" if taken[slug] > 1 else ""),
            title=title,
            text=clean(text),
            licence=LICENCE,
            links=tuple(name for name in names if name.casefold() in titles and name.casefold() != own),
        )


def parse(dictionary: str) -> Iterator[Entry]:
    """The entries of the dictionary in order.

    Headwords begin at column 0 after an empty line or an update date. A wrapped link can also put running text at
    column 0, but only after other text or a line of spaces.
    """
    headwords: list[str] = []
    body: list[str] = []
    before = ""
    for line in dictionary.split(END)[0].split("\n"):
        heads = line[:1].strip() != "" and (before == "" or not body or UPDATED.fullmatch(before) is not None)
        if heads:
            if body:
                yield from _entry(headwords, body)
                headwords, body = [], []
            headwords.append(line.strip())
        elif headwords:
            body.append(line)
        before = line
    yield from _entry(headwords, body)


def _entry(headwords: list[str], body: list[str]) -> Iterator[Entry]:
    if headwords and not headwords[0].startswith("00-database"):
        names = " ".join(headwords).split("%%%") if any("%%%" in word for word in headwords) else headwords
        yield Entry(tuple(name.strip() for name in names), "\n".join(body))


def plain(body: str) -> tuple[str, tuple[str, ...]]:
    """(text without markup, names that are marked as links in it, without repeats)."""
    names: dict[str, None] = {}
    paragraphs: list[str] = []
    for block in body.strip("\n").split("\n\n"):
        lines = [line.removeprefix("   ") for line in block.split("\n") if line.strip()]
        if lines and lines[0].startswith(" ") and not CATEGORY.match(lines[0].strip()):
            paragraphs.append(_drop_addresses("\n".join(_unlink(line, names) for line in lines)))
        elif text := _prose(" ".join(line.strip() for line in lines), names):
            paragraphs.append(text)
    if len(paragraphs) == 1 and paragraphs[0].strip(". ") in names:  # only a link: the entry is an alias
        paragraphs = [f"See {paragraphs[0].strip('. ')}."]
    text = "\n".join(paragraphs)
    return text, tuple(name for name in names if name in text)


def _prose(text: str, names: dict[str, None]) -> str:
    """A paragraph without markup; empty if it only names addresses, or the date or source of the entry."""
    text = EDITORIAL.sub("", UPDATED.sub("", text))
    if SOURCE_NOTE.match(text) or CONTACT.match(LINK.sub(r"\g<name>", text)):
        return ""
    found: dict[str, None] = {}
    text = _unlink(TRAILING_CONTACT.sub("", text), found)
    if _is_list_of_pages(text):
        return ""
    text = _drop_addresses(MAIL.sub(f" {ADDRESS}", text)).translate(NO_BRACES)
    text = CATEGORY.sub(lambda match: f"{match['number'] or ''}({match['category'].strip()}) ", text)
    text = PRONUNCIATION.sub(lambda match: match["before"], text)
    text = " ".join(EMPHASIS.sub(r"\1", text).split())
    text = DOUBLE_STOP.sub(".", LOOSE_MARK.sub(r"\1", text))
    if not re.search(r"\w", re.sub(r"^(?:\d+\.\s*)?\([^()]*\)", "", text)):
        return ""
    names.update(found)
    return text


def _unlink(text: str, names: dict[str, None]) -> str:
    """`text` with links replaced by their names and addresses by `ADDRESS`."""

    def replace(link: re.Match[str]) -> str:
        name = " ".join(link["name"].split())
        target = link["target"]
        if URL.search(target or name):
            return f"{name} {ADDRESS}" if target and name else ADDRESS
        if name:
            names.setdefault(name)
        return name

    return LINK.sub(replace, text)


def _is_list_of_pages(text: str) -> bool:
    """Whether a paragraph only lists names of web pages, each followed by its address."""
    *named, rest = text.split(ADDRESS)
    return bool(named) and not re.search(r"\w", rest) and all(len(name.split()) < SENTENCE for name in named)


def _drop_addresses(text: str) -> str:
    return INTRODUCED_ADDRESS.sub("", text) if ADDRESS in text else text
