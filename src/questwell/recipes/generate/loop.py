"""The durable loop behind `questwell generate`: seeds in, plays out, everything on the disk.

Seeds are kept before they are played. A wave of a steered run depends on finished waves only, and a play on nothing but
its seed and its recorded calls, so a run that was killed and resumed ends like one that was not.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from questwell.agents.prompts import CHECKED, KINDS, Prompts
from questwell.agents.session import Sessions
from questwell.datasets.dedup import KnownQuestions
from questwell.errors import ConfigError
from questwell.games.sage import Known, play
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate.config import MAY_CHANGE, Config
from questwell.recipes.generate.plays import GenerateReport, Plays
from questwell.recipes.generate.seeds import Order, SeedSchedule
from questwell.recipes.generate.setup import Library, Setup, open_setup
from questwell.recipes.generate.topics import of_topics, read_topics
from questwell.recipes.runs import opening
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.invocation import begin, run_file
from questwell.recipes.runs.lent import Lent
from questwell.recipes.runs.opening import Kind, Run
from questwell.recipes.runs.progress import OnProgress, Tally
from questwell.recipes.runs.twin import Twofold, blocking_verb, invocation
from questwell.retrieval.extras import optional
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus, WaveSeed
from questwell.store.run import RunStore
from questwell.types.game import Accepted, Rejected

KIND = Kind("generate", Config, MAY_CHANGE)
configure = partial(opening.configure, KIND)
"""The config of a run, from what is given and what the run has saved."""


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
    """`generate` with the setup that `config` names, from start to end."""
    return invocation(
        lambda: Run(KIND, config, folder, resume=resume),
        lambda: open_setup(config, index_progress, lent=lent),
        lambda opened, setup: _generate(opened, setup, limit, on_progress),
    )


async def generate(
    config: Config,
    folder: Path,
    setup: Setup,
    *,
    resume: bool = False,
    limit: int | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> GenerateReport:
    """Play the seeds that `config` asks for, as far as budget, user and errors let it; resumable at any time.

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
    with Run(KIND, config, folder, resume=resume) as opened:
        return await _generate(opened, setup, limit, on_progress)


async def _generate(opened: Run[Config], setup: Setup, limit: int | None, on_progress: OnProgress) -> GenerateReport:
    async with begun(opened, setup) as (store, schedule):
        return await _Invocation(opened, setup, store, limit, on_progress, schedule).play()


@asynccontextmanager
async def begun(opened: Run[Config], setup: Setup) -> AsyncGenerator[tuple[RunStore, SeedSchedule]]:
    """The file of a run that was begun, or is the same as before, and its seeds.

    Raises:
        ConfigError: a limit of money is asked for, and a model's price is not known.
        ConfigChanged: the run that is there was started with something else.
    """
    order, made_by = await _order(opened.config, setup.library)
    with run_file(opened, setup.llms.values(), setup.retriever) as store:
        await _begin(store, opened, setup, made_by)
        yield store, SeedSchedule(opened.config, setup.library, order)


async def _order(config: Config, library: Library) -> tuple[Order | None, dict[str, str]]:
    """Where plays start, and what decides that beyond the config; None: anywhere."""
    if config.topics is not None:
        topics = read_topics(config.topics)
        starts = await of_topics(topics, library, config.seed)
        return lambda: iter(starts), {"topics": opening.digest(*topics)}
    if config.clusters is not None:
        optional("numpy", "dense")
        from questwell.recipes.generate.clusters import Clusters  # needs the extra

        made = await asyncio.to_thread(Clusters, library, config.clusters, config.seed, config.seed_words)
        return made.in_turn, {"clusters": made.made_by}
    return None, {}


