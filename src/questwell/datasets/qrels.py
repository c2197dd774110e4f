"""Exports items as a retrieval test in BEIR's and TREC's layouts: questions, evidence passages and relevance.

The exported corpus contains only the evidence. Passage ids are those of the original corpus, so the qrels are valid for
a search over all of it, which is what should be measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from questwell.types.dataset import Item


def corpus_rows(items: Iterable[Item]) -> list[Mapping[str, object]]:
    """Return the rows of BEIR's `corpus.jsonl`: each evidence passage once."""
    rows: dict[str, Mapping[str, object]] = {}
    for item in items:
        for name, title, text in zip(item.evidence_ids, item.evidence_titles, item.evidence_texts, strict=True):
            rows.setdefault(name, {"_id": trec_id(name), "title": title, "text": text})
    return list(rows.values())


def query_rows(items: Iterable[Item]) -> list[Mapping[str, object]]:
    """Return the rows of BEIR's `queries.jsonl`."""
    return [{"_id": trec_id(item.id), "text": item.question, "metadata": {"answer": item.answer}} for item in items]


def beir_qrels(items: Sequence[Item]) -> str:
    """Return the text of BEIR's `qrels/SPLIT.tsv`, header included; each evidence passage has relevance 1."""
    lines = (f"{trec_id(item.id)}\t{trec_id(passage)}\t1" for item in items for passage in item.evidence_ids)
    return "\n".join(("query-id\tcorpus-id\tscore", *lines)) + "\n"


def trec_qrels(items: Sequence[Item]) -> str:
    """Return TREC qrels as text, with the columns question, 0, passage and relevance."""
    return "".join(f"{trec_id(item.id)} 0 {trec_id(passage)} 1\n" for item in items for passage in item.evidence_ids)


def trec_id(name: str) -> str:
    """Return `name` with white space and `%` percent-encoded, since white space would end a column."""
    return "".join(char if not (char.isspace() or char == "%") else quote(char) for char in name)
