"""Implements `generate --dry-run`: shows what a run would do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from questwell.agents.reader import MOST_LISTED
from questwell.games.rules import Variant
from questwell.llm.openai import OpenAIClient
from questwell.llm.prices import Usage
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.forecast import Forecast, forecast
from questwell.recipes.generate.reading import Reading, reading
from questwell.recipes.generate.setup import Setup, open_setup, turn_tokens
from questwell.recipes.runs.agents import is_free
from questwell.recipes.runs.budget import refuse_unknown_prices
from questwell.recipes.runs.caller import IndexProgress
from questwell.store.query import begun
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.types.gates import Gate
from questwell.types.trajectory import Role, Style

_REPAIR_CALLS = 2


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do."""

    corpus: str
    passages: int
    snapshot: str
    retriever: str
    """Name of the retriever that agents search."""
    models: dict[Role, str]
    styles: dict[Role, Style]
    seeds: int | None
    """Number of seeds to play; None if the run stops at a number of items instead."""
    items: int | None
    finished: int
    """Number of seeds already played, if the run exists."""
    most_calls_per_seed: int
    """Upper bound on model calls per seed; few seeds reach it."""
    most_written_per_seed: int | None
    """Upper bound on tokens that models write per seed. None if an agent is staged: its calls have their own limits.
    Input tokens are not included.
    own. What they read comes on top."""
    most_written_usd_per_seed: float | None
    """Cost of writing that many tokens in US dollars; None if a price is unknown."""
    reading: Reading | None = None
    """Estimated input tokens per seed; None if an agent is staged."""
    forecast: Forecast | None = None
    """Forecast for the remaining seeds from those already played; None if there are too few."""

    @property
    def most_calls(self) -> int | None:
        """Upper bound on the remaining model calls; None if the run stops at a number of items."""
        return None if self.seeds is None else max(self.seeds - self.finished, 0) * self.most_calls_per_seed


def preview(config: Config, folder: Path | None, index_progress: IndexProgress | None = None) -> Preview:
    """Return what `generate` would do with the same arguments. Builds the index; calls no model."""
    setup = open_setup(config, index_progress)
    most, finished = _most(config, setup.players.judge.asks), 0 if folder is None else _finished(folder)
    bounded = all(style is Style.FREE for role, style in setup.styles.items() if role is not Role.JUDGE)
    refuse_unknown_prices(config.limits(), setup.llms.values(), setup.retriever)
    return Preview(
        corpus=config.corpus,
        passages=len(setup.library),
        snapshot=setup.library.snapshot,
        retriever=setup.retriever.name,
        models={role: llm.name for role, llm in setup.llms.items()},
        styles=dict(setup.styles),
        seeds=None if config.seeds is None else min(config.seeds, len(setup.library)),
        items=config.items,
        finished=finished,
        most_calls_per_seed=sum(one.calls for one in most),
        most_written_per_seed=sum(one.calls * one.tokens for one in most) if bounded else None,
        most_written_usd_per_seed=_cost(config, setup, most) if bounded else None,
        reading=reading(config, setup) if bounded and len(setup.library) else None,
        forecast=forecast(folder, len(setup.library)) if folder is not None and finished else None,
    )


@dataclass(frozen=True, slots=True)
class _Most:
    """Maximum number of calls of one role, and of tokens that each may write."""

    role: Role
    calls: int
    tokens: int


def _most(config: Config, asks: int) -> list[_Most]:
    """Return the maximum calls that a seed may take, by role."""
    rounds = 1 if config.variant is Variant.INITIAL else 1 + config.rounds
    proposal = config.proposer_turns + 1  # plus the forced last turn
    proposals = rounds * proposal if config.variant is Variant.RESAMPLE else proposal + (rounds - 1) * _REPAIR_CALLS
    checked = rounds if config.gate_feedback else 1
    gates = config.gates or ()
    judged = rounds * config.attempts + checked * sum(MOST_LISTED if gate is Gate.UNIQUE else 1 for gate in gates)
    found = [
        _Most(Role.PROPOSER, proposals, turn_tokens(config, Role.PROPOSER)),
        _Most(Role.SOLVER, rounds * config.attempts * config.solver_turns, turn_tokens(config, Role.SOLVER)),
        _Most(Role.SOLVER, checked * len(gates), config.reading_tokens(config.model_of(Role.SOLVER))),
    ]
    if config.weak_mode is not None:
        turns = config.solver_turns if config.weak_mode == "search" else 1
        judged += rounds * config.weak_attempts
        found.append(_Most(Role.WEAK, rounds * config.weak_attempts * turns, turn_tokens(config, Role.WEAK)))
    return [*found, _Most(Role.JUDGE, judged * asks, config.judging_tokens(config.model_of(Role.JUDGE)))]


def _cost(config: Config, setup: Setup, most: Sequence[_Most]) -> float | None:
    """Return the cost if the models wrote as much as they may; None if a price is unknown."""
    total = 0.0
    for one in most:
        llm = setup.llms[one.role]
        if is_free(config.model_of(one.role)):
            continue
        cost = llm.quote(Usage(0, one.calls * one.tokens)) if isinstance(llm, OpenAIClient) else None
        if cost is None:
            return None
        total += cost
    return total


def _finished(folder: Path) -> int:
    if not begun(folder):
        return 0
    with RunReader(folder) as run:
        return sum(play.status is not PlayStatus.PENDING for play in run.each_play())
