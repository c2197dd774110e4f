"""Runs `evaluate` in several processes on one machine: independent shards, and a parent that watches them.

Shard 3 of 8 asks the questions whose position in the benchmarks is 3 modulo 8, as a run of its own. `runs/processes.py`
watches the shards' processes and joins their data.
"""

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path

from questwell.errors import ConfigError
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.evaluate import loop
from questwell.recipes.evaluate.config import EvalConfig
from questwell.recipes.evaluate.loop import EvalProgress, OnProgress
from questwell.recipes.evaluate.setup import open_eval_setup
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.invocation import run_file
from questwell.recipes.runs.lent import Lent
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.processes import NO_OBJECTS, Watch, begun_shards, divided, folders, join, work
from questwell.recipes.runs.twin import Twofold, blocking_verb, planned
from questwell.types.dataset import Usage


@blocking_verb
def run(
    config: EvalConfig,
    folder: Path,
    *,
    resume: bool = False,
    limit: int | None = None,
    on_progress: OnProgress = lambda progress: None,
    index_progress: IndexProgress | None = None,
    lent: Lent | None = None,
) -> Twofold[Report]:
    """Run `loop.run` in `config.shards` processes.

    Limits on money, tokens and attempts, and the concurrency, are divided among the shards.
    """
    if (shards := config.shards) is None:
        return planned(
            loop.run,
            config,
            folder,
            resume=resume,
            limit=limit,
            on_progress=on_progress,
            index_progress=index_progress,
            lent=lent,
        )
    if lent is not None and (lent.llms or lent.retriever):
        raise ConfigError(NO_OBJECTS)

    def watched() -> Report:
        with Run(loop.KIND, config, folder, resume=resume) as opened:
            questions = loop.questions_of(config)
            setup = open_eval_setup(config, index_progress)  # builds the index once, and compares it
            asyncio.run(setup.aclose())
            with run_file(opened, setup.llms.values(), setup.retriever) as store:
                asyncio.run(loop.begin_evaluation(store, opened, questions, setup))
                attempts = len(questions) * config.attempts

                def tell(watch: Watch[EvalProgress]) -> None:
                    on_progress(_together(watch, attempts))

                async def joined() -> None:
                    await join(store, folders(folder), config)

                parts = divided(config, shards, config.at_once)
                watch = Watch(begun_shards(parts, folder, limit, play_shard), tell)
                ended = asyncio.run(watch.until_ended(joined, opened.go_on))
                tell(watch)
                return ended

    return Twofold(watched, lambda: asyncio.to_thread(watched))


def play_shard(config: EvalConfig, folder: Path, limit: int | None, pipe: Connection) -> None:
    """Run one shard in its own process."""
    work(pipe, lambda tell: loop.run(config, folder, resume=True, limit=limit, on_progress=tell))


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
