"""The durable loop behind `questwell harden`: given questions in, plays out, everything on the disk.

The machinery is that of every run: seeds are kept before they are played, a play depends on nothing but its question
and its recorded calls, so a run that was killed and resumed ends like one that was not.
"""

import asyncio
from contextlib import aclosing
from pathlib import Path

from questwell.agents.prompts import Prompts
from questwell.agents.rewriter import PROMPTS
from questwell.errors import ConfigError, QuestwellError
from questwell.games.harden import harden as play
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate.loop import GenerateReport, where
from questwell.recipes.generate.setup import Setup, open_setup
from questwell.recipes.harden.config import MAY_CHANGE, HardenConfig
from questwell.recipes.harden.given import Given, read_given
from questwell.recipes.runs import opening
from questwell.recipes.runs.budget import Budget, refuse_unknown_prices
from questwell.recipes.runs.config import Values
from questwell.recipes.runs.lent import Lent
from questwell.recipes.runs.opening import Kind, Run
from questwell.recipes.runs.progress import OnProgress, Progress, Tally
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.workers import Patience, Workers
from questwell.scoring.answers import normalise
from questwell.store.records import WaveSeed
from questwell.store.run import RunStore
from questwell.types.game import Accepted, Reason, Rejected

KIND = Kind("harden", HardenConfig, MAY_CHANGE)


def configure(folder: Path | None, given: Values, *, resume: bool) -> HardenConfig:
    """The config of a run in `folder`: what is `given`, over what the run has saved if there is one.

    Raises:
        ConfigError: a key or a value that cannot be, or a run that is there though `resume` is not asked for.
    """
    return opening.configure(KIND, folder, given, resume=resume)


def run(
    config: HardenConfig,
    folder: Path,
    *,
    resume: bool = False,
    limit: int | None = None,
    on_progress: OnProgress = lambda progress: None,
    index_progress: IndexProgress | None = None,
    lent: Lent | None = None,
) -> GenerateReport:
    """`harden` with the setup that `config` names, from start to end."""
    given = read_given(config)  # before anything is made: a file that cannot be read is told at once
    with Run(KIND, config, folder, resume=resume) as opened:
        setup = open_setup(config, index_progress, lent=lent)
        return opening.work(setup, lambda: _harden(opened, given, setup, limit, on_progress))


async def run_here(
    config: HardenConfig,
    folder: Path,
    *,
    resume: bool = False,
    limit: int | None = None,
    on_progress: OnProgress = lambda progress: None,
    lent: Lent | None = None,
) -> GenerateReport:
    """As `run`, in the event loop of the caller, which goes on while an index is built."""
    given = read_given(config)
    with Run(KIND, config, folder, resume=resume) as opened:
        async with aclosing(await asyncio.to_thread(open_setup, config, lent=lent)) as setup:
            return await _harden(opened, given, setup, limit, on_progress)


async def harden(
    config: HardenConfig,
    folder: Path,
    setup: Setup,
    *,
    resume: bool = False,
    limit: int | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> GenerateReport:
    """Harden the questions that `config` names, as far as budget, user and errors let it; resumable at any time.

    Args:
        config: from `configure`.
        folder: of the run.
        setup: from `open_setup`.
        resume: go on with the run that is there, if any.
        limit: plays of this invocation, at most.
        on_progress: called with the progress after each play and every half second.

    Raises:
        ConfigError: a limit of money is asked for, and a model's price is not known.
        ConfigChanged: the run that is there was started with something else.
        RunLocked: another process is writing it.
    """
    given = read_given(config)
    with Run(KIND, config, folder, resume=resume) as opened:
        return await _harden(opened, given, setup, limit, on_progress)


async def _harden(
    opened: Run[HardenConfig], given: Given, setup: Setup, limit: int | None, on_progress: OnProgress
) -> GenerateReport:
    refuse_unknown_prices(opened.config.limits(), setup.llms.values(), setup.retriever)
    with RunStore(opened.folder, opened.lock) as store:
        await _begin(store, opened, given, setup)
        return await _Invocation(opened, given, setup, store, limit, on_progress).play()


class _Invocation:
    """One invocation over a run."""

    def __init__(
        self,
        opened: Run[HardenConfig],
        given: Given,
        setup: Setup,
        store: RunStore,
        limit: int | None,
        on_progress: OnProgress,
    ) -> None:
        config = opened.config
        self._rules = config.rules()
        self._given = given.questions
        self._players = setup.players
        self._store = store
        self._on_progress = on_progress
        self._budget = Budget(config.limits(), store.read.usage())
        self._recorder = Recorder(store, setup.llms, setup.retriever, self._budget)
        self._tally = Tally(store.read, len(given.questions), None)
        patience = Patience(config.plays_at_once, config.max_errors, limit)
        self._workers = Workers(self._budget, patience, "plays", opened.go_on)

    async def play(self) -> GenerateReport:
        """Play until done or halted."""
        read = self._store.read
        async with self._workers.running(self._tell):
            await self._workers.run(read.unplayed(), self._play_one)
        unplayed = read.unplayed()
        ended = self._workers.ending(left=bool(unplayed), errored=len(unplayed), latest=read.latest_error() or "")
        return GenerateReport(ended.ending, ended.message, ended.go_on, progress=self._tell())

    async def _play_one(self, drawn: WaveSeed) -> str | None:
        """Harden a question; why it errored, if it did."""
        seed = drawn.seed
        given = self._given[seed.index].proposal
        try:
            outcome = await play(seed, given, self._rules, self._players, self._recorder.sessions(seed.id))
        except QuestwellError:
            raise
        except Exception as bug:  # a bug that one question meets must not lose the others: it is data, with its reason
            outcome = Rejected(seed, (), Reason.ERRORED, where(bug))
        question_key = normalise(outcome.rounds[-1].proposal.question) if isinstance(outcome, Accepted) else None
        await self._store.finish(outcome, question_key)
        self._tally.count(outcome, question_key)
        self._tell()
        return outcome.detail if isinstance(outcome, Rejected) and outcome.reason is Reason.ERRORED else None

    def _tell(self) -> Progress:
        progress = self._tally.progress(self._recorder, self._budget)
        self._on_progress(progress)
        return progress


async def _begin(store: RunStore, opened: Run[HardenConfig], given: Given, setup: Setup) -> None:
    """Save what the run is, or make sure that it is what it was; then keep the questions as seeds."""
    config, drawn = opened.config, store.read.drawn()
    if len(given.questions) < drawn:
        raise ConfigError(f"{drawn} questions have been taken already; --seeds can be raised, not lowered")
    own = {"questions": given.content, "harden prompts": Prompts(config.prompts).hash_of(PROMPTS)}
    await store.begin(opened.compare({**setup.fingerprint(), **own}))
    if config.price_in is not None and config.price_out is not None:
        await store.price(config.price_in, config.price_out)
    await store.add_seeds([WaveSeed(one.seed, 0) for one in given.questions[drawn:]])
