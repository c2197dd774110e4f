"""Runs `evaluate` in several processes on one machine: independent shards, and a parent that watches them.

Shard 3 of 8 asks the questions whose position in the benchmarks is 3 modulo 8, as a run of its own. `runs/processes.py`
watches the shards' processes and joins their data.
"""

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path

from questwell.recipes.evaluate import loop
from questwell.recipes.evaluate.config import EvalConfig
from questwell.recipes.evaluate.loop import EvalProgress
from questwell.recipes.evaluate.setup import open_eval_setup
from questwell.recipes.runs.caller import DEFAULTS, Caller
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.invocation import run_file
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.parts import play_apart, refuse_objects
from questwell.recipes.runs.processes import Watch, work
from questwell.recipes.runs.twin import Twofold, blocking_verb, in_thread, planned
from questwell.types.usage import Usage


@blocking_verb
def run(config: EvalConfig, folder: Path, caller: Caller[[EvalProgress]] = DEFAULTS) -> Twofold[Report]:
    """Run `loop.run` in `config.shards` processes."""
    if config.shards is None:
        return planned(loop.run, config, folder, caller)
    refuse_objects(caller)

    def watched() -> Report:
        with Run(loop.KIND, config, folder, resume=caller.resume) as opened:
            questions = loop.questions_of(config)
            setup = open_eval_setup(config, caller.index_progress)  # builds the index once, and compares it
            asyncio.run(setup.aclose())
            with run_file(opened, setup.llms.values(), setup.retriever) as store:

                def tell(watch: Watch[EvalProgress]) -> None:
                    caller.on_progress(_together(watch, len(questions) * config.attempts))

                asyncio.run(loop.begin_evaluation(store, opened, questions, setup))
                ended, _ = play_apart(opened, store, config.at_once, caller.limit, play_shard, tell)
                return ended

    return in_thread(watched)


def play_shard(config: EvalConfig, folder: Path, limit: int | None, pipe: Connection) -> None:
    """Run one shard in its own process."""
    work(pipe, lambda tell: loop.run(config, folder, Caller(resume=True, limit=limit, on_progress=tell)))


def _together(watch: Watch[EvalProgress], attempts: int) -> EvalProgress:
    seen = watch.seen
    return EvalProgress(
        done=sum(one.done for one in seen),
        total=attempts,
        right=sum(one.right for one in seen),
        scored=sum(one.scored for one in seen),
        spent=sum((one.spent for one in seen), Usage()),
        elapsed_s=watch.elapsed_s,
        left_s=max((one.left_s for one in seen if one.left_s is not None), default=None),
        stopping=watch.stopping,
    )
