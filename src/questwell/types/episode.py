"""What a game or a recipe hands to training: trajectories with their rewards. Training knows no game."""

from dataclasses import dataclass

from questwell.types.trajectory import Role, TokenView


@dataclass(frozen=True, slots=True)
class Sample:
    """One rewarded trajectory: the unit that an algorithm turns into advantages."""

    tokens: TokenView
    reward: float
    """Reward of the whole trajectory, paid at the last token that the model wrote."""
    group: str
    """Id of what it is compared with: GRPO subtracts the mean of equal ids (attempts at one question)."""
    role: Role = Role.SOLVER
    """Each role may be trained by another algorithm."""
    stratum: str = ""
    """Id of its kind, such as the number of hops: REINFORCE may subtract the mean of equal ids."""
    correct: bool | None = None
    """Whether the answer was right; None when it has no answer to judge (a proposer's). Reported, not trained on."""
    searches: int = 0
    """Number of search steps. Reported, not trained on."""
    format_errors: int = 0
    """Number of messages without a move. Reported, not trained on."""
    finished: bool = True
    """The agent ended by itself within its budget. Reported, not trained on."""
