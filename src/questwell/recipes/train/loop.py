"""The loop behind `questwell train`: draw questions, play attempts, reward them, update, keep; resumable at any step.

Every random choice follows from the run's seed, the step and the question, so a checkpoint needs no more than the
trainer's state: a run that was killed goes on as if nothing had happened.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from questwell.agents.protocol import Malformed, read_tags
from questwell.agents.session import DirectSession
from questwell.errors import LLMError, NothingJudged, RetrievalError, TrainingCollapsed
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.runs import opening
from questwell.recipes.runs.budget import Budget, SpendingLimits
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.files import cut
from questwell.recipes.runs.opening import Kind, Run
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.steps import Pace, Steps
from questwell.recipes.train.config import MAY_CHANGE, TOY, TrainConfig
from questwell.recipes.train.setup import OnWarmStart, TrainSetup, open_train_setup
from questwell.scoring.rewards import JudgeReward, Reward
from questwell.store.run import RunStore
from questwell.types.dataset import Usage
from questwell.types.episode import Sample
from questwell.types.evaluation import Question
from questwell.types.game import Label, Place
from questwell.types.trajectory import Role, StopReason, Trajectory

KIND = Kind("train", TrainConfig, MAY_CHANGE, lambda given: TOY if str(given.get("data")) == "toy" else {})
configure = partial(opening.configure, KIND)
"""The config of a run, from what is given and what the run has saved."""
_ATTEMPTS = "attempts.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport(Report):
    """What an invocation did."""

    step: int
    """Updates of the whole run so far."""
    model: Path | None
    """The newest checkpoint's Hugging Face folder; None before the first."""


@dataclass(frozen=True, slots=True)
class Played:
    """One attempt at a question."""

    question: Question
    trajectory: Trajectory
    sample: Sample | None
    """None when it errored or could not be judged: it is not trained on."""


Metrics = Mapping[str, float]
OnProgress = Callable[[Metrics, int], None]
"""Told of each step's metrics, and of the steps to make."""


def run(
    config: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    limit: int | None = None,
    on_progress: OnProgress = lambda metrics, steps: None,
    index_progress: IndexProgress | None = None,
    warming: OnWarmStart = lambda step, loss: None,
) -> TrainReport:
    """`train` with the setup that `config` names, from start to end."""
    with Run(KIND, config, folder, resume=resume, writes=is_first()) as opened:
        setup = open_train_setup(config, folder, index_progress, warming)
        return opening.work(setup, lambda: _train(opened, setup, limit, on_progress))


async def run_here(
    config: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    limit: int | None = None,
    on_progress: OnProgress = lambda metrics, steps: None,
) -> TrainReport:
    """As `run`, in the event loop of the caller, which waits while weights are updated."""
    with Run(KIND, config, folder, resume=resume, writes=is_first()) as opened:
        async with aclosing(await asyncio.to_thread(open_train_setup, config, folder)) as setup:
            return await _train(opened, setup, limit, on_progress)


async def train(
    config: TrainConfig,
    folder: Path,
    setup: TrainSetup,
    *,
    resume: bool = False,
    limit: int | None = None,
    on_progress: OnProgress = lambda metrics, steps: None,
) -> TrainReport:
    """Train `config.steps` steps, as far as user and alarms let it.

    Args:
        config: from `configure`.
        folder: of the run.
        setup: from `open_train_setup`.
        resume: go on from the newest checkpoint, if there is one.
        limit: steps of this invocation, at most.
        on_progress: called with each step.

    Raises:
        ConfigChanged: the run that is there was started with something else.
    """
    with Run(KIND, config, folder, resume=resume, writes=is_first()) as opened:
        return await _train(opened, setup, limit, on_progress)


async def _train(
    opened: Run[TrainConfig], setup: TrainSetup, limit: int | None, on_progress: OnProgress
) -> TrainReport:
    opened.write(opened.compare(setup.fingerprint))
    rank = setup.trainer.ranks.rank
    with RunStore(opened.folder / (f"calls-{rank}" if rank else "calls")) if setup.judge else nullcontext() as calls:
        return await _Invocation(opened, setup, calls, limit, on_progress).train()


