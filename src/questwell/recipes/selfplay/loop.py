"""The loop behind `questwell selfplay`: repeatedly plays a step, learns from it and saves it.

Here rewards become an update, and the updated policy plays the next step. Every random choice depends only on the run's
seed and the step. So a checkpoint needs only the policy with its optimiser, the pool, and the position in the answers,
and a killed run continues from there as if it had not been interrupted.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from questwell.agents.session import Sessions
from questwell.games.answers import Position, several
from questwell.games.pool import Pool
from questwell.games.ssp import StepContext, all_ended, play
from questwell.llm.client import LLM
from questwell.recipes.runs import opening
from questwell.recipes.runs.budget import Budget, refuse_unknown_prices
from questwell.recipes.runs.caller import DEFAULTS, Caller
from questwell.recipes.runs.config import Values
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.fitting import fit_new
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.spans import open_spans
from questwell.recipes.runs.steps import Pace, Steps
from questwell.recipes.selfplay.alarms import alarms
from questwell.recipes.selfplay.charts import draw
from questwell.recipes.selfplay.config import Config, Order, Trained
from questwell.recipes.selfplay.metrics import mean, reasons, step_metrics
from questwell.recipes.selfplay.record import KIND, Record, StepRow
from questwell.recipes.selfplay.samples import proposer_samples, solver_samples
from questwell.recipes.selfplay.sessions import rollout_name, sessions
from questwell.recipes.selfplay.setup import Setup, model_size, needed, open_setup
from questwell.recipes.selfplay.world import HeldOut
from questwell.retrieval.retriever import Retriever
from questwell.store.run import RunStore
from questwell.types.episode import Sample
from questwell.types.game import Label, Place
from questwell.types.selfplay import Episode
from questwell.types.trajectory import Role, StopReason

_POOL = TypeAdapter(Pool)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfplayReport(Report):
    """Result of an invocation."""

    steps: int
    """Number of steps of the whole run so far."""


def configure(folder: Path | None, given: Values, *, resume: bool) -> Config:
    """Return the config of a run, from the given values and the saved ones; applies --fit to a new one."""
    return fit_new(opening.configure(KIND, folder, given, resume=resume), folder, model_size, needed)


def run(config: Config, folder: Path, caller: Caller[[StepRow]] = DEFAULTS) -> SelfplayReport:
    """Run `selfplay` from start to end with the setup that `config` names."""
    with Run(KIND, config, folder, resume=caller.resume) as opened:
        setup = open_setup(config, folder, caller.index_progress)
        return opening.work(setup, lambda: _selfplay(opened, setup, caller))


async def selfplay(config: Config, folder: Path, setup: Setup, caller: Caller[[StepRow]] = DEFAULTS) -> SelfplayReport:
    """Play and learn `config.steps` steps, until done or until user or alarms stop it; always resumable.

    Args:
        config: the config that `configure` returned.
        folder: folder of the run.
        setup: the setup that `open_setup` returned.
        caller: its limit counts steps, and step 0 of its progress is the evaluation before the first; a resume
            continues from the latest checkpoint.

    Raises:
        ConfigChanged: the existing run was started with other settings.
        ConfigError: a cost limit is set, but the price of judge or verifier is unknown.
    """
    with Run(KIND, config, folder, resume=caller.resume) as opened:
        return await _selfplay(opened, setup, caller)


async def _selfplay(opened: Run[Config], setup: Setup, caller: Caller[[StepRow]]) -> SelfplayReport:
    config = opened.config
    refuse_unknown_prices(config.limits(), setup.llms.values())
    opened.write(opened.compare(setup.fingerprint))
    with RunStore(opened.folder / "calls") as store:
        if config.price is not None:
            await store.price(config.price.input_usd, config.price.output_usd)
        return await _Invocation(opened, setup, store, caller).play()


class _Invocation:
    """One invocation of a run."""

    def __init__(self, opened: Run[Config], setup: Setup, store: RunStore, caller: Caller[[StepRow]]) -> None:
        from questwell.training import checkpoint

        config, record = opened.config, Record(opened.folder)
        self._config = config
        self._setup = setup
        self._record = record
        self._on_progress = caller.on_progress
        self._pool = config.pool()
        self._position = Position()
        done = 0
        if checkpoint.steps(record.checkpoints):
            state = checkpoint.read(record.checkpoints)
            setup.trainer.load(state["trainer"])
            kept = json.loads(state["selfplay"])
            done = int(kept["done"])
            self._pool = _POOL.validate_python(kept["pool"])
            self._position = Position(**kept["position"])
        record.cut(done if done else -1)
        self._answers = setup.world.answers(self._position)
        budget = Budget(config.limits(), store.read.usage())
        self._steps = Steps(done, Pace(config.steps, config.save_every, caller.limit), budget, opened.go_on)
        self._recorder = Recorder(
            store, setup.llms, setup.world.retriever, budget, spans=open_spans("selfplay", on=config.spans)
        )

    async def play(self) -> SelfplayReport:
        """Play until done or stopped."""
        ended = await self._steps.run(self._step, self._save, self._first_look)
        self._draw()
        return SelfplayReport(ended.ending, ended.message, ended.go_on, steps=self._steps.done)

    async def _step(self, number: int) -> str:
        """Run and save one step; returns its alarms if the run must stop at them."""
        started, sampled = time.perf_counter(), self._setup.trainer.policy.sampled
        step = StepContext(
            number, self._config.rules(), self._setup.players, self._sessions(), self._pool, self._answers.take
        )
        proposals = self._config.proposals
        episodes = await play(several(self._answers.take(self._config.batch // proposals), proposals), step)
        played = time.perf_counter()
        sampled = self._setup.trainer.policy.sampled - sampled
        self._steps.learn()
        self._pool = self._pool.after(number, (problem for episode in episodes if (problem := episode.made)))
        learnt = self._learn(episodes)
        updated = time.perf_counter()
        values = {**step_metrics(episodes, self._pool, number, self._setup.world.truth), **learnt}
        by_hops: dict[str, float] = {}
        last = number == self._config.steps
        if self._config.eval_every and (number % self._config.eval_every == 0 or last):
            values["held_out_accuracy"], by_hops = await self._evaluate(number)
        timing = {
            "seconds": time.perf_counter() - started,
            "play_s": played - started,
            "update_s": updated - played,
            "tokens_per_s": sampled / (played - started),
        }
        row = StepRow(number, values, reasons(episodes), by_hops, (), timing)
        row = replace(row, alarms=alarms([*(before for before in self._record.rows() if before.step), row]))
        self._record.add(row, episodes)
        self._position = self._answers.position
        self._on_progress(row)
        return "; ".join(row.alarms) if self._config.stop_on_alarm else ""

    def _learn(self, episodes: Sequence[Episode]) -> dict[str, float | None]:
        """Apply the updates of a step in order, and return their metrics."""
        config = self._config
        solver = solver_samples(episodes) if config.train is not Trained.PROPOSER else []
        proposer = proposer_samples(episodes, config.proposals) if config.train is not Trained.SOLVER else []
        updates: list[list[Sample]] = [solver, proposer]
        if config.order is Order.PROPOSER_FIRST:
            updates.reverse()
        elif config.order is Order.JOINT:
            updates = [[*solver, *proposer]]
        told: dict[str, float | None] = {}
        for samples in updates:
            if not samples:
                continue  # no proposal was valid and the pool is empty, or every call failed: nothing to learn from
            metrics = self._setup.trainer.update(samples)
            told["gradient_norm"] = metrics["gradient_norm"]
            for role in {sample.role for sample in samples}:
                told |= {f"{role.value}_{name}": metrics.get(name) for name in ("entropy", "kl")}
        return told

    async def _first_look(self) -> None:
        """Evaluate before the first step."""
        if not self._config.eval_every or not self._setup.world.held_out:
            return
        started = time.perf_counter()
        accuracy, by_hops = await self._evaluate(0)
        timing = {"seconds": time.perf_counter() - started}
        row = StepRow(0, {"held_out_accuracy": accuracy}, {}, by_hops, (), timing)
        self._record.add(row, ())
        self._on_progress(row)

    async def _evaluate(self, number: int) -> tuple[float | None, dict[str, float]]:
        """Return accuracy on the held-out questions, one attempt each: overall, and by hops."""
        world = self._setup.world
        sessions = self._sessions(world.held_out_retriever)
        judge = self._setup.players.gatekeeper.judge

        async def one(index: int, asked: HeldOut) -> bool | None:
            place = Place(f"h{index:06d}", number, Role.SOLVER)
            played = await self._setup.evaluated.solve(asked.question, sessions(place), place.random_seed(0))
            if played.stop is StopReason.ERRORED:
                return None
            judged = sessions(replace(place, role=Role.JUDGE))
            judgement = await judge.judge(asked.question, asked.references, played.answer, judged.complete)
            return None if judgement.label in (Label.ERRORED, Label.UNSCORED) else judgement.label is Label.RIGHT

        results = await all_ended(one(index, asked) for index, asked in enumerate(world.held_out))
        scored = [
            (asked.hops, right) for asked, right in zip(world.held_out, results, strict=True) if right is not None
        ]
        kinds = sorted({hops for hops, _ in scored if hops is not None})
        by_hops = {str(kind): mean(float(right) for hops, right in scored if hops == kind) or 0.0 for kind in kinds}
        return mean(float(right) for _, right in scored), by_hops

    def _sessions(self, retriever: Retriever | None = None) -> Sessions:
        """Open sessions with the current policy and with separate models."""

        def policy(place: Place) -> LLM:
            return self._setup.trainer.client(rollout_name(place))

        return sessions(policy, retriever or self._setup.world.retriever, self._recorder)

    def _save(self) -> None:
        from questwell.training import checkpoint

        done, trainer = self._steps.done, self._setup.trainer
        kept = {"done": done, "pool": _POOL.dump_python(self._pool, mode="json"), "position": asdict(self._position)}
        state = {"trainer": trainer.state(), "selfplay": json.dumps(kept)}
        checkpoint.write(self._record.checkpoints, done, state, trainer.save_model, self._config.keep)
        self._draw()

    def _draw(self) -> None:
        if not self._steps.done:
            return
        config = self._config
        draw(self._record.rows(), self._record.charts, f"{config.model} on {config.corpus}, {config.train.value}")
