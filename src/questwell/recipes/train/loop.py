"""The loop behind `questwell train`: draws questions, plays and rewards attempts, updates and saves; resumable.

Every random choice depends only on the run's seed, the step and the question. So a checkpoint needs only the trainer's
state, and a killed run continues as if it had not been interrupted.
"""

import json
import os
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from questwell.errors import ConfigError, NothingJudged, TrainingCollapsed
from questwell.games.ssp import all_ended
from questwell.recipes.runs import opening
from questwell.recipes.runs.budget import Budget, SpendingLimits, refuse_unknown_prices
from questwell.recipes.runs.caller import DEFAULTS, Caller
from questwell.recipes.runs.config import Values
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.files import cut
from questwell.recipes.runs.fitting import fit_new
from questwell.recipes.runs.opening import Kind, Run
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.spans import open_spans
from questwell.recipes.runs.steps import Pace, Steps
from questwell.recipes.runs.twin import Twofold, blocking_verb, invocation
from questwell.recipes.train.attempts import Attempts, Played
from questwell.recipes.train.config import MAY_CHANGE, TOY, TrainConfig
from questwell.recipes.train.held_out import Evaluations
from questwell.recipes.train.order import draw
from questwell.recipes.train.setup import OnWarmStart, TrainSetup, model_size, needed, open_train_setup
from questwell.retrieval.retriever import PaidRetriever
from questwell.store.run import RunStore
from questwell.training.evaluations import checkpoint_model
from questwell.types.evaluation import Question
from questwell.types.game import Place
from questwell.types.trajectory import Role
from questwell.types.usage import Usage

KIND = Kind("train", TrainConfig, MAY_CHANGE, lambda given: TOY if str(given.get("data")) == "toy" else {})


def configure(folder: Path | None, given: Values, *, resume: bool) -> TrainConfig:
    """Return the config of a run, from the given values and the saved ones; applies --fit to a new one."""
    return fit_new(opening.configure(KIND, folder, given, resume=resume), folder, model_size, needed)


_ATTEMPTS = "attempts.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport(Report):
    """Result of an invocation."""

    step: int
    """Number of updates of the whole run so far."""
    model: Path | None
    """Hugging Face folder of the newest checkpoint; None before the first."""
    best_step: int | None = None
    """The step with the highest held-out reward, 0 before training; None without held-out evaluation."""
    best: Path | None = None
    """Hugging Face folder of the best step; None if that is the policy before training."""


Metrics = Mapping[str, float]
OnProgress = Callable[[Metrics, int], object]
"""Called with the metrics of each step and each held-out evaluation, and the total number of steps."""


@blocking_verb
def run(
    config: TrainConfig,
    folder: Path,
    caller: Caller[[Metrics, int]] = DEFAULTS,
    warming: OnWarmStart = lambda step, loss: None,
) -> Twofold[TrainReport]:
    """Run `train` from start to end with the setup that `config` names."""
    return invocation(
        lambda: Run(KIND, config, folder, resume=caller.resume, writes=is_first()),
        lambda: open_train_setup(config, folder, caller.index_progress, warming),
        lambda opened, setup: _train(opened, setup, caller),
    )


async def train(
    config: TrainConfig, folder: Path, setup: TrainSetup, caller: Caller[[Metrics, int]] = DEFAULTS
) -> TrainReport:
    """Train for `config.steps` steps, or until budget, user or an alarm stops the run.

    Args:
        config: the config that `configure` returned.
        folder: folder of the run.
        setup: the setup that `open_train_setup` returned.
        caller: its limit counts steps; a resume continues from the newest checkpoint, if there is one.

    Raises:
        ConfigChanged: the existing run was started with other settings.
        ConfigError: a spending limit is set that cannot be enforced.
    """
    with Run(KIND, config, folder, resume=caller.resume, writes=is_first()) as opened:
        return await _train(opened, setup, caller)


async def _train(opened: Run[TrainConfig], setup: TrainSetup, caller: Caller[[Metrics, int]]) -> TrainReport:
    config = opened.config
    _refuse_limits(config, setup)
    opened.write(opened.compare(setup.fingerprint))
    rank = setup.trainer.ranks.rank
    with RunStore(opened.folder / (f"calls-{rank}" if rank else "calls")) if setup.judge else nullcontext() as calls:
        if calls is not None and config.price is not None:
            await calls.price(config.price.input_usd, config.price.output_usd)
        return await _Invocation(opened, setup, calls, caller).train()


def _refuse_limits(config: TrainConfig, setup: TrainSetup) -> None:
    """Refuse, before any call, a limit that cannot be enforced: cost with an unknown price, or any under torchrun."""
    limits = config.limits()
    refuse_unknown_prices(limits, [setup.judge] if setup.judge else [], setup.retriever)
    paid = isinstance(setup.retriever, PaidRetriever) and config.price_search != 0
    if limits.cost_usd is not None and (paid or config.price_rerank):
        raise ConfigError("max_cost of train counts what the judge costs, and these searches cost too: leave it out")
    if limits != SpendingLimits() and setup.trainer.ranks.count > 1:
        raise ConfigError("max_cost, max_tokens and max_minutes are kept by one process: leave them out under torchrun")