class _Invocation:
    """One invocation over a run."""

    def __init__(
        self,
        opened: Run[TrainConfig],
        setup: TrainSetup,
        calls: RunStore | None,
        limit: int | None,
        on_progress: OnProgress,
    ) -> None:
        from questwell.training import checkpoint
        from questwell.training.alarms import Alarms, AlarmThresholds
        from questwell.training.metrics import MetricsFile, read_metrics

        config, folder = opened.config, opened.folder
        self._config = config
        self._folder = folder
        self._setup = setup
        self._trainer = setup.trainer
        # By position, for an item's id names the run that made it: the same data made again trains the same policy.
        self._places = {question.id: f"q{at:05d}" for at, question in enumerate(setup.questions)}
        self._on_progress = on_progress
        if checkpoint.steps(folder / "checkpoints"):
            self._trainer.load(checkpoint.read(folder / "checkpoints"))
        done = self._trainer.step
        self._writes = self._trainer.ranks.first
        self._metrics = MetricsFile(folder / "metrics.jsonl", after=done) if self._writes else None
        if self._writes:
            cut(folder / _ATTEMPTS, lambda line: json.loads(line)["step"] <= done)
        thresholds = AlarmThresholds(
            finished=config.min_finished, entropy=config.min_entropy, truncated=config.max_truncated, kl=config.max_kl
        )
        self._alarms = Alarms(thresholds, read_metrics(folder / "metrics.jsonl") if done else ())
        budget = Budget(SpendingLimits(), Usage())
        self._steps = Steps(done, Pace(config.steps, config.save_every, limit), budget, opened.go_on)
        self._recorder = None
        if calls is not None and setup.judge is not None:
            self._recorder = Recorder(calls, {Role.JUDGE: setup.judge}, setup.retriever, budget)

    async def train(self) -> TrainReport:
        """Train until done or stopped."""
        ended = await self._steps.run(self._step, self._save)
        self._draw()
        saved = self._steps.saved
        model = self._folder / "checkpoints" / f"step-{saved:06d}" / "model" if saved else None
        return TrainReport(ended.ending, ended.message, ended.go_on, step=self._trainer.step, model=model)

    async def _step(self, number: int) -> str:
        """One step, kept; which collapse it shows, if any."""
        started, sampled = time.perf_counter(), self._trainer.policy.sampled
        played = await self._play(number - 1)
        rollout_s = time.perf_counter() - started
        samples = [one.sample for one in played if one.sample is not None]
        failed = [one.trajectory.error for one in played if one.sample is None]
        if not self._trainer.ranks.everyones(samples):
            why = failed[-1] or "unscored"
            raise NothingJudged(f"no attempt of the step could be judged; the last one: {why}")
        self._steps.learn()
        metrics = {
            **self._trainer.update(samples),
            "dropped": float(len(self._trainer.ranks.everyones(failed))),
            "rollout_s": rollout_s,
            "rollout_tokens_per_s": (self._trainer.policy.sampled - sampled) / rollout_s,
        }
        self._keep(metrics, played)
        self._on_progress(metrics, self._config.steps)
        try:
            self._alarms.check(metrics)
        except TrainingCollapsed as collapse:
            return str(collapse) if self._config.stop_on_alarm else ""
        return ""

    async def _play(self, step: int) -> list[Played]:
        """The attempts of a step; under torchrun each rank plays its share of the questions."""
        ranks = self._trainer.ranks
        drawn = draw(self._setup.questions, step, self._config.batch, self._config.seed)[ranks.rank :: ranks.count]
        group = range(self._config.group)
        return list(await asyncio.gather(*(self._attempt(question, step, at) for question in drawn for at in group)))

    async def _attempt(self, question: Question, step: int, attempt: int) -> Played:
        place = Place(self._places[question.id], step, Role.SOLVER, attempt)
        client = self._trainer.client(f"{step}/{place.seed}/{attempt}")
        session = DirectSession(client, self._setup.retriever)
        trajectory = await self._setup.solver.solve(question.question, session, place.random_seed(self._config.seed))
        return Played(question, trajectory, await self._sample(question, trajectory, self._reward_at(place)))

    def _reward_at(self, place: Place) -> Reward:
        """The reward, whose judge's calls are kept: a step that is played again pays for none of them."""
        reward = self._setup.reward
        if self._recorder is None or not isinstance(reward, JudgeReward):
            return reward
        line = self._recorder.sessions(place.seed)(replace(place, role=Role.JUDGE))
        return replace(reward, complete=line.complete)

    async def _sample(self, question: Question, trajectory: Trajectory, reward: Reward) -> Sample | None:
        if trajectory.stop is StopReason.ERRORED or trajectory.tokens is None:
            return None
        try:
            earned = await reward.reward(question.question, question.answers, trajectory.answer)
        except (LLMError, RetrievalError):  # a reward of the user's own; ours say so in their judgement
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
            format_errors=format_errors(trajectory),
            finished=trajectory.stop is StopReason.FINISHED,
        )

    def _keep(self, metrics: Metrics, played: Sequence[Played]) -> None:
        if self._metrics is None:
            return
        self._metrics.add(metrics)
        rows = [
            {
                "step": self._trainer.step,
                "question": one.question.question,
                "answers": one.question.answers,
                "reward": one.sample.reward if one.sample else None,
                "answer": one.trajectory.answer,
                "stop": one.trajectory.stop,
                "turns": [[turn.text, turn.observation] for turn in one.trajectory.turns],
            }
            for one in played[: self._config.show]
        ]
        with (self._folder / _ATTEMPTS).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        if self._config.tensorboard:
            from questwell.training.tensorboard import write_events

            write_events(self._folder / "tensorboard", metrics)

    def _save(self) -> None:
        """Keep a checkpoint and draw the charts; all ranks take part, the first one writes."""
        from questwell.training import checkpoint

        step, state = self._trainer.step, self._trainer.state()
        if self._writes:
            checkpoint.write(self._folder / "checkpoints", step, state, self._trainer.save_model, self._config.keep)
            self._draw()
        self._trainer.ranks.wait()

    def _draw(self) -> None:
        from questwell.training.charts import draw as draw_charts
        from questwell.training.metrics import read_metrics

        if self._writes and self._trainer.step:
            rows = read_metrics(self._folder / "metrics.jsonl")
            title = f"{self._config.algorithm}, {Path(self._config.model).name}"
            draw_charts({self._config.algorithm: rows}, self._folder / "charts.png", title)


