"""Chooses where a run of `generate` is played: in this process, in one process per shard, or on Ray."""

from pathlib import Path

from questwell.recipes.generate import shards
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.placed import driver
from questwell.recipes.generate.plays import GenerateReport
from questwell.recipes.runs.caller import DEFAULTS, Caller
from questwell.recipes.runs.progress import Progress
from questwell.recipes.runs.twin import Twofold, blocking_verb, planned


@blocking_verb
def run(config: Config, folder: Path, caller: Caller[[Progress]] = DEFAULTS) -> Twofold[GenerateReport]:
    """Run `loop.run` in `config.shards` processes, placed by `config.engine`."""
    return planned(driver.run if config.engine == "ray" else shards.run, config, folder, caller)
