"""Build and query of a lexical index by two versions of the code, in turn, on the same corpus.

    python benchmarks/before.py CORPUS.jsonl QUESTIONS.jsonl --old OLD_CHECKOUT/src [--passages 200000] [--rounds 3]

Passages are recombined as by million.py. Each measurement is a process of its own, and the versions take turns, so that
whatever else the machine does hits both. CPU times, since wall time says more about the neighbours. Results go to
benchmarks/results/before.json.
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
from pathlib import Path
from typing import Any

ASKED = 300
K = 10
HERE = Path(__file__).parent


def measure_here(corpus: Path, questions: Path, folder: Path) -> dict[str, Any]:
    """CPU seconds of a build, and CPU milliseconds of a query in the second round of questions, in this process."""
    from questwell.retrieval.corpora.corpus import CorpusSpec
    from questwell.retrieval.index.indexing import build_index
    from questwell.retrieval.index.lexical import LexicalIndex

    started = time.process_time()
    build_index(CorpusSpec(str(corpus)), folder)
    build_s = time.process_time() - started
    index = LexicalIndex.open(folder)
    texts = [json.loads(line)["question"] for line in questions.read_text().splitlines()[:ASKED]]

    async def ask() -> list[str]:
        return [hit.passage.id for text in texts for hit in await index.search(text, K)]

    asyncio.run(ask())
    started = time.process_time()
    found = asyncio.run(ask())
    query_ms = 1000 * (time.process_time() - started) / len(texts)
    return {"passages": len(index), "build_cpu_s": build_s, "query_cpu_ms": query_ms, "hits": len(found)}


def measure_by(source: Path, corpus: Path, questions: Path) -> dict[str, Any]:
    """The same by the code in `source`, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).resolve()), str(corpus), str(questions), "--here", folder]
        env = {**os.environ, "PYTHONPATH": str(source.resolve())}
        done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir(exist_ok=True)
        return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--old", type=Path, help="src folder of the older checkout")
    parser.add_argument("--passages", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        print(json.dumps(measure_here(given.corpus, given.questions, given.here / "index")))
        return
    from million import recombine
    from report import heading, write

    with tempfile.TemporaryDirectory() as work:
        corpus = Path(work) / "corpus.jsonl"
        recombine(given.corpus, corpus, given.passages)
        head = heading()
        runs: dict[str, list[dict[str, Any]]] = {"before": [], "now": []}
        for turn in range(given.rounds):
            pairs = [("before", given.old), ("now", HERE.parent / "src")]
            for name, source in pairs if turn % 2 == 0 else pairs[::-1]:
                runs[name].append(measure_by(source, corpus, given.questions))
                print(name, runs[name][-1], flush=True)
    middle = {
        name: {key: statistics.median(run[key] for run in found) for key in ("build_cpu_s", "query_cpu_ms")}
        for name, found in runs.items()
    }
    ratio = {key: middle["now"][key] / middle["before"][key] for key in ("build_cpu_s", "query_cpu_ms")}
    write("before", {**head, "rounds": given.rounds, "runs": runs, "median": middle, "now_over_before": ratio})
    print(ratio)


if __name__ == "__main__":
    main()
