"""A clean process that has imported everything, and forks a child for each invocation of a run: start-up is paid once.

Reads `seeds log` per line; answers with the child's pid at once and with its exit status when it has ended.
"""

import asyncio
import os
import sys
import traceback
from pathlib import Path

import world

from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate import Ending, configure, generate

LATENCY_S = 0.001
CONCURRENCY = 8


def play(library: Path, run: Path, seeds: int, log: Path) -> Ending:
    """One invocation, as `questwell generate --resume` makes it."""
    config = configure(run, world.values(library, seeds=seeds, concurrency=CONCURRENCY), resume=True)
    means = world.means(config, ScriptedLLM(world.play, latency_s=LATENCY_S, log_path=log))
    return asyncio.run(generate(config, run, means, resume=True)).ending


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    library, run = Path(sys.argv[1]), Path(sys.argv[2])
    for line in sys.stdin:
        seeds, log = line.split()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if play(library, run, int(seeds), Path(log)) is Ending.COMPLETE else 3
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        say(child)
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
