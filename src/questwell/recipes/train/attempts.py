"""Plays and rewards attempts of the policy at questions, for training and for held-out evaluation."""

from dataclasses import dataclass, replace

from questwell.agents.protocol import Malformed, read_tags
from questwell.agents.session import DirectSession
from questwell.agents.solver import Solver
from questwell.errors import LLMError, RetrievalError
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.train.setup import TrainSetup
from questwell.scoring.rewards import JudgeReward, Reward
from questwell.types.episode import Sample
from questwell.types.evaluation import Question
from questwell.types.game import Label, Place
from questwell.types.trajectory import Role, StopReason, Trajectory


@dataclass(frozen=True, slots=True)
class Played:
    """One attempt at a question."""

    question: Question
    trajectory: Trajectory
    sample: Sample | None
    """None if the attempt errored or could not be judged; it is then not trained on."""

    def row(self, step: int) -> dict[str, object]:
        """Return the attempt as a JSON row that people can read."""
        played = self.trajectory
        return {
            "step": step,
            "question": self.question.question,
            "answers": self.question.answers,
            "reward": self.sample.reward if self.sample else None,
            "answer": played.answer,
            "stop": played.stop,
            "turns": [[turn.text, turn.observation] for turn in played.turns],
        }


@dataclass(frozen=True, slots=True)
class Attempts:
    """Plays and rewards attempts with the current policy."""

    setup: TrainSetup
    recorder: Recorder | None
    """Records the judge's calls; None if no model judges."""
    seed: int
    """Random seed of the run."""

    async def play(self, question: Question, place: Place, solver: Solver) -> Played:
        """Play an attempt with `solver`; `place` names it in the run and determines its random numbers."""
        client = self.setup.trainer.client(f"{place.round}/{place.seed}/{place.attempt}")
        session = DirectSession(client, self.setup.retriever)
        trajectory = await solver.solve(question.question, session, place.random_seed(self.seed))
        return Played(question, trajectory, await _sample(question, trajectory, self._reward_at(place)))

    def _reward_at(self, place: Place) -> Reward:
        """Return the reward with recorded judge calls, so that an attempt that is played again costs nothing."""
        reward = self.setup.reward
        if self.recorder is None or not isinstance(reward, JudgeReward):
            return reward
        line = self.recorder.sessions(place.seed)(replace(place, role=Role.JUDGE))
        return replace(reward, complete=line.complete)


async def _sample(question: Question, trajectory: Trajectory, reward: Reward) -> Sample | None:
    if trajectory.stop is StopReason.ERRORED or trajectory.tokens is None:
        return None
    try:
        earned = await reward.reward(question.question, question.answers, trajectory.answer)
    except (LLMError, RetrievalError):  # a custom reward raised; our own rewards record errors in the judgement
        return None
    if earned.reward is None:
        return None
    return Sample(
        tokens=trajectory.tokens,
        reward=earned.reward,
        group=question.id,
        stratum=question.group,
        correct=earned.judgement.label is Label.RIGHT,
        searches=trajectory.searches,
        format_errors=_format_errors(trajectory),
        finished=trajectory.stop is StopReason.FINISHED,
    )


def _format_errors(trajectory: Trajectory) -> int:
    """Return the number of messages without a move."""
    return sum(isinstance(read_tags(turn.text, proposing=False), Malformed) for turn in trajectory.turns)