def is_first() -> bool:
    """Whether this is the process that writes files; under torchrun there are others."""
    return os.environ.get("RANK", "0") == "0"


def draw(questions: Sequence[Question], step: int, count: int, seed: int) -> list[Question]:
    """The questions of a step: the next `count` of a random order of all, then of another order, and so on.

    No question comes twice in a step: its attempts would be exact copies. So a step has at most all of them.
    """
    count = min(count, len(questions))
    epoch, place = divmod(step * count, len(questions))
    order = _order(len(questions), count, seed, epoch)
    if place + count > len(questions):
        order = [*order, *_order(len(questions), count, seed, epoch + 1)]
    return [questions[at] for at in order[place : place + count]]


def _order(size: int, count: int, seed: int, epoch: int) -> list[int]:
    """A random order of all questions, in which those that share a step with the end of the last order come later."""
    order: list[int] = []
    # What an order moves to the front can reach its own end only where a step is more than half of all.
    for number in range(epoch if size >= 2 * count else 0, epoch + 1):
        before = order or _shuffled(size, seed, number - 1)
        order = _shuffled(size, seed, number)
        shared = number * size % count  # questions of the step that begins in the order before
        late = set(before[size - shared :]) if shared else set[int]()
        first = [at for at in order if at not in late][: count - shared] if shared else []
        order = [*first, *(at for at in order if at not in set(first))]
    return order


def _shuffled(size: int, seed: int, epoch: int) -> list[int]:
    order = list(range(size))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return order


def format_errors(trajectory: Trajectory) -> int:
    """Number of messages without a move."""
    return sum(isinstance(read_tags(turn.text, proposing=False), Malformed) for turn in trajectory.turns)
