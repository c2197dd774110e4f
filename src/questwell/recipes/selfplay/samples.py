"""Turns episodes into training samples: one per rewarded trajectory, with the group that it is compared with."""

from collections.abc import Iterable, Sequence

from questwell.types.episode import Sample
from questwell.types.selfplay import Episode
from questwell.types.trajectory import Role, StopReason, Trajectory


def solver_samples(episodes: Iterable[Episode]) -> list[Sample]:
    """Return the scored attempts as samples; those of one slot are compared with each other (GRPO)."""
    samples: list[Sample] = []
    for slot, episode in enumerate(episodes):
        for attempt, reward in zip(episode.attempts, episode.solver_rewards, strict=True):
            tokens = attempt.trajectory.tokens
            if reward is None or tokens is None or episode.problem is None:
                continue
            samples.append(
                Sample(
                    tokens=tokens,
                    reward=reward,
                    group=f"{slot}/{episode.problem.id}",
                    role=Role.SOLVER,
                    stratum=str(episode.problem.hops),
                    correct=attempt.right,
                    searches=attempt.trajectory.searches,
                    format_errors=_format_errors(attempt.trajectory),
                    finished=attempt.trajectory.stop is StopReason.FINISHED,
                )
            )
    return samples


def proposer_samples(episodes: Sequence[Episode], proposals: int = 1) -> list[Sample]:
    """Return the rewarded proposals as samples (a reward of 0 counts). The hops requested are their stratum.

    Each `proposals` consecutive episodes are for one answer and form one group (GRPO).
    """
    samples: list[Sample] = []
    for slot, episode in enumerate(episodes):
        proposed = episode.proposed
        tokens = proposed.trajectory.tokens
        if episode.proposer_reward is None or tokens is None:
            continue
        samples.append(
            Sample(
                tokens=tokens,
                reward=episode.proposer_reward,
                group=episodes[slot - slot % proposals].proposed.seed.id,
                role=Role.PROPOSER,
                stratum=str(proposed.seed.hops),
                searches=proposed.trajectory.searches,
                format_errors=_format_errors(proposed.trajectory),
                finished=proposed.trajectory.stop is StopReason.FINISHED,
            )
        )
    return samples


def _format_errors(trajectory: Trajectory) -> int:
    """Count the messages that were no valid move: neither a search nor the end."""
    idle = sum(turn.query is None for turn in trajectory.turns)
    return idle - (trajectory.stop is StopReason.FINISHED)
