"""Read models of evaluations: the status of one, and comparisons of several on the same questions."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from questwell.errors import ConfigError
from questwell.evaluation.benchmarks import FULL
from questwell.evaluation.scores import (
    Agreement,
    QuestionAttempts,
    ScoredAttempt,
    Summary,
    agreement,
    compare_systems,
    summarise,
)
from questwell.evaluation.statistics import Comparison, holm
from questwell.recipes.evaluate.config import EXACT_MATCH
from questwell.recipes.evaluate.loop import KIND
from questwell.recipes.reports.status import tokens
from questwell.recipes.runs.description import config_of, info_of
from questwell.store.reader import RunReader
from questwell.store.records import CallKind, FailedUsage, RunInfo, Scoring
from questwell.types.game import Label
from questwell.types.usage import Usage


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Status of an evaluation."""

    info: RunInfo
    summaries: Sequence[Summary]
    agreements: Sequence[Agreement]
    """Agreement of each pair of judges, exact match included, over the answers that both judged."""
    missing: int
    """Number of attempts that the config asks for but that are not made yet."""
    parts: Mapping[str, tuple[int, int]]
    """Benchmarks whose published results cover more questions: (questions asked, questions published)."""
    total: Usage
    """Usage of the whole run, including judges."""
    searches: int
    failures: Mapping[str, int]
    """Number of failed calls by class of error."""
    failed: FailedUsage
    """Usage of the failed model calls; included in the total."""
    adapted: Mapping[str, Sequence[str]]
    """How requests were changed, by `MODEL at URL`; empty if each was accepted unchanged."""


@dataclass(frozen=True, slots=True)
class Versus:
    """Comparison of two systems on the questions that both were scored on."""

    first: str
    second: str
    metric: str
    group: str
    comparison: Comparison | None
    """Second system minus the first; None if they share no scored question."""
    p_adjusted: float | None
    """P-value after Holm's correction over all pairs of this group."""


def evaluation(folder: Path) -> Evaluation:
    """Return the current status of the evaluation in `folder`, which may still be running.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    with RunReader(folder) as run, run.snapshot():
        info = info_of(run, KIND.name)
        asked = attempted(run)
        attempts = config_of(info)["attempts"]
        assert isinstance(attempts, int)
        counts: dict[str, int] = defaultdict(int)
        for one in asked:
            counts[one.question.benchmark] += 1
        judges = ["em", *(name for name in judge_names(run.scorings()).values() if name != EXACT_MATCH)]
        return Evaluation(
            info=info,
            summaries=summarise(asked),
            agreements=[agreement(asked, a, b) for a, b in combinations(judges, 2)],
            missing=len(asked) * attempts - sum(len(one.attempts) for one in asked),
            parts={name: (count, FULL[name]) for name, count in counts.items() if count < FULL.get(name, 0)},
            total=run.usage(),
            searches=run.calls(CallKind.SEARCH),
            failures=run.failures(),
            failed=run.failed(),
            adapted=run.adapted(),
        )


def attempted(run: RunReader) -> list[QuestionAttempts]:
    """Return the questions of an evaluation with the result of each attempt."""
    names = judge_names(run.scorings())
    labels: dict[tuple[int, int], dict[str, Label]] = defaultdict(dict)
    for number, name in names.items():
        for score in run.scores(number):
            labels[score.position, score.attempt][name] = score.judgement.label
    by_question: dict[int, list[ScoredAttempt]] = defaultdict(list)
    for trial in run.trials():
        by_question[trial.position].append(
            ScoredAttempt(
                trial.attempt,
                trial.stop,
                trial.answer,
                trial.searches,
                trial.turns,
                labels.get((trial.position, trial.attempt), {}),
            )
        )
    usage = run.solver_usage_by_seed()
    return [
        QuestionAttempts(
            asked.question,
            tuple(by_question[asked.position]),
            tokens(usage.get(asked.seed_id, Usage())),
            usage.get(asked.seed_id, Usage()).cost_usd,
        )
        for asked in run.questions()
    ]


def compare_runs(folders: Sequence[Path], metric: str) -> list[Versus]:
    """Compare each pair of evaluations, over all questions and by group; see `compare_pooled`."""
    if len(set(map(str, folders))) < len(folders):
        raise ConfigError("the same run is given twice")
    return compare_pooled({str(folder): [folder] for folder in folders}, metric)


def compare_pooled(named: Mapping[str, Sequence[Path]], metric: str) -> list[Versus]:
    """Compare each pair of systems, over all questions and by group.

    Args:
        named: the evaluations of each system; several of one system, on different questions, count as one.
        metric: `em`, `f1`, `searches`, or a judge's name.

    Raises:
        ConfigError: fewer than two systems, a metric that a run does not have, or a question that a system has twice.
        StoreError: a run cannot be read.
    """
    if len(named) < 2:
        raise ConfigError("a comparison needs at least two evaluate runs")
    systems = {name: pooled(folders, metric) for name, folders in named.items()}
    first = next(iter(systems.values()))
    groups = {"all": {""}, **{name: {name} for name in sorted({_group(one) for one in first} - {""})}}
    found: list[Versus] = []
    for group, members in groups.items():
        row: list[tuple[str, str, Comparison | None]] = []
        for (a, before), (b, after) in combinations(systems.items(), 2):
            chosen = [one for one in before if group == "all" or _group(one) in members]
            row.append((a, b, compare_systems(chosen, after, metric)))
        adjusted = iter(holm([comparison.p_value for _, _, comparison in row if comparison is not None]))
        found += [
            Versus(a, b, metric, group, comparison, None if comparison is None else next(adjusted))
            for a, b, comparison in row
        ]
    return found


def pooled(folders: Sequence[Path], metric: str = "em") -> list[QuestionAttempts]:
    """Combine several evaluations of one system, in order. See `compare_pooled` for the errors."""
    asked: dict[tuple[str, str], QuestionAttempts] = {}
    for folder in folders:
        with RunReader(folder) as run, run.snapshot():
            info_of(run, KIND.name)
            known = ["em", "f1", "searches", *judge_names(run.scorings()).values()]
            if metric not in known:
                raise ConfigError(f"metric = {metric!r}: {str(folder)!r} has {', '.join(known)}")
            for one in attempted(run):
                if asked.setdefault((one.question.benchmark, one.question.id), one) is not one:
                    raise ConfigError(
                        f"{str(folder)!r} and another run of the same system both ask {one.question.id!r} of "
                        f"{one.question.benchmark}: runs that are counted as one must ask different questions"
                    )
    return list(asked.values())


def _group(one: QuestionAttempts) -> str:
    return f"{one.question.benchmark}: {one.question.group}" if one.question.group else ""


def judge_names(scorings: Sequence[Scoring]) -> dict[int, str]:
    """Return judges' names by number of their scoring; judges of the same name are distinguished by their prompts."""
    names: dict[int, str] = {}
    for scoring in scorings:
        twice = sum(other.judge == scoring.judge for other in scorings) > 1
        names[scoring.number] = f"{scoring.judge} (prompts {scoring.prompts})" if twice else scoring.judge
    return names
