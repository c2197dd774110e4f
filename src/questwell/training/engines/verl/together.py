"""Rows of verl that are played together: what their loop (`batch_loop.py`) asks of whoever plays them. Needs no verl.

The engine knows no game: who plays is named in `agent.yaml`, as `recipes/selfplay/verl_batch.py` for self-play.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from questwell.llm.client import LLM
from questwell.types.trajectory import Trajectory


class Lines(Protocol):
    """Lines to the policy, one per rollout."""

    def open(self, name: str, *, learnt: bool) -> LLM:
        """A line for the rollout `name`. One that is not learnt from is sampled at the temperature that it asks for."""
        ...


_L = TypeVar("_L", bound=Lines)


@dataclass(frozen=True, slots=True)
class LearntRollout:
    """The part of a rollout that training uses."""

    rollout: str
    """Its name, as its line was opened."""
    trajectory: Trajectory
    reward: float


class StepBatches(Protocol):
    """Plays rows in batches."""

    rows: int
    """Number of rows in a step."""
    workers: int
    """Number of workers of verl, each with an equal share of the rows."""

    async def play(self, row: Mapping[str, Any], step: int, attempt: int, lines: _L) -> tuple[LearntRollout | None, _L]:
        """What is learnt from an attempt at a row, None is nothing, and the lines by which it was played.

        Args:
            row: its `extra_info`.
            step: of the run, from 1.
            attempt: which member of the row's group.
            lines: to the policy; those of one row may serve for all.
        """
        ...
