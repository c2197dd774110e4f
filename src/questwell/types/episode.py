"""Rewarded trajectories, which games and recipes pass to training. Training knows no game."""

from dataclasses import dataclass

from questwell.types.trajectory import Role, TokenView


@dataclass(frozen=True, slots=True)
class Sample:
    """One rewarded trajectory: the unit that an algorithm turns into advantages."""

    tokens: TokenView
    reward: float
    """Reward of the whole trajectory, given at the last token that the model wrote."""
    group: str
    """Id of its group, such as the attempts at one question: GRPO subtracts the group's mean reward."""
    role: Role = Role.SOLVER
    """Role of the agent; each role may be trained with another algorithm."""
    stratum: str = ""
    """Id of its stratum, such as the number of hops: REINFORCE may subtract the stratum's mean reward."""
    correct: bool | None = None
    """Whether the answer was right; None without an answer to judge (proposers). Reported, not trained on."""
    searches: int = 0
    """Number of search steps. Reported, not trained on."""
    format_errors: int = 0
    """Number of messages without a move. Reported, not trained on."""
    finished: bool = True
    """Whether the agent ended by itself within its budget. Reported, not trained on."""
