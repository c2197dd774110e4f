"""Self-play for an engine that hands out rows one by one, such as verl: each row takes one slot of a batch.

When all slots of a step are taken, `games/ssp.py` plays the step once, and each row gets its episode. Steps are saved
as in a run on one machine. The pool is rebuilt from the saved steps, so an engine that resumes from its own checkpoint
needs nothing else.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, TypeAdapter

from questwell.errors import ConfigError, StoreError
from questwell.games.pool import Pool
from questwell.games.ssp import StepContext, play
from questwell.llm.client import LLM
from questwell.recipes.runs import description
from questwell.recipes.runs.budget import Budget, SpendingLimits
from questwell.recipes.runs.config import resolve_saved
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.selfplay.alarms import alarms
from questwell.recipes.selfplay.config import Config, Trained
from questwell.recipes.selfplay.metrics import reasons, step_metrics
from questwell.recipes.selfplay.record import Record, StepRow
from questwell.recipes.selfplay.sessions import rollout_name, sessions, verifies
from questwell.recipes.selfplay.setup import Environment, open_environment
from questwell.store.run import RunStore
from questwell.training.engines.verl.together import LearntRollout, Lines
from questwell.types.game import Place
from questwell.types.selfplay import AnswerSeed, Episode
from questwell.types.trajectory import Role

_L = TypeVar("_L", bound=Lines)


@dataclass(frozen=True, slots=True)
class Slot:
    """The position of a row."""

    slot: int
    """Number of the slot in its batch, from 0."""
    slots: int
    """Number of rows in its batch: two per slot, the proposer's and the solver's."""
    seed: AnswerSeed


_SLOT = TypeAdapter(Slot)


def _read(text: str) -> Slot:
    return _SLOT.validate_json(text)


class Row(BaseModel):
    """The `extra_info` of a row, without the entries that verl itself reads."""

    table: int
    role: Role
    slot: Annotated[Slot, BeforeValidator(_read)]
    """Slot as JSON, so that parquet need not know its structure."""


@dataclass(slots=True)
class _Round:
    """One step of a batch."""

    lines: Lines
    seeds: dict[int, AnswerSeed] = field(default_factory=dict[int, AnswerSeed])
    full: asyncio.Event = field(default_factory=asyncio.Event)
    playing: "asyncio.Task[tuple[Episode, ...]] | None" = None


class StepBatch:
    """One share of every step: its slots are played and verified together, and share one pool."""

    def __init__(self, record: Record, config: Config, environment: Environment, recorder: Recorder) -> None:
        """Play by `config`, and save what was played in `record`."""
        self.config = config
        self._record = record
        self._environment = environment
        self._recorder = recorder
        self._pool: Pool | None = None
        self._rounds: dict[int, _Round] = {}

    async def episode_of(self, step: int, slot: Slot, lines: Lines) -> tuple[Episode, Lines]:
        """Return the episode of a slot once all slots of the step are taken, and the sessions that played it.

        The sessions are those of the step's first row: all rows of a step use the same policy.

        Raises:
            QuestwellError: the play failed; raised for each row of the step.
        """
        if step not in self._rounds:
            self._rounds = {
                step: _Round(lines)
            }  # the previous step is over: an engine learns from it before it continues
        at = self._rounds[step]
        at.seeds[slot.slot] = slot.seed
        if at.playing is None and len(at.seeds) == slot.slots:
            at.playing = asyncio.create_task(self._play(step, [at.seeds[slot] for slot in sorted(at.seeds)], at.lines))
            at.full.set()
        await at.full.wait()
        assert at.playing is not None
        return (await asyncio.shield(at.playing))[slot.slot], at.lines

    async def _play(self, number: int, seeds: Sequence[AnswerSeed], lines: Lines) -> tuple[Episode, ...]:
        """Play and save one step."""
        if self._pool is None:
            self._pool = pool_before(number, self._record, self.config.pool())
            self._record.cut(number - 1)
        started = time.perf_counter()
        world = self._environment.world

        def policy(place: Place) -> LLM:
            return lines.open(rollout_name(place), learnt=not verifies(place))

        talking = sessions(policy, world.retriever, self._recorder)
        step = StepContext(number, self.config.rules(), self._environment.players, talking, self._pool, _no_more)
        episodes = await play(seeds, step)
        self._pool = self._pool.after(number, (problem for episode in episodes if (problem := episode.made)))
        seconds = time.perf_counter() - started
        timing = {"seconds": seconds, "play_s": seconds, "tokens_per_s": _sampled(episodes) / seconds}
        row = StepRow(
            number, step_metrics(episodes, self._pool, number, world.truth), reasons(episodes), {}, (), timing
        )
        row = replace(row, alarms=alarms([*self._record.rows(), row]))
        self._record.add(row, episodes)
        return episodes


class SelfplayBatches:
    """The batches of a run, as `StepBatches`; each worker of verl opens its own."""

    def __init__(self, folder: str, rows: int, workers: int) -> None:
        """Open the batches of the run in `folder`, which `recipes/selfplay/verl.py` has set up."""
        self._folder = Path(folder)
        self.rows = rows
        self.workers = workers

    async def play(self, row: Mapping[str, Any], step: int, attempt: int, lines: _L) -> tuple[LearntRollout | None, _L]:
        """See `StepBatches.play`."""
        found = Row.model_validate(row)
        table = batch_in(self._folder / "tables" / str(found.table))
        episode, by = await table.episode_of(step, found.slot, lines)
        return learnt_of(episode, found.role, attempt, step, table.config.train), cast(_L, by)


@lru_cache(maxsize=4)
def batch_in(folder: Path) -> StepBatch:
    """Return the batch that saves its steps in `folder`; opened once per process.

    Raises:
        StoreError: there is none; `recipes/selfplay/verl.py` creates them.
    """
    record = Record(folder)
    info = description.read(folder)
    if info is None:
        raise StoreError(f"{str(folder)!r} contains no batch of self-play; is the run's folder on every machine?")
    config = resolve_saved(Config, info)
    environment = open_environment(config)
    store = RunStore(folder / "calls")
    budget = Budget(SpendingLimits(), store.read.usage())
    return StepBatch(
        record, config, environment, Recorder(store, environment.llms, environment.world.retriever, budget)
    )


def pool_before(step: int, record: Record, pool: Pool) -> Pool:
    """Return the pool before step number `step`, rebuilt from the saved earlier steps.

    Raises:
        StoreError: an earlier step is not saved.
    """
    if not pool.empty_slots.pools:
        return pool
    for number in range(1, step):
        pool = pool.after(number, (problem for episode in record.episodes(number) if (problem := episode.made)))
    return pool


def learnt_of(episode: Episode, role: Role, attempt: int, step: int, trained: Trained) -> LearntRollout | None:
    """Return the training data of the proposer's rollout of a slot, or of one solver attempt; None if there is none.

    None also for an attempt whose siblings all failed: alone in its group, verl's GRPO would give it its raw reward.
    """
    if role is Role.PROPOSER:
        reward, trajectory = episode.proposer_reward, episode.proposed.trajectory
        wanted = trained is not Trained.SOLVER
    else:
        if attempt >= len(episode.attempts):
            return None
        reward, trajectory = episode.solver_rewards[attempt], episode.attempts[attempt].trajectory
        wanted = trained is not Trained.PROPOSER and episode.scored > 1
    if not wanted or reward is None:
        return None
    return LearntRollout(rollout_name(Place(episode.proposed.seed.id, step, role, attempt)), trajectory, reward)


def _sampled(episodes: Sequence[Episode]) -> int:
    """Return the number of tokens that the policy wrote."""
    rollouts = [episode.proposed.trajectory for episode in episodes]
    rollouts += [attempt.trajectory for episode in episodes for attempt in episode.attempts]
    return sum(sum(rollout.tokens.response_mask) for rollout in rollouts if rollout.tokens)


def _no_more(count: int) -> Sequence[AnswerSeed]:
    """Raise ConfigError: rows bring their own answers, so no more can be drawn."""
    raise ConfigError(f"{count} further answers were requested, but an engine that hands out rows has none")
