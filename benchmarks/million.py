"""A million passages: build, size, memory, opening, and CPU per query, lexical and hybrid, next to bm25s in one run.

    python benchmarks/million.py CORPUS.jsonl QUESTIONS.jsonl [--passages 1000000] [--work FOLDER]

Passages are recombined from the real sentences of CORPUS: 3 to 5 per passage, drawn with a fixed seed. Queries are the
questions of QUESTIONS, each asked twice. Each step is a process of its own, so that its memory and CPU are its own.
Vectors are wordllama's (256 numbers); encoding a query is not in its time. Results go to
benchmarks/results/million.json. With --work, an interrupted benchmark continues with the step that it was at.
"""

import argparse
import asyncio
import importlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from arguments import existing_file, parser
from report import heading, write

from questwell.retrieval.corpora.corpus import CorpusSpec
from questwell.retrieval.embedders.wordllama import WordLlama
from questwell.retrieval.index.dense import VectorFile, embed_index
from questwell.retrieval.index.hybrid import HybridIndex
from questwell.retrieval.index.indexing import build_index
from questwell.retrieval.index.lexical import LexicalIndex


def recombine(corpus: Path, out: Path, passages: int) -> dict[str, object]:
    """Write the corpus: one record per passage, short enough not to be cut."""
    rng = random.Random(0)
    titles: list[str] = []
    sentences: list[str] = []
    for line in corpus.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        titles.append(record["title"])
        found = [part.strip() for part in record["text"].replace("? ", "?. ").split(". ")]
        sentences += [part.rstrip(".") + "." for part in found if 20 < len(part) < 220]
    words = 0
    with out.open("w", encoding="utf-8") as file:
        for number in range(passages):
            text = " ".join(rng.choices(sentences, k=rng.randint(3, 5)))
            words += text.count(" ") + 1
            file.write(json.dumps({"id": str(number), "title": rng.choice(titles), "text": text}) + "\n")
    return {"distinct_sentences": len(sentences), "words_per_passage": round(words / passages, 1)}


def build(work: Path) -> dict[str, object]:
    started, cpu = time.perf_counter(), time.process_time()
    manifest = build_index(CorpusSpec(str(work / "corpus.jsonl")), work / "index")
    cpu_s = time.process_time() - cpu
    return {
        "passages": manifest.passages,
        "cpu_s": round(cpu_s, 1),
        "wall_s": round(time.perf_counter() - started, 1),
        "passages_per_cpu_s": round(manifest.passages / cpu_s),
        "bytes": sum(path.stat().st_size for path in (work / "index").rglob("*") if path.is_file()),
        **memory(),
    }


def embed(work: Path) -> dict[str, object]:
    index, embedder = LexicalIndex.open(work / "index"), WordLlama()
    started, cpu = time.perf_counter(), time.process_time()
    manifest = asyncio.run(embed_index(index, embedder, commit_every=16_384))
    cpu_s = time.process_time() - cpu
    return {
        "embedder": embedder.name,
        "dimensions": manifest.dimensions,
        "cpu_s": round(cpu_s, 1),
        "wall_s": round(time.perf_counter() - started, 1),
        "passages_per_cpu_s": round(manifest.rows / cpu_s),
        "bytes": VectorFile.open(index, embedder.name).rows.nbytes,
        **memory(),
    }


def cold(work: Path) -> dict[str, object]:
    """Opening and the first query, in a process that has done nothing else (the page cache is as it is)."""
    started, cpu = time.perf_counter(), time.process_time()
    index = LexicalIndex.open(work / "index")
    opened, opened_cpu = time.perf_counter() - started, time.process_time() - cpu
    index.find(questions(work)[0], 10)
    return {
        "open_s": round(opened, 4),
        "open_cpu_s": round(opened_cpu, 4),
        "open_and_first_query_s": round(time.perf_counter() - started, 4),
        **memory(),
    }


def lexical(work: Path) -> dict[str, object]:
    index = LexicalIndex.open(work / "index")
    return per_query([partial(index.find, query, 10) for query in questions(work)])


def hybrid(work: Path) -> dict[str, object]:
    index, embedder = LexicalIndex.open(work / "index"), WordLlama()
    both = HybridIndex(index, VectorFile.open(index, embedder.name), embedder)
    asked = [(query, embedder.vectors([query])[0]) for query in questions(work)]
    return per_query([partial(both.find, query, 10, vector) for query, vector in asked])


