"""Interfaces of games that play several verl rows as one batch; `batch_loop.py` calls them. Needs no verl.

The engine knows no game: `agent.yaml` names the player, such as `recipes/selfplay/verl_batch.py` for self-play.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from questwell.llm.client import LLM
from questwell.types.trajectory import Trajectory


class Lines(Protocol):
    """Opens clients of the policy, one per rollout."""

    def open(self, name: str, *, learnt: bool) -> LLM:
        """Return a client for the rollout `name`. If it is not `learnt` from, it samples at its own temperature."""
        ...


_L = TypeVar("_L", bound=Lines)


@dataclass(frozen=True, slots=True)
class LearntRollout:
    """The part of a rollout that training uses."""

    rollout: str
    """Name under which the rollout's client was opened."""
    trajectory: Trajectory
    reward: float


class StepBatches(Protocol):
    """Plays the rows of a step in batches."""

    rows: int
    """Number of rows in a step."""
    workers: int
    """Number of verl workers; each gets an equal share of the rows."""

    async def play(self, row: Mapping[str, Any], step: int, attempt: int, lines: _L) -> tuple[LearntRollout | None, _L]:
        """Play an attempt at a row; return the rollout to learn from (or None) and the clients that played it.

        Args:
            row: `extra_info` of the row.
            step: step of the run, from 1.
            attempt: number of the attempt within the row's group.
            lines: clients of the policy; those of one row may play the whole batch.
        """
        ...
