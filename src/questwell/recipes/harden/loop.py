"""The durable loop behind `questwell harden`: plays the given questions and stores everything on disk.

It works like every run: seeds are saved before they are played, and a play depends only on its question and its
recorded calls. So a run that is killed and resumed ends like one that is not.
"""

from functools import partial
from itertools import islice
from pathlib import Path

from questwell.agents.prompts import Prompts
from questwell.agents.rewriter import PROMPTS
from questwell.errors import ConfigError
from questwell.games.harden import harden as play
from questwell.recipes.generate.plays import GenerateReport, Plays
from questwell.recipes.generate.setup import Setup, open_setup
from questwell.recipes.harden.config import MAY_CHANGE, HardenConfig
from questwell.recipes.harden.given import Given, read_given
from questwell.recipes.runs import opening
from questwell.recipes.runs.caller import DEFAULTS, Caller
from questwell.recipes.runs.invocation import begin, run_file
from questwell.recipes.runs.opening import Kind, Run
from questwell.recipes.runs.progress import Progress, Tally
from questwell.recipes.runs.twin import Twofold, blocking_verb, invocation
from questwell.store.records import WaveSeed
from questwell.store.run import RunStore

_AT_ONCE = 1_000
"""Number of seeds that are saved together."""
KIND = Kind("harden", HardenConfig, MAY_CHANGE)
configure = partial(opening.configure, KIND)
"""Returns the config of a run, from the given values and the saved ones."""


@blocking_verb
def run(config: HardenConfig, folder: Path, caller: Caller[[Progress]] = DEFAULTS) -> Twofold[GenerateReport]:
    """Run `harden` from start to end with the setup that `config` names."""
    given = read_given(config)  # before anything is created, so that an unreadable file is reported at once
    return invocation(
        lambda: Run(KIND, config, folder, resume=caller.resume),
        lambda: open_setup(config, caller.index_progress, lent=caller.lent),
        lambda opened, setup: _harden(opened, given, setup, caller),
    )


async def harden(
    config: HardenConfig, folder: Path, setup: Setup, caller: Caller[[Progress]] = DEFAULTS
) -> GenerateReport:
    """Harden the questions that `config` names, until done or until budget, user or errors stop it; resumable.

    Args:
        config: the config that `configure` returned.
        folder: folder of the run.
        setup: the setup that `open_setup` returned.
        caller: how to run this invocation; its own models and its index callbacks are the setup's.

    Raises:
        ConfigError: a cost limit is set, but a model's price is unknown.
        ConfigChanged: the existing run was started with other settings.
        RunLocked: another process is writing it.
    """
    given = read_given(config)
    with Run(KIND, config, folder, resume=caller.resume) as opened:
        return await _harden(opened, given, setup, caller)


async def _harden(opened: Run[HardenConfig], given: Given, setup: Setup, caller: Caller[[Progress]]) -> GenerateReport:
    rules, players, part = opened.config.rules(), setup.players, opened.config.part
    own = range(part.part, len(given.questions), part.of)
    with run_file(opened, setup.llms.values(), setup.retriever) as store:
        await begin_hardening(store, opened, given, setup)
        news = (WaveSeed(one.seed, 0) for one in given.questions.some(own[store.read.drawn() :]))
        while some := list(islice(news, _AT_ONCE)):
            await store.add_seeds(some)
        plays = Plays(opened, setup, store, Tally(store.read, len(own), None), caller)

        async def play_one(drawn: WaveSeed) -> str | None:
            seed, proposal = drawn.seed, given.questions[drawn.seed.index].proposal
            return await plays.play(seed, lambda sessions: play(seed, proposal, rules, players, sessions))

        async with plays.workers.running(plays.tell):
            await plays.workers.run(store.read.each_unplayed(), play_one)
        ended = plays.ending(store.read.left())
        return GenerateReport(ended.ending, ended.message, ended.go_on, progress=plays.tell())


async def begin_hardening(store: RunStore, opened: Run[HardenConfig], given: Given, setup: Setup) -> None:
    """Save the description of a new run, or check that a resumed run is unchanged."""
    config, drawn = opened.config, store.read.drawn()
    if config.part.size(len(given.questions)) < drawn:
        raise ConfigError(f"{drawn} questions have been taken already; --seeds can be raised, not lowered")
    own = {"questions": given.content, "harden prompts": Prompts(config.prompts).hash_of(PROMPTS)}
    await begin(opened, store, {**setup.fingerprint(), **own})
