"""Runs `harden` in several processes on one machine: independent shards, and a parent that watches them.

Shard 3 of 8 takes the questions whose position in the source is 3 modulo 8, as a run of its own. `runs/processes.py`
watches the shards' processes and joins their data.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from questwell.errors import ConfigError
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate.merge import refuse_gaps
from questwell.recipes.generate.plays import GenerateReport
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.harden import loop
from questwell.recipes.harden.config import MAY_CHANGE, HardenConfig
from questwell.recipes.harden.given import read_given
from questwell.recipes.runs.invocation import run_file
from questwell.recipes.runs.joining import Parts, merge_parts
from questwell.recipes.runs.lent import Lent
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.processes import NO_OBJECTS, Watch, begun_shards, divided, folders, join, work
from questwell.recipes.runs.progress import OnProgress, Progress, together
from questwell.recipes.runs.twin import Twofold, blocking_verb, planned
from questwell.store.reader import RunReader


@blocking_verb
def run(
    config: HardenConfig,
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
    given = read_given(config)

    def watched() -> GenerateReport:
        with Run(loop.KIND, config, folder, resume=resume) as opened:
            setup = open_setup(config, index_progress)  # builds the index once, and compares it
            asyncio.run(setup.aclose())
            with run_file(opened, setup.llms.values(), setup.retriever) as store:
                asyncio.run(loop.begin_hardening(store, opened, given, setup))

                def progress(watch: Watch[Progress]) -> Progress:
                    whole = together(watch.seen, watch.elapsed_s, stopping=watch.stopping)
                    return replace(whole, total=len(given.questions))

                async def joined() -> None:
                    await join(store, folders(folder), config)

                parts = begun_shards(divided(config, shards, config.plays_at_once), folder, limit, play_shard)
                watch = Watch[Progress](parts, lambda watch: on_progress(progress(watch)))
                ended = asyncio.run(watch.until_ended(joined, opened.go_on))
                on_progress(progress(watch))
                return GenerateReport(ended.ending, ended.message, ended.go_on, progress=progress(watch))

    return Twofold(watched, lambda: asyncio.to_thread(watched))


def play_shard(config: HardenConfig, folder: Path, limit: int | None, pipe: Connection) -> None:
    """Run one shard in its own process."""
    work(pipe, lambda tell: loop.run(config, folder, resume=True, limit=limit, on_progress=tell))


def merge(folder: Path, sources: Sequence[Path]) -> int:
    """Join the runs of `--shard 0/8` to `--shard 7/8` into a new one, and return the number of questions.

    See `merge_parts`.
    """
    return merge_parts(_PARTS, folder, sources)


_PARTS = Parts(loop.KIND, MAY_CHANGE, refuse_gaps, RunReader.drawn)
