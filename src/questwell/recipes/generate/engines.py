"""Chooses where a run of `generate` is played: in this process, in one process per shard, or on Ray."""

from pathlib import Path

from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate import shards
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.placed import driver
from questwell.recipes.generate.plays import GenerateReport
from questwell.recipes.runs.lent import Lent
from questwell.recipes.runs.progress import OnProgress
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
    """Run `loop.run` in `config.shards` processes, placed by `config.engine`."""
    play = driver.run if config.engine == "ray" else shards.run
    return planned(
        play,
        config,
        folder,
        resume=resume,
        limit=limit,
        on_progress=on_progress,
        index_progress=index_progress,
        lent=lent,
    )
