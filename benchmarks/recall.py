"""Recall of each retriever for the gold passages of multi-hop questions, on the same index, with paired intervals.

    python benchmarks/recall.py CORPUS.jsonl QUESTIONS.jsonl [--work FOLDER]

Results go to benchmarks/results/recall.json. CPU times are of this process, one thread.
"""

import asyncio
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from arguments import existing_file, parser
from arguments import run as started
from report import heading, write

from questwell.evaluation.statistics import compare, estimate
from questwell.retrieval.corpora.corpus import CorpusSpec
from questwell.retrieval.embedders.minilm import MiniLM
from questwell.retrieval.embedders.wordllama import WordLlama
from questwell.retrieval.index import lexical
from questwell.retrieval.index.dense import VectorFile, embed_index
from questwell.retrieval.index.hybrid import HybridIndex
from questwell.retrieval.index.indexing import build_index
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.index.neighbours import Neighbours
from questwell.retrieval.index.recall import Recalls, Searches, measure, read_questions
from questwell.types.corpus import Hit


class Pruned:
    """The lexical index, with as many terms dropped from a query as in a large corpus, where the share decides."""

    def __init__(self, index: LexicalIndex, share: float) -> None:
        self.index = index
        self.share = share

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """As `Retriever.search`."""
        kept = lexical.POSTINGS, lexical.POSTINGS_SHARE
        lexical.POSTINGS, lexical.POSTINGS_SHARE = 0, self.share
        try:
            return self.index.find(query, k)
        finally:
            lexical.POSTINGS, lexical.POSTINGS_SHARE = kept


class DenseOnly:
    """Ranks every passage by its vector alone."""

    def __init__(self, index: LexicalIndex, vectors: VectorFile, embedder: WordLlama | MiniLM) -> None:
        self.rows = np.asarray(vectors.rows, np.float32)
        self.index = index
        self.embedder = embedder

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """As `Retriever.search`."""
        near = np.argsort(-(self.rows @ self.embedder.vectors([query])[0]), kind="stable")[:k]
        return tuple(Hit(self.index.passage_at(int(place)), 0.0, rank) for rank, place in enumerate(near, 1))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("corpus", type=existing_file)
    options.add_argument("questions", type=existing_file)
    options.add_argument("--work", type=Path, help="folder to keep the index in between runs")
    given = options.parse_args()
    report = heading()
    with tempfile.TemporaryDirectory() as temporary:
        report |= run(given.corpus, given.questions, given.work or Path(temporary))
    write("recall", report)


def run(corpus: Path, path: Path, folder: Path) -> dict[str, object]:
    """Index the corpus in `folder`, and ask each retriever the questions in `path`."""
    build_index(CorpusSpec(str(corpus)), folder)
    index = LexicalIndex.open(folder)
    questions = read_questions(path)
    retrievers: dict[str, Searches] = {
        "lexical": index,
        "lexical, unpruned": Pruned(index, float("inf")),
        "lexical, pruned as at a million": Pruned(index, lexical.POSTINGS_SHARE),
        "lexical, pruned to a tenth": Pruned(index, 0.1),
    }
    embedders: dict[str, dict[str, object]] = {}
    for label, embedder in (("wordllama", WordLlama()), ("minilm", MiniLM(threads=1))):
        started = time.process_time()
        manifest = asyncio.run(embed_index(index, embedder))
        took = time.process_time() - started
        vectors = VectorFile.open(index, embedder.name)
        size = vectors.rows.nbytes
        embedders[label] = {"name": embedder.name, "dimensions": manifest.dimensions, "vector_bytes": size}
        if took > 1:  # otherwise they existed before
            embedders[label]["passages_per_cpu_s"] = round(manifest.rows / took, 1)
        retrievers[f"{label} alone"] = DenseOnly(index, vectors, embedder)
        retrievers[f"hybrid, {label}"] = HybridIndex(index, vectors, embedder)
        retrievers[f"hybrid, {label}, two legs"] = HybridIndex(
            index, vectors, embedder, Neighbours.open_or_build(vectors)
        )
    found: dict[str, Recalls] = {}
    rows: dict[str, object] = {}
    for label, retriever in retrievers.items():
        started = time.process_time()
        found[label] = asyncio.run(measure(retriever, questions))
        queries = len(questions) + len(found[label].parts)
        rows[label] = {
            "recall": {k: asdict(estimate(values)) for k, values in found[label].questions.items()},
            "parts_hit_at_10": asdict(estimate(found[label].parts)),
            "cpu_ms_per_query": round(1000 * (time.process_time() - started) / queries, 2),
        }
        print(label, {k: round(100 * float(np.mean(v)), 1) for k, v in found[label].questions.items()})
    return {
        "passages": len(index),
        "questions": len(questions),
        "parts": len(found["lexical"].parts),
        "embedders": embedders,
        "retrievers": rows,
        "recall_at_10_against_lexical": {
            label: asdict(compare(found["lexical"].questions[10], recalls.questions[10]))
            for label, recalls in found.items()
            if label != "lexical"
        },
    }


if __name__ == "__main__":
    started(main)
