"""Slots whose proposal failed, and the pool of earlier problems that fills them (SSP, arXiv 2510.18821)."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from questwell.types.selfplay import Problem


class EmptySlots(StrEnum):
    """How a slot without a valid proposal is filled: the four ways that the paper compares."""

    PERIODIC_RESET = "periodic-reset"
    """A problem from the pool, which is cleared every so many steps (48.7 in the paper's table)."""
    FULL_REUSE = "full-reuse"
    """A problem from the pool, which is never cleared (44.4)."""
    RESAMPLING = "dynamic-resampling"
    """Another proposal, from another answer, a few times (42.4)."""
    DUMMY = "dummy"
    """Leave it empty: the slot trains no solver (41.4)."""

    @property
    def pools(self) -> bool:
        """Whether this pool reuses earlier problems."""
        return self in (EmptySlots.PERIODIC_RESET, EmptySlots.FULL_REUSE)


@dataclass(frozen=True, slots=True)
class Pool:
    """Problems of earlier steps. A value: each step makes the next one, and a checkpoint keeps it."""

    empty_slots: EmptySlots = EmptySlots.PERIODIC_RESET
    reset_every: int = 10
    """Number of steps between clearings, for pools that are cleared."""
    problems: tuple[Problem, ...] = ()

    def draw(self, count: int, random_seed: str) -> tuple[Problem, ...]:
        """`count` problems, fixed by `random_seed`.

        Repeats one only if the pool has fewer; an empty pool gives none.
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
        """Mean number of steps since its problems were made; None for an empty pool."""
        return sum(step - problem.step for problem in self.problems) / len(self.problems) if self.problems else None
