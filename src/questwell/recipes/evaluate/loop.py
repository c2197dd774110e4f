"""The durable loop behind `questwell evaluate`: attempts and judges questions, and stores everything on disk.

Uses the same run file and replay as `generate`: an answered call is never made again, an interrupted evaluation ends
like one that was not, and every question of the sample either has its attempts or is reported as missing.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from questwell.evaluation.benchmarks import Loaded, load, parse_benchmark, sample
from questwell.recipes.evaluate.config import MAY_CHANGE, EvalConfig
from questwell.recipes.evaluate.setup import EvalSetup, open_eval_setup
from questwell.recipes.runs import opening
from questwell.recipes.runs.budget import Budget
from questwell.recipes.runs.caller import DEFAULTS, Caller
from questwell.recipes.runs.config import resolve_saved
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.invocation import Invocation, begin, run_file
from questwell.recipes.runs.opening import Kind, Run
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.spans import open_spans
from questwell.recipes.runs.twin import Twofold, blocking_verb, invocation
from questwell.recipes.runs.workers import Patience, Workers
from questwell.scoring.judge import Judge
from questwell.scoring.squad import exact_match
from questwell.store.reader import RunReader
from questwell.store.records import Asked, Score, Scoring
from questwell.store.run import RunStore
from questwell.types.game import Judgement, Label, Place, failed_rollout
from questwell.types.trajectory import Role, StopReason, Trajectory
from questwell.types.usage import Usage

KIND = Kind("evaluate", EvalConfig, MAY_CHANGE)
configure = partial(opening.configure, KIND)
"""Returns the config of a run, from the given values and the saved ones."""
_Work = tuple[Asked, int]
"""A question, and the index of an attempt at it."""


@dataclass(frozen=True, slots=True)
class EvalProgress:
    """Progress of an evaluation at one moment."""

    done: int
    """Number of attempts made and judged, in all invocations."""
    total: int
    right: int
    """Number of right attempts according to the run's judge."""
    scored: int
    spent: Usage
    """Usage of the whole run."""
    elapsed_s: float
    left_s: float | None
    """Estimated time left in seconds, from this invocation's pace; None until there is a pace."""
    stopping: bool


OnProgress = Callable[[EvalProgress], object]


@blocking_verb
def run(config: EvalConfig, folder: Path, caller: Caller[[EvalProgress]] = DEFAULTS) -> Twofold[Report]:
    """Run `evaluate` from start to end with the setup that `config` names."""
    questions = questions_of(config)  # before anything is created, so that an unreadable file is reported at once
    return invocation(
        lambda: Run(KIND, config, folder, resume=caller.resume),
        lambda: open_eval_setup(config, caller.index_progress, caller.lent),
        lambda opened, setup: _evaluate(opened, questions, setup, caller),
    )


def questions_of(config: EvalConfig) -> list[Asked]:
    """Return the sample that `config` selects, or its shard, each question with its position among all.

    Raises:
        BenchmarkError: a file cannot be read.
    """
    return [asked for one in samples(config) for asked in one.asked]


@dataclass(frozen=True, slots=True)
class BenchmarkSample:
    """A benchmark with the sample of its questions that is asked."""

    benchmark: str
    loaded: Loaded
    asked: Sequence[Asked]


def samples(config: EvalConfig) -> Iterator[BenchmarkSample]:
    """Yield the sample of each benchmark in `config`, in order."""
    start = 0
    for source in map(parse_benchmark, config.benchmarks):
        loaded = load(source, config.conditions)
        position = {question.id: start + at for at, question in enumerate(loaded.questions)}
        chosen = sample(loaded.questions, config.size, config.seed, per_group=config.per_group)
        asked = [Asked(position[question.id], question) for question in chosen]
        yield BenchmarkSample(source.benchmark, loaded, [one for one in asked if config.part.holds(one.position)])
        start += len(loaded.questions)


async def evaluate(
    config: EvalConfig,
    questions: Sequence[Asked],
    folder: Path,
    setup: EvalSetup,
    caller: Caller[[EvalProgress]] = DEFAULTS,
) -> Report:
    """Attempt and judge `questions`, until done or until budget, user or errors stop it; always resumable.

    Args:
        config: the config that `configure` returned.
        questions: the questions that `questions_of` returned.
        folder: folder of the run.
        setup: the setup that `open_eval_setup` returned.
        caller: how to run this invocation; its own models and its index callbacks are the setup's.

    Raises:
        ConfigError: a cost limit is set, but a model's price is unknown.
        ConfigChanged: the existing run was started with other settings.
        RunLocked: another process is writing it.
    """
    with Run(KIND, config, folder, resume=caller.resume) as opened:
        return await _evaluate(opened, questions, setup, caller)


async def _evaluate(
    opened: Run[EvalConfig], questions: Sequence[Asked], setup: EvalSetup, caller: Caller[[EvalProgress]]
) -> Report:
    config = opened.config
    with run_file(opened, setup.llms.values(), setup.retriever) as store:
        scoring = await begin_evaluation(store, opened, questions, setup)
        work = [(asked, attempt) for asked in store.read.questions() for attempt in range(config.attempts)]
        invocation = Invocation(
            store,
            setup.llms,
            setup.retriever,
            config.limits(),
            batches=opened.folder if config.batch else None,
            spans=open_spans("evaluate", on=config.spans),
        )
        player = _Player(store, invocation.recorder, setup, config.seed, scoring)
        attempts = AttemptQueue(work, player.play, player.finished(), store.read, scoring, caller.on_progress)
        patience = Patience(config.at_once, config.max_errors, caller.limit)
        return await attempts.run(invocation.workers(patience, "attempts", opened.go_on), invocation.budget)


