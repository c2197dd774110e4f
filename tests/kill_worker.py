"""A clean process that has imported everything, and forks a child for each invocation of a run: start-up is paid once.

Reads `size log` per line; answers with the child's pid at once and with its exit status when it has ended.
"""

import asyncio
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import evaluation_world
import world

from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.evaluate import loop as evaluation
from questwell.recipes.generate import gates
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.runs.ending import Ending

LATENCY_S = 0.001
CONCURRENCY = 8


def play(library: Path, run: Path, seeds: int, log: Path) -> Ending:
    """One invocation, as `questwell generate --resume` makes it."""
    config = configure(run, world.values(library, seeds=seeds, concurrency=CONCURRENCY), resume=True)
    setup = world.setup(config, ScriptedLLM(world.play, latency_s=LATENCY_S, log_path=log))
    return asyncio.run(generate(config, run, setup, resume=True)).ending


def evaluate(library: Path, run: Path, questions: int, log: Path) -> Ending:
    """One invocation, as `questwell evaluate --resume` makes it, with two attempts a question and a model as judge."""
    bench = evaluation_world.write_questions(log.with_suffix(".jsonl"), questions)
    given = {"judge": evaluation_world.JUDGE, "attempts": 2, "temperature": 1.0, "concurrency": CONCURRENCY}
    config = evaluation.configure(run, evaluation_world.values(library, bench, **given), resume=True)
    llm = ScriptedLLM(evaluation_world.answer, latency_s=LATENCY_S, log_path=log)
    setup = evaluation_world.setup(config, llm)
    asked = evaluation.questions_of(config)
    return asyncio.run(evaluation.evaluate(config, asked, run, setup, resume=True)).ending


def check(library: Path, run: Path, size: int, log: Path) -> Ending:
    """One invocation of `questwell gates` over the run `source` next to it."""
    given = {"of": run.with_name("source"), "concurrency": CONCURRENCY}
    llm = ScriptedLLM(world.play, latency_s=LATENCY_S, log_path=log)
    gates.open_setup = lambda config, index_progress=None: world.setup(config, llm)
    return gates.check_run(gates.configure(run, given), run).ended.ending


VERBS: dict[str, Callable[[Path, Path, int, Path], Ending]] = {"generate": play, "evaluate": evaluate, "gates": check}


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    verb, library, run = VERBS[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3])
    for line in sys.stdin:
        size, log = line.split()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if verb(library, run, int(size), Path(log)) is Ending.COMPLETE else 3
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        say(child)
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
