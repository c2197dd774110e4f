"""The durable loop behind `questwell generate`: seeds in, plays out, everything on the disk.

Seeds are kept before they are played. A wave depends on finished waves only, and a play on nothing but its seed and
its recorded calls, so a run that was killed and resumed ends like one that was not.
"""

import asyncio
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from questwell.errors import BudgetReached, ConfigError, QuestwellError
from questwell.games.sage import play
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate.config import MAY_CHANGE, Config
from questwell.recipes.generate.seeds import SeedSchedule
from questwell.recipes.generate.setup import Setup, open_setup
from questwell.recipes.runs import opening
from questwell.recipes.runs.budget import Budget, Stopped, refuse_unknown_prices
from questwell.recipes.runs.config import Values
from questwell.recipes.runs.ending import Ending
from questwell.recipes.runs.opening import Kind, Run
from questwell.recipes.runs.progress import OnProgress, Progress, Tally
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.signals import stopping_on_signals
from questwell.scoring.answers import normalise
from questwell.store.records import WaveSeed
from questwell.store.run import RunStore
from questwell.types.game import Accepted, Reason, Rejected, Seed

KIND = Kind("generate", Config, MAY_CHANGE)
_TICK_S = 0.5


@dataclass(frozen=True, slots=True)
class Report:
    """What an invocation did."""

    ending: Ending
    message: str
    """Why it ended; empty when complete."""
    progress: Progress


def configure(folder: Path, given: Values, *, resume: bool) -> Config:
    """The config of a run in `folder`: what is `given`, over what the run has saved if there is one.

    Raises:
        ConfigError: a key or a value that cannot be, or a run that is there though `resume` is not asked for.
    """
    return opening.configure(KIND, folder, given, resume=resume)


def run(
    config: Config,
    folder: Path,
    *,
    resume: bool = False,
    limit: int | None = None,
    on_progress: OnProgress = lambda progress: None,
    index_progress: IndexProgress | None = None,
) -> Report:
    """`generate` with the setup that `config` names, from start to end."""
    with Run(KIND, config, folder, resume=resume) as opened:
        setup = open_setup(config, index_progress)  # before the event loop: it may take long, and Ctrl-C then ends it

        async def whole() -> Report:
            try:
                return await _generate(opened, setup, limit, on_progress)
            finally:
                await setup.aclose()

        return asyncio.run(whole())