def bm25s(work: Path) -> dict[str, object]:
    """bm25s as its documentation shows it: in memory, English stop words, numpy, the corpus' texts at hand."""
    library = cast(Any, importlib.import_module("bm25s"))

    started, cpu = time.perf_counter(), time.process_time()
    with (work / "corpus.jsonl").open(encoding="utf-8") as file:
        texts = [record["title"] + "\n" + record["text"] for record in map(json.loads, file)]
    tokens = library.tokenize(texts, stopwords="en", show_progress=False)
    index = library.BM25()
    index.index(tokens, show_progress=False)
    del tokens
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - started

    def find(query: str) -> object:
        return index.retrieve(library.tokenize(query, stopwords="en", show_progress=False), k=10, show_progress=False)

    return {
        "build_cpu_s": round(cpu_s, 1),
        "build_wall_s": round(wall_s, 1),
        "passages_per_cpu_s": round(len(texts) / cpu_s),
        **per_query([partial(find, query) for query in questions(work)]),
    }


def per_query(searches: Sequence[Callable[[], object]]) -> dict[str, object]:
    """CPU of the first pass over the queries, which also maps the files' pages, and of the second."""
    first = timed(searches)
    again = sorted(timed(searches))
    return {
        "queries": len(again),
        "cpu_ms_mean_first_pass": round(sum(first) / len(first), 3),
        "cpu_ms_mean": round(sum(again) / len(again), 3),
        "cpu_ms_median": round(again[len(again) // 2], 3),
        "cpu_ms_p99": round(again[int(len(again) * 0.99)], 3),
        **memory(),
    }


def timed(searches: Sequence[Callable[[], object]]) -> list[float]:
    """CPU milliseconds of each call."""
    times: list[float] = []
    for search in searches:
        started = time.process_time()
        search()
        times.append(1000 * (time.process_time() - started))
    return times


def memory() -> dict[str, int]:
    """Peak resident bytes of this process, mapped files included, and resident bytes now without mapped files."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return {
        "peak_bytes": int(status["VmHWM"].split()[0]) * 1024,
        "private_bytes": int(status["RssAnon"].split()[0]) * 1024,
    }


def questions(work: Path) -> list[str]:
    return [json.loads(line)["question"] for line in (work / "questions.jsonl").read_text().splitlines()]


STEPS = {"build": build, "cold_open": cold, "lexical": lexical, "bm25s": bm25s, "embed": embed, "hybrid": hybrid}


def run(step: str, work: Path) -> dict[str, Any]:
    """Run a step in its own process."""
    command = [sys.executable, __file__, "--work", str(work), "--step", step]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of `make`, cached in a file so that an interrupted benchmark can continue."""
    if not path.is_file():
        path.write_text(json.dumps(make()))
    return json.loads(path.read_text())


def main() -> None:
    options = parser(__doc__)
    options.add_argument("corpus", type=existing_file, nargs="?")
    options.add_argument("questions", type=existing_file, nargs="?")
    options.add_argument("--passages", type=int, default=1_000_000)
    options.add_argument("--work", type=Path, help="folder to keep corpus and index in")
    options.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.step:
        print(json.dumps(STEPS[given.step](given.work)))
        return
    if given.questions is None:
        options.error("CORPUS and QUESTIONS are missing")
    report: dict[str, Any] = heading()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        report |= measured(given, work)
    write("million", report)


def measured(given: argparse.Namespace, work: Path) -> dict[str, Any]:
    """The result of each step, and bm25s' figures over ours."""
    report: dict[str, Any] = {}
    (work / "questions.jsonl").write_bytes(given.questions.read_bytes())
    report["corpus"] = kept(
        work / "corpus.json", lambda: recombine(given.corpus, work / "corpus.jsonl", given.passages)
    )
    for step in STEPS:
        report[step] = kept(work / f"{step}.json", partial(run, step, work))
        print(step, report[step], flush=True)
    report["bm25s_against_lexical"] = {
        "build_cpu": round(report["bm25s"]["build_cpu_s"] / report["build"]["cpu_s"], 2),
        "query_cpu": round(report["bm25s"]["cpu_ms_mean"] / report["lexical"]["cpu_ms_mean"], 2),
        "peak_memory_of_build_and_queries": round(
            report["bm25s"]["peak_bytes"] / max(report["build"]["peak_bytes"], report["lexical"]["peak_bytes"]), 2
        ),
    }
    return report


if __name__ == "__main__":
    main()
