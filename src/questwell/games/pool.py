"""The pool of earlier problems, which fills slots whose proposal failed (SSP, arXiv 2510.18821)."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from questwell.types.selfplay import Problem


class EmptySlots(StrEnum):
    """How a slot without a valid proposal is filled; the paper compares these four ways."""

    PERIODIC_RESET = "periodic-reset"
    """Use a problem from the pool, which is cleared at intervals (48.7 in the paper's table)."""
    FULL_REUSE = "full-reuse"
    """Use a problem from the pool, which is never cleared (44.4)."""
    RESAMPLING = "dynamic-resampling"
    """Try a few more proposals from other answers (42.4)."""
    DUMMY = "dummy"
    """Leave the slot empty, so that it trains no solver (41.4)."""

    @property
    def pools(self) -> bool:
        """Whether this pool reuses earlier problems."""
        return self in (EmptySlots.PERIODIC_RESET, EmptySlots.FULL_REUSE)


@dataclass(frozen=True, slots=True)
class Pool:
    """Problems of earlier steps. It is immutable: each step makes the next pool, and a checkpoint stores it."""

    empty_slots: EmptySlots = EmptySlots.PERIODIC_RESET
    reset_every: int = 10
    """Number of steps between clearings, for pools that are cleared."""
    problems: tuple[Problem, ...] = ()

    def draw(self, count: int, random_seed: str) -> tuple[Problem, ...]:
        """`count` problems from the pool, fixed by `random_seed`.

        Problems are repeated only if the pool has fewer; an empty pool returns none.
        """
        if not self.problems or not self.empty_slots.pools:
            return ()
        rng = random.Random(random_seed)
        whole, rest = divmod(count, len(self.problems))
        drawn = [problem for _ in range(whole) for problem in rng.sample(self.problems, len(self.problems))]
        return (*drawn, *rng.sample(self.problems, rest))

    def after(self, step: int, made: Iterable[Problem]) -> "Pool":
        """The pool after step number `step` (from 1), whose valid proposals are `made`."""
        if not self.empty_slots.pools:
            return self
        cleared = self.empty_slots is EmptySlots.PERIODIC_RESET and step % self.reset_every == 0
        return replace(self, problems=() if cleared else (*self.problems, *made))

    def age(self, step: int) -> float | None:
        """Mean number of steps since the problems were made; None for an empty pool."""
        return sum(step - problem.step for problem in self.problems) / len(self.problems) if self.problems else None
