"""Exports items as a retrieval test in BEIR's and TREC's layouts: questions, evidence passages and relevance.

The exported corpus contains only the evidence. Passage ids are those of the original corpus, so the qrels are valid for
a search over all of it, which is what should be measured.
"""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from questwell.types.dataset import Item


def corpus_rows(items: Iterable[Item]) -> Iterator[Mapping[str, object]]:
    """Yield the rows of BEIR's `corpus.jsonl`: each evidence passage once."""
    seen = set[str]()
    for item in items:
        for name, title, text in zip(item.evidence_ids, item.evidence_titles, item.evidence_texts, strict=True):
            if name not in seen:
                seen.add(name)
                yield {"_id": trec_id(name), "title": title, "text": text}


def query_rows(items: Iterable[Item]) -> Iterator[Mapping[str, object]]:
    """Yield the rows of BEIR's `queries.jsonl`."""
    return ({"_id": trec_id(item.id), "text": item.question, "metadata": {"answer": item.answer}} for item in items)


BEIR_HEADER = "query-id\tcorpus-id\tscore\n"
"""First line of BEIR's `qrels/SPLIT.tsv`."""


def beir_qrels(items: Iterable[Item]) -> Iterator[str]:
    """Yield the lines of BEIR's `qrels/SPLIT.tsv` after the header; each evidence passage has relevance 1."""
    return (f"{trec_id(item.id)}\t{trec_id(passage)}\t1\n" for item in items for passage in item.evidence_ids)


def trec_qrels(items: Iterable[Item]) -> Iterator[str]:
    """Yield lines of TREC qrels, with the columns question, 0, passage and relevance."""
    return (f"{trec_id(item.id)} 0 {trec_id(passage)} 1\n" for item in items for passage in item.evidence_ids)


def trec_id(name: str) -> str:
    """Return `name` with white space and `%` percent-encoded, since white space would end a column."""
    return "".join(char if not (char.isspace() or char == "%") else quote(char) for char in name)