class _Invocation:
    """One invocation of a run."""

    def __init__(
        self,
        opened: Run[TrainConfig],
        setup: TrainSetup,
        calls: RunStore | None,
        caller: Caller[[Metrics, int]],
    ) -> None:
        from questwell.training import checkpoint
        from questwell.training.alarms import Alarms, AlarmThresholds
        from questwell.training.metrics import MetricsFile, read_metrics

        config, folder = opened.config, opened.folder
        self._config = config
        self._folder = folder
        self._setup = setup
        self._trainer = setup.trainer
        # By position, because an item's id names its run: regenerating the same data must train the same policy.
        self._places = {question.id: f"q{at:05d}" for at, question in enumerate(setup.questions)}
        self._on_progress = caller.on_progress
        if checkpoint.steps(folder / "checkpoints"):
            self._trainer.load(checkpoint.read(folder / "checkpoints"))
        done = self._trainer.step
        self._writes = self._trainer.ranks.first
        self._metrics = MetricsFile(folder / "metrics.jsonl", after=done) if self._writes else None
        if self._writes:
            cut(folder / _ATTEMPTS, done)
        thresholds = AlarmThresholds(
            finished=config.min_finished,
            entropy=config.min_entropy,
            truncated=config.max_truncated,
            kl=config.max_kl,
            sampling_gap=config.max_sampling_gap,
        )
        self._alarms = Alarms(thresholds, read_metrics(folder / "metrics.jsonl") if done else ())
        budget = Budget(config.limits(), calls.read.usage() if calls is not None else Usage())
        evaluated = config.eval_every if setup.held_out is not None else 0
        self._steps = Steps(done, Pace(config.steps, config.save_every, caller.limit, evaluated), budget, opened.go_on)
        recorder = None
        if calls is not None and setup.judge is not None:
            recorder = Recorder(
                calls, {Role.JUDGE: setup.judge}, setup.retriever, budget, spans=open_spans("train", on=config.spans)
            )
        self._attempts = Attempts(setup, recorder, config.seed)
        self._evaluations = setup.held_out and Evaluations(folder, setup.held_out, self._attempts, done)

    async def train(self) -> TrainReport:
        """Train until done or stopped."""
        ended = await self._steps.run(self._step, self._save, evaluate=self._evaluate)
        self._draw()
        best = self._evaluations.best if self._evaluations else None
        return TrainReport(
            ended.ending,
            ended.message,
            ended.go_on,
            step=self._trainer.step,
            model=checkpoint_model(self._folder, self._steps.saved),
            best_step=best,
            best=checkpoint_model(self._folder, best),
        )

    async def _step(self, number: int) -> str:
        """Run and save one step; returns the collapse that it shows, or ""."""
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
        """Play the attempts of a step; under torchrun each rank plays its share of the questions."""
        ranks = self._trainer.ranks
        drawn = draw(self._setup.questions, step, self._config.batch, self._config.seed)[ranks.rank :: ranks.count]

        def attempt(question: Question, at: int) -> Coroutine[None, None, Played]:
            place = Place(self._places[question.id], step, Role.SOLVER, at)
            return self._attempts.play(question, place, self._setup.solver)

        return await all_ended(attempt(one, at) for one in drawn for at in range(self._config.group))

    async def _evaluate(self, done: int) -> None:
        """Run the held-out evaluation after `done` steps, unless it was done before."""
        if self._evaluations is None or self._evaluations.made(done):
            return
        metrics = await self._evaluations.make(done)
        self._events(metrics)
        self._draw()
        self._on_progress(metrics, self._config.steps)

    def _keep(self, metrics: Metrics, played: Sequence[Played]) -> None:
        if self._metrics is None:
            return
        self._metrics.add(metrics)
        rows = [one.row(self._trainer.step) for one in played[: self._config.show]]
        with (self._folder / _ATTEMPTS).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        self._events(metrics)

    def _events(self, metrics: Metrics) -> None:
        if self._writes and self._config.tensorboard:
            from questwell.training.tensorboard import write_events

            write_events(self._folder / "tensorboard", metrics)

    def _save(self) -> None:
        """Save a checkpoint and draw the charts; all ranks take part, but only the first writes."""
        from questwell.training import checkpoint

        step, state = self._trainer.step, self._trainer.state()
        if self._writes:
            best = self._evaluations.best if self._evaluations else None
            folder = self._folder / "checkpoints"
            checkpoint.write(folder, step, state, self._trainer.save_model, self._config.keep, best)
            self._draw()
        self._trainer.ranks.wait()

    def _draw(self) -> None:
        from questwell.training.charts import draw as draw_charts
        from questwell.training.evaluations import curves

        if self._writes and self._trainer.step:
            rows = curves(self._folder)
            title = f"{self._config.algorithm}, {Path(self._config.model).name}"
            draw_charts({self._config.algorithm: rows}, self._folder / "charts.png", title)


def is_first() -> bool:
    """Return whether this process writes files; under torchrun only the first rank does."""
    return os.environ.get("RANK", "0") == "0"