async def generate(
    config: Config,
    folder: Path,
    setup: Setup,
    *,
    resume: bool = False,
    limit: int | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> Report:
    """Play the seeds that `config` asks for, as far as budget, user and errors let it; resumable at any time.

    Args:
        config: from `configure`.
        folder: of the run.
        setup: from `open_setup`.
        resume: go on with the run that is there, if any.
        limit: plays of this invocation, at most.
        on_progress: is told of the progress after each play and every half second.

    Raises:
        ConfigError: a limit of money is asked for, and a model's price is not known.
        ConfigChanged: the run that is there was started with something else.
        RunLocked: another process is writing it.
    """
    with Run(KIND, config, folder, resume=resume) as opened:
        return await _generate(opened, setup, limit, on_progress)


async def _generate(opened: Run[Config], setup: Setup, limit: int | None, on_progress: OnProgress) -> Report:
    refuse_unknown_prices(opened.config.limits(), setup.llms.values(), setup.retriever)
    with RunStore(opened.folder, opened.lock) as store:
        await _begin(store, opened, setup)
        return await _Invocation(opened.config, setup, store, limit, on_progress).play()


class _Invocation:
    """One invocation over a run."""

    def __init__(
        self, config: Config, setup: Setup, store: RunStore, limit: int | None, on_progress: OnProgress
    ) -> None:
        self._config = config
        self._rules = config.rules()
        self._players = setup.players
        self._store = store
        self._on_progress = on_progress
        self._budget = Budget(config.limits(), store.read.usage())
        self._recorder = Recorder(store, setup.llms, setup.retriever, self._budget)
        self._schedule = SeedSchedule(config, setup.library)
        self._tally = Tally(store.read.plays(), self._schedule.total, config.items)
        self._plays_left = limit
        self._halted: QuestwellError | None = None

    async def play(self) -> Report:
        """Play until done or halted."""
        ticker = asyncio.create_task(self._tick())
        try:
            with stopping_on_signals(self._budget.stop):
                await self._play_wave(self._store.read.unplayed())
                while self._may_go_on() and (wave := self._schedule.next_wave(self._store.read)):
                    await self._store.add_seeds(wave)
                    await self._play_wave(wave)
        finally:
            ticker.cancel()
            with suppress(asyncio.CancelledError):
                await ticker
        ending, message = self._ending()
        progress = self._tell()
        return Report(ending, message, progress)

    async def _play_wave(self, seeds: Sequence[WaveSeed]) -> None:
        """Play `seeds`, some at a time, each to its end unless the run halts."""
        waiting = iter(seeds)

        async def player() -> None:
            while self._may_go_on() and (drawn := next(waiting, None)):
                if self._plays_left is not None:
                    self._plays_left -= 1
                try:
                    await self._play_one(drawn.seed)
                except QuestwellError as halt:
                    # The other plays are not cancelled: what they have in flight is paid for, so it is kept first.
                    self._halted = self._halted or halt

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._config.plays_at_once, len(seeds))):
                group.create_task(player())

    async def _play_one(self, seed: Seed) -> None:
        try:
            outcome = await play(seed, self._rules, self._players, self._recorder.sessions(seed.id))
        except QuestwellError:
            raise
        except Exception as bug:  # a bug that one seed meets must not lose the others: it is data, with its reason
            outcome = Rejected(seed, (), Reason.ERRORED, _where(bug))
        question_key = normalise(outcome.rounds[-1].proposal.question) if isinstance(outcome, Accepted) else None
        await self._store.finish(outcome, question_key)
        self._tally.count(outcome, question_key)
        if self._tally.errors_in_a_row >= self._config.max_errors:
            self._budget.stop()
        self._tell()

    def _may_go_on(self) -> bool:
        return self._halted is None and self._plays_left != 0 and not self._budget.stopping

    def _ending(self) -> tuple[Ending, str]:
        errors = self._tally.errors_in_a_row
        latest = self._store.read.latest_error() or ""
        if errors >= self._config.max_errors:
            return Ending.FAILING, f"{errors} plays in a row errored; the last one: {latest}"
        match self._halted:
            case BudgetReached():
                return Ending.BUDGET, str(self._halted)
            case Stopped():
                return Ending.STOPPED, str(self._halted)
            case QuestwellError():
                raise self._halted
            case None:
                pass
        if self._budget.stopping:
            return Ending.STOPPED, "stopped as you asked"
        unplayed = len(self._store.read.unplayed())
        if self._plays_left == 0 and (unplayed or self._schedule.next_wave(self._store.read)):
            return Ending.LIMIT, "the limit of plays for this invocation is reached"
        if unplayed:
            return Ending.ERRORED, f"{unplayed} plays errored; the last one: {latest}"
        return Ending.COMPLETE, ""

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._tell()

    def _tell(self) -> Progress:
        progress = self._tally.progress(self._recorder, self._budget)
        self._on_progress(progress)
        return progress


async def _begin(store: RunStore, opened: Run[Config], setup: Setup) -> None:
    """Save what the run is, or make sure that it is what it was."""
    config, drawn = opened.config, store.read.drawn()
    if config.seeds is not None and config.seeds < drawn:
        raise ConfigError(f"seeds = {config.seeds}: {drawn} are drawn already; seeds can be raised, not lowered")
    await store.begin(opened.compare(setup.fingerprint()))
    if config.price_in is not None and config.price_out is not None:
        await store.price(config.price_in, config.price_out)


def _where(bug: Exception) -> str:
    last = traceback.extract_tb(bug.__traceback__)[-1]
    return f"{type(bug).__name__}: {bug} (a bug in Questwell, at {Path(last.filename).name}:{last.lineno})"