class _Invocation:
    """One invocation over a run."""

    def __init__(
        self,
        opened: Run[Config],
        setup: Setup,
        store: RunStore,
        limit: int | None,
        on_progress: OnProgress,
        schedule: SeedSchedule,
    ) -> None:
        config = self._config = opened.config
        self._rules = config.rules()
        self._players = setup.players
        self._store = store
        self._schedule = schedule
        self._known = -1, 0, KnownQuestions(())
        """A wave, its first seed, and the questions accepted in waves before it."""
        tally = Tally(store.read, self._schedule.total, config.items)
        self._plays = Plays(opened, setup, store, tally, on_progress, limit)

    async def play(self) -> GenerateReport:
        """Play until done or halted."""
        workers, read = self._plays.workers, self._store.read
        async with workers.running(self._plays.tell):
            if not self._config.steered:
                await workers.run(read.unplayed(), self._play_one, self._draw)
            else:
                await workers.run(read.unplayed(), self._play_one)
                while workers.may_go_on() and (wave := await self._draw()):
                    await workers.run(wave, self._play_one)
        unplayed = read.unplayed()
        ended = self._plays.ending(unplayed, left=bool(unplayed or self._schedule.next_wave(read)))
        progress = self._plays.tell()
        if ended.ending is Ending.COMPLETE and (short := self._short(progress.accepted)):
            ended = Report(Ending.EXHAUSTED, short)
        return GenerateReport(ended.ending, ended.message, ended.go_on, progress=progress)

    async def _draw(self) -> list[WaveSeed]:
        """The next wave, kept; none when there is nothing more to play."""
        return await self._store.add_seeds(self._schedule.next_wave(self._store.read))

    async def _play_one(self, drawn: WaveSeed) -> str | None:
        """Play a seed to its end; why it errored, if it did."""

        def begin(sessions: Sessions) -> Awaitable[Accepted | Rejected]:
            return play(drawn.seed, self._rules, self._players, sessions, self._known_before(drawn.wave))

        return await self._plays.play(drawn.seed, begin)

    def _known_before(self, wave: int) -> Known | None:
        """Questions accepted in waves before this one, which are finished: so no play depends on others' timing."""
        if self._config.near_duplicates == "keep":
            return None
        known_wave, first, known = self._known
        if wave < known_wave:  # a seed of an earlier wave errored, and is played again
            return KnownQuestions(_accepted_before(self._store.read, wave)).near
        if wave > known_wave:
            known = known.and_also(_accepted_before(self._store.read, wave, first))
            self._known = wave, self._store.read.first_of_wave(wave), known
        return known.near

    def _short(self, accepted: int) -> str:
        """Why less was made than asked for, though all that the corpus offers was played; empty when nothing is."""
        config, drawn = self._config, self._store.read.drawn()
        if config.items is not None and accepted >= config.items:
            return ""
        return "" if config.seeds is not None and drawn >= config.part.size(config.seeds) else too_few(config, drawn)


def _accepted_before(run: RunReader, wave: int, first: int = 0) -> Iterator[tuple[str, str]]:
    """Questions and answers accepted in waves before `wave`, from seed `first` on."""
    for one in itertools.takewhile(lambda one: one.wave < wave, run.each_play(first)):
        if one.status is PlayStatus.ACCEPTED:
            yield one.question or "", one.answer or ""


def too_few(config: Config, drawn: int) -> str:
    """A message that the corpus has only `drawn` seeds, fewer than asked for."""
    wanted = f"{config.items} items" if config.seeds is None else f"{config.part.size(config.seeds)} seeds"
    return (
        f"the corpus offers {drawn} seeds, too few for {wanted}: only passages of {config.seed_words} words or "
        "more start a play, with --distinct-seeds none that is nearly another, with --topics none about others; name a "
        "larger corpus or lower --seed-words in a new run"
    )


async def _begin(store: RunStore, opened: Run[Config], setup: Setup, starts: Mapping[str, str]) -> None:
    """Save what the run is, or make sure that it is what it was."""
    config, drawn = opened.config, store.read.drawn()
    if config.seeds is not None and config.part.size(config.seeds) < drawn:
        raise ConfigError(
            f"seeds = {config.seeds}: {drawn} have been drawn already; --seeds can be raised, not lowered"
        )
    prompts = Prompts(config.prompts)
    later = {"check prompts": prompts.hash_of(CHECKED)} if config.repairs_checked else {}
    if config.kinds is not None:
        later["kind prompts"] = prompts.hash_of(KINDS)
    await begin(opened, store, {**setup.fingerprint(), **later, **starts})
