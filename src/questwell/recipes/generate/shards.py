"""Runs `generate` in several processes on one machine: independent shards, and a parent that watches them.

A seed depends only on its index and the run's random seed, so shard 3 of 8 plays the seeds whose index is 3 modulo 8,
as a run of its own. `runs/processes.py` watches the shards' processes and joins their data.
"""

import asyncio
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from questwell.recipes.generate import loop
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.plays import GenerateReport
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.runs.caller import DEFAULTS, Caller
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.invocation import run_file
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.parts import play_apart, refuse_objects
from questwell.recipes.runs.processes import Watch, work
from questwell.recipes.runs.progress import Progress, together
from questwell.recipes.runs.twin import Twofold, blocking_verb, in_thread, planned


@blocking_verb
def run(config: Config, folder: Path, caller: Caller[[Progress]] = DEFAULTS) -> Twofold[GenerateReport]:
    """Run `loop.run` in `config.shards` processes."""
    if config.shards is None:
        return planned(loop.run, config, folder, caller)
    refuse_objects(caller)

    def watched() -> GenerateReport:
        with Run(loop.KIND, config, folder, resume=caller.resume) as opened:
            setup = open_setup(config, caller.index_progress)  # builds the index once, and compares it
            info = opened.compare(setup.fingerprint())
            asyncio.run(setup.aclose())
            with run_file(opened, setup.llms.values(), setup.retriever) as store:

                def tell(watch: Watch[Progress]) -> Progress:
                    whole = together(watch.seen, watch.elapsed_s, stopping=watch.stopping)
                    if len(watch.seen) < len(watch.shards):
                        whole = replace(whole, total=config.seeds)
                    caller.on_progress(whole)
                    return whole

                asyncio.run(store.begin(info))
                ended, progress = play_apart(opened, store, config.plays_at_once, caller.limit, play_shard, tell)
                if ended.ending is Ending.EXHAUSTED:
                    ended = Report(ended.ending, loop.too_few(config, store.read.drawn()))
                return GenerateReport(ended.ending, ended.message, ended.go_on, progress=progress)

    return in_thread(watched)


def play_shard(config: Config, folder: Path, limit: int | None, pipe: Connection) -> None:
    """Play one shard in its own process."""
    work(pipe, lambda tell: loop.run(config, folder, Caller(resume=True, limit=limit, on_progress=tell)))
