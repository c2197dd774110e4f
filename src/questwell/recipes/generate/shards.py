"""Runs `generate` in several processes on one machine: independent shards, and a parent that watches them.

A seed depends only on its index and the run's random seed, so shard 3 of 8 plays the seeds whose index is 3 modulo 8,
as a run of its own. `runs/processes.py` watches the shards' processes and joins their data.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from questwell.errors import ConfigError
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate import loop
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.plays import GenerateReport
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.invocation import run_file
from questwell.recipes.runs.lent import Lent
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.processes import NO_OBJECTS, Watch, begun_shards, divided, folders, join, work
from questwell.recipes.runs.progress import OnProgress, Progress, together
from questwell.recipes.runs.twin import Twofold, blocking_verb, planned


@blocking_verb
def run(
    config: Config,
    folder: Path,
    *,
    resume: bool = False,
    limit: int | None = None,
    on_progress: OnProgress = lambda progress: None,
    index_progress: IndexProgress | None = None,
    lent: Lent | None = None,
) -> Twofold[GenerateReport]:
    """Run `loop.run` in `config.shards` processes.

    Limits on money, tokens and plays, and the concurrency, are divided among the shards.
    """
    if config.shards is None:
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

    def watched() -> GenerateReport:
        with Run(loop.KIND, config, folder, resume=resume) as opened:
            setup = open_setup(config, index_progress)  # builds the index once, and compares it
            info = opened.compare(setup.fingerprint())
            asyncio.run(setup.aclose())
            with run_file(opened, setup.llms.values(), setup.retriever) as store:

                def tell(watch: Watch[Progress]) -> None:
                    on_progress(_together(watch, config))

                async def joined() -> None:
                    await join(store, folders(folder), config)

                asyncio.run(store.begin(info))
                watch = Watch(begun_shards(shard_configs(config), folder, limit, play_shard), tell)
                ended = asyncio.run(watch.until_ended(joined, opened.go_on))
                if ended.ending is Ending.EXHAUSTED:
                    ended = Report(ended.ending, loop.too_few(config, store.read.drawn()))
                progress = _together(watch, config)
                on_progress(progress)
                return GenerateReport(ended.ending, ended.message, ended.go_on, progress=progress)

    return Twofold(watched, lambda: asyncio.to_thread(watched))


def shard_configs(config: Config) -> Iterator[Config]:
    """Yield the config of each shard: its part of the seeds and of the limits."""
    assert config.shards is not None
    return divided(config, config.shards, config.plays_at_once)


def play_shard(config: Config, folder: Path, limit: int | None, pipe: Connection) -> None:
    """Play one shard in its own process."""
    work(pipe, lambda tell: loop.run(config, folder, resume=True, limit=limit, on_progress=tell))


def _together(watch: Watch[Progress], config: Config) -> Progress:
    whole = together(watch.seen, watch.elapsed_s, stopping=watch.stopping)
    return whole if len(watch.seen) == len(watch.shards) else replace(whole, total=config.seeds)
