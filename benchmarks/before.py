"""Building and querying a lexical index with two versions of the code, in turn, on the same corpus.

    python benchmarks/before.py CORPUS.jsonl QUESTIONS.jsonl --old OLD_CHECKOUT/src [--passages 200000] [--rounds 3]
        [--query-rounds 7] [--work FOLDER]

Passages are recombined as in million.py. Each measurement is a process of its own, and the versions take turns, so that
other work on the machine slows both. All times are CPU times: wall time depends more on that other work. Queries have
rounds of their own, on the last index that each version built: a query is short, and other work that fills the cache
shows in it. With --work, indexes that an earlier call left there are queried and not built again.
Results go to benchmarks/results/before.json.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from arguments import existing_file, existing_folder, parser

ASKED = 300
"""Number of questions that are asked."""
K = 10
"""Number of passages per query."""
HERE = Path(__file__).parent


def build_here(corpus: Path, folder: Path) -> dict[str, Any]:
    """CPU seconds of building the index in this process."""
    from questwell.retrieval.corpora.corpus import CorpusSpec
    from questwell.retrieval.index.indexing import build_index
    from questwell.retrieval.index.lexical import LexicalIndex

    started = time.process_time()
    build_index(CorpusSpec(str(corpus)), folder)
    return {"build_cpu_s": time.process_time() - started, "passages": len(LexicalIndex.open(folder))}


def query_here(questions: Path, folder: Path) -> dict[str, Any]:
    """CPU milliseconds per query in the second round of questions, in this process."""
    from questwell.retrieval.index.lexical import LexicalIndex

    index = LexicalIndex.open(folder)
    texts = [json.loads(line)["question"] for line in questions.read_text().splitlines()[:ASKED]]

    async def ask() -> list[str]:
        return [hit.passage.id for text in texts for hit in await index.search(text, K)]

    asyncio.run(ask())
    started = time.process_time()
    found = asyncio.run(ask())
    return {"query_cpu_ms": 1000 * (time.process_time() - started) / len(texts), "hits": len(found)}


def measure_by(source: Path, given: argparse.Namespace, corpus: Path, step: str, folder: Path) -> dict[str, Any]:
    """Run a step with the code in `source`, in its own process."""
    here = [sys.executable, str(Path(__file__).resolve()), str(corpus), str(given.questions)]
    env = {**os.environ, "PYTHONPATH": str(source.resolve())}
    done = subprocess.run(
        [*here, "--step", step, "--here", folder], env=env, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def in_turn(rounds: int, versions: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
    """The versions in the order of each round; every second round reverses it."""
    for turn in range(rounds):
        yield from list(versions.items())[:: 1 if turn % 2 == 0 else -1]


def measure(given: argparse.Namespace, work: Path) -> dict[str, Any]:
    """All rounds, and the medians of each version."""
    from million import recombine

    versions: dict[str, Path] = {"before": given.old, "now": HERE.parent / "src"}
    kept = work / "builds.json"
    if not kept.exists():
        corpus = work / "corpus.jsonl"
        recombine(given.corpus, corpus, given.passages)
        built: list[dict[str, Any]] = []
        for name, source in in_turn(given.rounds, versions):
            shutil.rmtree(work / name, ignore_errors=True)
            built.append({"version": name, **measure_by(source, given, corpus, "build", work / name)})
            print(built[-1], flush=True)
        kept.write_text(json.dumps(built))
    queries: list[dict[str, Any]] = []
    for name, source in in_turn(given.query_rounds, versions):
        queries.append({"version": name, **measure_by(source, given, given.corpus, "query", work / name)})
        print(queries[-1], flush=True)
    runs: list[dict[str, Any]] = json.loads(kept.read_text()) + queries
    median = {
        name: {
            key: statistics.median(run[key] for run in runs if run["version"] == name and key in run)
            for key in ("build_cpu_s", "query_cpu_ms")
        }
        for name in versions
    }
    ratio = {key: median["now"][key] / median["before"][key] for key in median["now"]}
    return {"runs": runs, "median": median, "now_over_before": ratio}


def main() -> None:
    """Measure and write the results."""
    options = parser(__doc__)
    options.add_argument("corpus", type=existing_file)
    options.add_argument("questions", type=existing_file)
    options.add_argument("--old", type=existing_folder, help="src folder of the older checkout")
    options.add_argument("--passages", type=int, default=200_000)
    options.add_argument("--rounds", type=int, default=3, help="of building")
    options.add_argument("--query-rounds", type=int, default=7)
    options.add_argument("--work", type=Path, help="folder to keep the indexes in")
    options.add_argument("--step", choices=("build", "query"), help=argparse.SUPPRESS)
    options.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.step:
        build = given.step == "build"
        print(json.dumps(build_here(given.corpus, given.here) if build else query_here(given.questions, given.here)))
        return
    if given.old is None:
        options.error("--old is missing: the src folder of the code to compare with")
    from report import heading, write

    head = heading()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        result = {**head, "rounds": given.rounds, "query_rounds": given.query_rounds, **measure(given, work)}
    write("before", result)
    print(result["now_over_before"])


if __name__ == "__main__":
    main()
