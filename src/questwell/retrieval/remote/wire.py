"""Converts passages to documents of Search-R1's `POST /retrieve` and back. Server and client share this file.

A document is `{"id", "doc_id", "contents"}`, where `contents` is the title in quotes, a line end and the text.
`doc_id`, the id of the document, is our extension. Other servers differ: some send no id, some
send `title` and `text` as fields. Their replies are not trusted.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, cast

from questwell.errors import MalformedHits
from questwell.retrieval.corpora.documents import clean, one_line
from questwell.text.unicode import without_surrogates
from questwell.types.corpus import Hit, Passage

_COUNT = 16
_FORMS = 2
"""Number of JSON forms of an answer that are kept."""
_EMPTY_BYTES, _HIT_BYTES = 600, 1_000
"""Bytes of the Python objects for a reply and for a hit, without the text."""
_TIMES = 2 + 2 * _FORMS
"""Bytes per character: two if the text is not Latin, and as much in each form, which may contain it twice."""


class Answer:
    """The hits of one query with their JSON, which is made once per requested form."""

    __slots__ = ("_encoded", "hits", "weight")

    def __init__(self, hits: tuple[Hit, ...]) -> None:
        self.hits = hits
        self._encoded: dict[tuple[bool, bool], bytes] = {}
        self.weight = _EMPTY_BYTES + sum(_HIT_BYTES + _TIMES * _characters(hit.passage) for hit in hits)
        """Estimated maximum size in memory in bytes, for the hits and two forms of JSON."""

    def encoded(self, *, scores: bool, whole: bool) -> bytes:
        """The JSON list of documents; `whole` adds every field of the passage, which is our extension."""
        form = (scores, whole)
        if form not in self._encoded:
            if len(self._encoded) == _FORMS:
                self._encoded.clear()
            documents = [document(hit.passage, whole=whole) for hit in self.hits]
            listed = (
                [{"document": held, "score": hit.score} for held, hit in zip(documents, self.hits, strict=True)]
                if scores
                else documents
            )
            self._encoded[form] = encode(listed)
        return self._encoded[form]


def _characters(passage: Passage) -> int:
    more = sum(len(key) + len(value) for key, value in passage.metadata) + sum(map(len, passage.links))
    return len(passage.title) + len(passage.text) + more


def encode(value: object) -> bytes:
    """`value` as JSON; lone surrogates become U+FFFD."""
    return without_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


def document(passage: Passage, *, whole: bool = False) -> dict[str, object]:
    """`passage` as a document of the protocol."""
    plain: dict[str, object] = {
        "id": passage.id,
        "doc_id": passage.document_id,
        "contents": f'"{passage.title}"\n{passage.text}',
    }
    return plain | asdict(passage) if whole else plain


def read_hits(reply: object, k: int) -> tuple[Hit, ...]:
    """The hits in one inner list of a reply, with or without scores: at most `k` with unique ids, best first.

    Hits without scores get scores that count down from the length of the list, to keep their order.

    Raises:
        MalformedHits: it is not a list of documents.
    """
    if not isinstance(reply, list):
        raise MalformedHits(f"expected a list of documents, not {_shown(reply)}")
    entries = cast(list[object], reply)
    found: list[tuple[float, Passage]] = []
    for place, entry in enumerate(entries):
        score: object = len(entries) - place
        if isinstance(entry, dict) and "document" in entry:
            scored = cast(dict[str, object], entry)
            score, held = scored.get("score"), scored["document"]
        else:
            held = cast(object, entry)
        if isinstance(score, bool) or not isinstance(score, int | float) or score != score:
            raise MalformedHits(f"a score must be a number, not {_shown(score)}")
        found.append((float(score), read_passage(held)))
    return ranked(found, k)


def ranked(found: Iterable[tuple[float, Passage]], k: int) -> tuple[Hit, ...]:
    """The best `k` scored passages as hits, without repeated ids. Equal scores keep their order."""
    best: dict[str, tuple[float, Passage]] = {}
    for score, passage in sorted(found, key=lambda pair: -pair[0]):
        best.setdefault(passage.id, (score, passage))
    kept = list(best.values())[: max(k, 0)]
    return tuple(Hit(passage, score, rank) for rank, (score, passage) in enumerate(kept, 1))


def read_passage(held: object) -> Passage:
    """The passage in one document of either layout.

    Raises:
        MalformedHits: the document has no text.
    """
    if not isinstance(held, dict | str):
        raise MalformedHits(f"a document must be an object, not {_shown(held)}")
    fields = {"contents": held} if isinstance(held, str) else cast(dict[str, Any], held)
    title, text = fields.get("title"), fields.get("text")
    if not isinstance(text, str):
        contents = fields.get("contents")
        if not isinstance(contents, str):
            raise MalformedHits(f"a document must have 'contents' or 'text', not {_shown(sorted(fields))}")
        first, newline, rest = clean(contents).partition("\n")
        title, text = (title if isinstance(title, str) else first, rest) if newline else (title, contents)
    title = one_line(title) if isinstance(title, str) else ""
    text = clean(text)
    identifier = fields.get("id", fields.get("docid"))
    named = isinstance(identifier, str | int) and not isinstance(identifier, bool) and str(identifier).strip()
    identifier = clean(str(identifier)) if named else stable_id("text", title, text)
    offset, links = fields.get("offset"), fields.get("links")
    return Passage(
        id=identifier,
        title=title,
        text=text,
        document_id=_given(fields.get("document_id", fields.get("doc_id"))) or _string(fields.get("url")) or identifier,
        offset=offset if isinstance(offset, int) else 0,
        licence=_string(fields.get("licence")),
        links=tuple(link for link in cast(list[object], links) if isinstance(link, str))
        if isinstance(links, list)
        else (),
        metadata=_pairs(fields.get("metadata")),
    )


def _pairs(held: object) -> tuple[tuple[str, str], ...]:
    """Metadata as (key, value) pairs of strings; other values are left out."""
    pairs: list[tuple[str, str]] = []
    for pair in cast(list[object], held) if isinstance(held, list) else []:
        match pair:
            case [str() as key, str() as value]:
                pairs.append((key, value))
            case _:
                pass
    return tuple(pairs)


def stable_id(kind: str, *parts: str) -> str:
    """An id that depends only on `parts`, so that the same text always has the same id."""
    digest = hashlib.sha256(without_surrogates("\0".join(parts)).encode()).hexdigest()
    return f"{kind}:{digest[:_COUNT]}"


def _given(value: object) -> str:
    """An id from a reply as a string; empty if there is none."""
    return clean(value) if isinstance(value, str) and value.strip() else ""


def _string(value: object) -> str:
    return one_line(value) if isinstance(value, str) else ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
