"""Reads short answers of original Natural Questions records, where they are token ranges of a page.

Three forms: `v1.0-*.jsonl.gz` (`document_tokens`), its simplified form (`document_text`, tokens apart by one space),
and the hub's parquet, in which the annotations are one object of lists.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from questwell.evaluation.records import Record

YES_NO: Mapping[object, str] = {"YES": "yes", "NO": "no", 1: "yes", 0: "no"}
"""Yes or no by the text of the label, or by its class number on the hub; NONE and -1 are neither."""


def is_original(record: Record) -> bool:
    """Return whether the record has the page and its annotations; `nq_open` has only question and answers."""
    return bool(record.get("annotations")) and any(
        record.get(name) for name in ("document_tokens", "document_text", "document")
    )


def question_text(record: Record) -> str:
    """Return the text of the question, which is an object in the hub's files."""
    given: Any = record.get("question_text") or record.get("question") or ""
    return str(cast(Record, given).get("text", "")) if isinstance(given, dict) else str(given)


def title(record: Record) -> str:
    """Return the title of the page; empty if the format has none."""
    page: Any = record.get("document")
    return str((cast(Record, page).get("title") if isinstance(page, dict) else record.get("document_title")) or "")


def short_answers(record: Record) -> tuple[str, ...]:
    """Return the short answers of all annotators without repeats, yes and no included; empty if nobody marked one."""
    words = _words(record)
    found: list[str] = []
    for one in _annotations(record["annotations"]):
        for start, end in _ranges(one.get("short_answers")):
            found.append(" ".join(word for word, is_tag in words[start:end] if not is_tag))
        found.append(YES_NO.get(one.get("yes_no_answer"), ""))
    return tuple(dict.fromkeys(filter(None, (text.strip() for text in found))))


def _words(record: Record) -> list[tuple[str, bool]]:
    """Return each token of the page, and whether it is an HTML tag."""
    page: Any = record.get("document")
    if isinstance(page, dict):
        tokens: Any = cast(Record, page).get("tokens") or {}
        return list(zip(tokens.get("token") or (), map(bool, tokens.get("is_html") or ()), strict=True))
    if listed := cast("Sequence[Record]", record.get("document_tokens") or ()):
        return [(str(one["token"]), bool(one.get("html_token"))) for one in listed]
    return [(word, word.startswith("<") and word.endswith(">")) for word in str(record["document_text"]).split(" ")]


def _annotations(given: Any) -> Iterator[Record]:  # noqa: ANN401  a record is not checked yet
    if isinstance(given, dict):
        columns = cast("Mapping[str, Sequence[Any]]", given)
        names = [name for name in ("short_answers", "yes_no_answer") if name in columns]
        for values in zip(*(columns[name] for name in names), strict=True):
            yield dict(zip(names, values, strict=True))
    else:
        yield from cast("Sequence[Record]", given)


def _ranges(given: Any) -> list[tuple[int, int]]:  # noqa: ANN401  as above
    """Return (first token, token after the last) of each short answer; -1 in a record means no answer."""
    if isinstance(given, dict):
        columns = cast("Mapping[str, Sequence[int]]", given)
        pairs = list(zip(columns.get("start_token") or (), columns.get("end_token") or (), strict=True))
    else:
        pairs = [(one["start_token"], one["end_token"]) for one in cast("Sequence[Record]", given or ())]
    return [(start, end) for start, end in pairs if start >= 0]
