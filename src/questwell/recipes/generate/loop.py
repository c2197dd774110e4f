"""The durable loop behind `questwell generate`: draws seeds, plays them and stores everything on disk.

Seeds are saved before they are played. A wave of a steered run depends only on finished waves, and a play only on its
seed and its recorded calls. So a run that is killed and resumed ends like one that is not.
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
from questwell.recipes.generate.config import MAY_CHANGE, Config
from questwell.recipes.generate.plays import GenerateReport, Plays
from questwell.recipes.generate.seeds import Order, SeedSchedule
from questwell.recipes.generate.setup import Library, Setup, open_setup
from questwell.recipes.generate.topics import of_topics, read_topics
from questwell.recipes.runs import opening
from questwell.recipes.runs.caller import DEFAULTS, Caller
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.invocation import begin, run_file
from questwell.recipes.runs.opening import Kind, Run
from questwell.recipes.runs.progress import Progress, Tally
from questwell.recipes.runs.twin import Twofold, blocking_verb, invocation
from questwell.retrieval.extras import optional
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus, WaveSeed
from questwell.store.run import RunStore
from questwell.types.game import Accepted, Rejected

KIND = Kind("generate", Config, MAY_CHANGE)
configure = partial(opening.configure, KIND)
"""Returns the config of a run, from the given values and the saved ones."""


@blocking_verb
def run(config: Config, folder: Path, caller: Caller[[Progress]] = DEFAULTS) -> Twofold[GenerateReport]:
    """Run `generate` from start to end with the setup that `config` names."""
    return invocation(
        lambda: Run(KIND, config, folder, resume=caller.resume),
        lambda: open_setup(config, caller.index_progress, lent=caller.lent),
        lambda opened, setup: _generate(opened, setup, caller),
    )


async def generate(config: Config, folder: Path, setup: Setup, caller: Caller[[Progress]] = DEFAULTS) -> GenerateReport:
    """Play the seeds that `config` asks for, until done or until budget, user or errors stop it; always resumable.

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
    with Run(KIND, config, folder, resume=caller.resume) as opened:
        return await _generate(opened, setup, caller)


async def _generate(opened: Run[Config], setup: Setup, caller: Caller[[Progress]]) -> GenerateReport:
    async with begun(opened, setup) as (store, schedule):
        return await _Invocation(opened, setup, store, caller, schedule).play()


@asynccontextmanager
async def begun(opened: Run[Config], setup: Setup) -> AsyncGenerator[tuple[RunStore, SeedSchedule]]:
    """Yield the run file and the seed schedule of a new run, or of a resumed one that is unchanged.

    Raises:
        ConfigError: a cost limit is set, but a model's price is unknown.
        ConfigChanged: the existing run was started with other settings.
    """
    order, made_by = await _order(opened.config, setup.library)
    with run_file(opened, setup.llms.values(), setup.retriever) as store:
        await _begin(store, opened, setup, made_by)
        yield store, SeedSchedule(opened.config, setup.library, order)


async def _order(config: Config, library: Library) -> tuple[Order | None, dict[str, str]]:
    """Return the passages where plays may start and what that depends on besides the config; None means anywhere."""
    if config.topics is not None:
        topics = read_topics(config.topics)
        starts = await of_topics(topics, library, config.seed)
        return lambda: iter(starts), {"topics": opening.digest(topics)}
    if config.clusters is not None:
        optional("numpy", "dense")
        from questwell.recipes.generate.clusters import Clusters  # needs the extra `dense`

        made = await asyncio.to_thread(Clusters, library, config.clusters, config.seed, config.seed_words)
        return made.in_turn, {"clusters": made.made_by}
    return None, {}


class _Invocation:
    """One invocation of a run."""

    def __init__(
        self,
        opened: Run[Config],
        setup: Setup,
        store: RunStore,
        caller: Caller[[Progress]],
        schedule: SeedSchedule,
    ) -> None:
        config = self._config = opened.config
        self._rules = config.rules()
        self._players = setup.players
        self._store = store
        self._schedule = schedule
        self._known = -1, 0, KnownQuestions(())
        """A wave, its first seed, and the questions accepted in earlier waves."""
        tally = Tally(store.read, self._schedule.total, config.items)
        self._plays = Plays(opened, setup, store, tally, caller)

    async def play(self) -> GenerateReport:
        """Play until done or halted."""
        workers, read = self._plays.workers, self._store.read
        async with workers.running(self._plays.tell):
            if not self._config.steered:
                await workers.run(read.each_unplayed(), self._play_one, self._draw)
            else:
                await workers.run(read.each_unplayed(), self._play_one)
                while workers.may_go_on() and (wave := await self._draw()):
                    await workers.run(wave, self._play_one)
        unplayed = read.left()
        ended = self._plays.ending(unplayed, left=bool(unplayed or self._schedule.next_wave(read)))
        progress = self._plays.tell()
        if ended.ending is Ending.COMPLETE and (short := self._short(progress.accepted)):
            ended = Report(Ending.EXHAUSTED, short)
        return GenerateReport(ended.ending, ended.message, ended.go_on, progress=progress)

    async def _draw(self) -> list[WaveSeed]:
        """Draw and save the next wave; empty if nothing is left to play."""
        return await self._store.add_seeds(self._schedule.next_wave(self._store.read))

    async def _play_one(self, drawn: WaveSeed) -> str | None:
        """Play a seed to its end; returns why it errored, or None."""

        def begin(sessions: Sessions) -> Awaitable[Accepted | Rejected]:
            return play(drawn.seed, self._rules, self._players, sessions, self._known_before(drawn.wave))

        return await self._plays.play(drawn.seed, begin)

    def _known_before(self, wave: int) -> Known | None:
        """Return the questions accepted in earlier, finished waves, so that no play depends on the timing of others."""
        if self._config.near_duplicates == "keep":
            return None
        known_wave, first, known = self._known
        if wave < known_wave:  # a seed of an earlier wave errored and is played again
            return KnownQuestions(_accepted_before(self._store.read, wave)).near
        if wave > known_wave:
            known = known.and_also(_accepted_before(self._store.read, wave, first))
            self._known = wave, self._store.read.first_of_wave(wave), known
        return known.near

    def _short(self, accepted: int) -> str:
        """Return why fewer items were made than requested although all seeds were played; empty if enough were made."""
        config, drawn = self._config, self._store.read.drawn()
        if config.items is not None and accepted >= config.items:
            return ""
        return "" if config.seeds is not None and drawn >= config.part.size(config.seeds) else too_few(config, drawn)


def _accepted_before(run: RunReader, wave: int, first: int = 0) -> Iterator[tuple[str, str]]:
    """Yield questions and answers accepted in waves before `wave`, starting at seed `first`."""
    for one in itertools.takewhile(lambda one: one.wave < wave, run.each_play(first)):
        if one.status is PlayStatus.ACCEPTED:
            yield one.question or "", one.answer or ""


def too_few(config: Config, drawn: int) -> str:
    """Return the message that the corpus has only `drawn` seeds, fewer than requested."""
    wanted = f"{config.items} items" if config.seeds is None else f"{config.part.size(config.seeds)} seeds"
    return (
        f"the corpus offers {drawn} seeds, too few for {wanted}: only passages of {config.seed_words} words or "
        "more start a play, with --distinct-seeds none that is nearly another, with --topics none about others; name a "
        "larger corpus or lower --seed-words in a new run"
    )


async def _begin(store: RunStore, opened: Run[Config], setup: Setup, starts: Mapping[str, str]) -> None:
    """Save the description of a new run, or check that a resumed run is unchanged."""
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