class _Player:
    """Makes and judges one attempt."""

    def __init__(self, store: RunStore, recorder: Recorder, setup: EvalSetup, seed: int, scoring: Scoring) -> None:
        self._store = store
        self._recorder = recorder
        self._setup = setup
        self._seed = seed
        self._scoring = scoring
        self._tried = {
            (trial.position, trial.attempt) for trial in store.read.trials() if trial.stop is not StopReason.ERRORED
        }

    def finished(self) -> set[tuple[int, int]]:
        """Return the attempts that are made and judged, without those whose rollout or judge errored."""
        return self._tried & judged(self._store.read, self._scoring.number)

    async def play(self, work: _Work) -> Judgement:
        asked, attempt = work
        store = self._store
        if (asked.position, attempt) in self._tried:
            trajectory = store.read.trajectory(asked.position, attempt)
        else:
            place = Place(asked.seed_id, 0, Role.SOLVER, attempt)
            session = self._recorder.sessions(asked.seed_id)(place)
            trajectory = await self._setup.solver.solve(asked.question.question, session, place.random_seed(self._seed))
            await store.record_trial(asked.position, attempt, trajectory)
        judgement = await judge_answer(
            asked, attempt, trajectory, self._recorder, self._setup.judge, self._scoring.number
        )
        await store.score(Score(self._scoring.number, asked.position, attempt, judgement))
        return judgement


async def judge_answer(
    asked: Asked, attempt: int, trajectory: Trajectory, recorder: Recorder, judge: Judge | None, scoring: int
) -> Judgement:
    """Return a judge's judgement of an attempt; calls are stored under the scoring's number, to keep judges apart."""
    if failed := failed_rollout(trajectory):
        return failed
    answer, references = trajectory.answer, asked.question.answers
    if judge is None:
        if answer is None:
            return Judgement(Label.WRONG, "no_answer")
        return Judgement(Label.RIGHT if exact_match(answer, references) else Label.WRONG, "exact_match")
    session = recorder.sessions(asked.seed_id)(Place(asked.seed_id, scoring, Role.JUDGE, attempt))
    return await judge.judge(asked.question.question, references, answer, session.complete)


def judged(run: RunReader, scoring: int) -> set[tuple[int, int]]:
    """Return (position, attempt) of the answers that a scoring has judged, without errored judgements."""
    return {
        (score.position, score.attempt) for score in run.scores(scoring) if score.judgement.label is not Label.ERRORED
    }


class AttemptQueue:
    """The remaining attempts of an invocation and their state; shared by `evaluate` and `rescore`."""

    def __init__(
        self,
        work: Sequence[_Work],
        play: Callable[[_Work], Awaitable[Judgement]],
        finished: set[tuple[int, int]],
        run: RunReader,
        scoring: Scoring,
        on_progress: OnProgress,
    ) -> None:
        """Queue `work`, except for those in `finished`."""
        self._left = [one for one in work if (one[0].position, one[1]) not in finished]
        self._total = len(work)
        self._play = play
        self._on_progress = on_progress
        labels = [score.judgement.label for score in run.scores(scoring.number)]
        self._labels = [label for label in labels if label is not Label.ERRORED]

    async def run(self, workers: Workers, budget: Budget) -> Report:
        """Make the attempts until all are done or something halts the run."""

        def tell() -> None:
            self._on_progress(self._progress(workers, budget))

        async def work(one: _Work) -> str | None:
            judgement = await self._play(one)
            errored = judgement.label is Label.ERRORED
            if not errored:
                self._labels.append(judgement.label)
            tell()
            return judgement.reason if errored else None

        async with workers.running(tell):
            await workers.run(self._left, work)
        tell()
        return workers.ending(left=workers.done < len(self._left))

    def _progress(self, workers: Workers, budget: Budget) -> EvalProgress:
        left = len(self._left) - workers.done
        return EvalProgress(
            done=self._total - left,
            total=self._total,
            right=self._labels.count(Label.RIGHT),
            scored=self._labels.count(Label.RIGHT) + self._labels.count(Label.WRONG),
            spent=budget.spent,
            elapsed_s=workers.elapsed_s,
            left_s=workers.elapsed_s / workers.done * left if workers.done else None,
            stopping=budget.stopping,
        )


async def begin_evaluation(
    store: RunStore, opened: Run[EvalConfig], questions: Sequence[Asked], setup: EvalSetup
) -> Scoring:
    """Save the description and questions of a new run, or check a resumed one; returns the scoring of its own judge.

    Raises:
        ConfigChanged: something differs; the message lists all differences.
    """
    config, changes = opened.config, list[str]()
    now = {asked.position: asked.question for asked in questions}
    if missing := [kept for kept in store.read.questions() if now.get(kept.position) != kept.question]:
        changes.append(
            f"{len(missing)} questions of the run are not what the benchmarks now hold there, or not in the sample "
            f"(the first: {missing[0].question.id!r}); a sample can be raised, not lowered"
        )
    before = None if opened.saved is None else resolve_saved(EvalConfig, opened.saved).attempts
    if before is not None and config.attempts < before:
        changes.append(f"attempts: {before} -> {config.attempts}; they can be raised, not lowered")
    await begin(opened, store, setup.fingerprint(), changes, questions)
    scoring = Scoring(0, setup.judge_name, setup.prompts_hash)
    await store.begin_scoring(scoring)
    return scoring
