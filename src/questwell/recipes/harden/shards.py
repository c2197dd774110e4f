"""Runs `harden` in several processes on one machine: independent shards, and a parent that watches them.

Shard 3 of 8 takes the questions whose position in the source is 3 modulo 8, as a run of its own. `runs/processes.py`
watches the shards' processes and joins their data.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from questwell.recipes.generate.merge import refuse_gaps
from questwell.recipes.generate.plays import GenerateReport
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.harden import loop
from questwell.recipes.harden.config import MAY_CHANGE, HardenConfig
from questwell.recipes.harden.given import read_given
from questwell.recipes.runs.caller import DEFAULTS, Caller
from questwell.recipes.runs.invocation import run_file
from questwell.recipes.runs.joining import Parts, merge_parts
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.parts import play_apart, refuse_objects
from questwell.recipes.runs.processes import Watch, work
from questwell.recipes.runs.progress import Progress, together
from questwell.recipes.runs.twin import Twofold, blocking_verb, in_thread, planned
from questwell.store.reader import RunReader


@blocking_verb
def run(config: HardenConfig, folder: Path, caller: Caller[[Progress]] = DEFAULTS) -> Twofold[GenerateReport]:
    """Run `loop.run` in `config.shards` processes."""
    if config.shards is None:
        return planned(loop.run, config, folder, caller)
    refuse_objects(caller)
    given = read_given(config)

    def tell(watch: Watch[Progress]) -> Progress:
        whole = together(watch.seen, watch.elapsed_s, stopping=watch.stopping)
        whole = replace(whole, total=len(given.questions))
        caller.on_progress(whole)
        return whole

    def watched() -> GenerateReport:
        with Run(loop.KIND, config, folder, resume=caller.resume) as opened:
            setup = open_setup(config, caller.index_progress)  # builds the index once, and compares it
            asyncio.run(setup.aclose())
            with run_file(opened, setup.llms.values(), setup.retriever) as store:
                asyncio.run(loop.begin_hardening(store, opened, given, setup))
                ended, progress = play_apart(opened, store, config.plays_at_once, caller.limit, play_shard, tell)
                return GenerateReport(ended.ending, ended.message, ended.go_on, progress=progress)

    return in_thread(watched)


def play_shard(config: HardenConfig, folder: Path, limit: int | None, pipe: Connection) -> None:
    """Run one shard in its own process."""
    work(pipe, lambda tell: loop.run(config, folder, Caller(resume=True, limit=limit, on_progress=tell)))


def merge(folder: Path, sources: Sequence[Path]) -> int:
    """Join the runs of `--shard 0/8` to `--shard 7/8` into a new one, and return the number of questions.

    See `merge_parts`.
    """
    return merge_parts(_PARTS, folder, sources)


_PARTS = Parts(loop.KIND, MAY_CHANGE, refuse_gaps, RunReader.drawn)
