"""Scores of attempts: EM, F1 and the judges' accuracy, over all questions and by group.

Only right and wrong attempts count; unscored and errored ones are reported separately. Attempts at one question are
averaged first, because questions are the independent units.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from questwell.evaluation.statistics import Comparison, Estimate, bootstrap, compare, estimate, kappa
from questwell.scoring.pass_at_k import avg_at_k, pass_at_k
from questwell.scoring.squad import exact_match, f1
from questwell.types.evaluation import Question
from questwell.types.game import Label
from questwell.types.trajectory import StopReason

ALL = "all"


@dataclass(frozen=True, slots=True)
class ScoredAttempt:
    """One attempt at one question."""

    attempt: int
    stop: StopReason
    answer: str | None
    searches: int
    turns: int
    labels: Mapping[str, Label] = field(default_factory=dict[str, Label])
    """Judgements by judge; a judge that has not judged the attempt is missing."""

    @property
    def errored(self) -> bool:
        """Whether the rollout failed, so that it says nothing about the question."""
        return self.stop in (StopReason.ERRORED, StopReason.FILTERED)


@dataclass(frozen=True, slots=True)
class QuestionAttempts:
    """A question with its attempts."""

    question: Question
    attempts: tuple[ScoredAttempt, ...]
    tokens: int | None
    """Tokens of the attempts, including prompts but not judges; None if unknown."""
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class JudgeScore:
    """The score of one judge over all questions."""

    judge: str
    accuracy: Estimate
    """Avg@k: mean share of right attempts among the scored ones, over the questions with a scored attempt."""
    pass_at: Mapping[int, Estimate]
    """Pass@k by k, over the questions with at least k scored attempts."""
    right: int
    """Number of attempts judged right; the next three fields also count attempts."""
    wrong: int
    unscored: int
    errored: int
    """Number of attempts for which the judge failed."""
    if_wrong: float | None
    """Lower bound of the accuracy: every errored or unscored attempt counts as wrong."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The scores of a system over a group of questions."""

    group: str
    """`all`, a benchmark's name, or a group as the benchmark calls it."""
    questions: int
    attempts: int
    errored: int
    """Number of rollouts that failed."""
    unanswered: int
    """Number of rollouts that ended without an answer; they count as wrong."""
    exact_match: Estimate
    """Exact match over the `n` questions with an attempt that did not error."""
    f1: Estimate
    exact_match_if_wrong: float | None
    """Lower bound of exact match: every errored attempt counts as wrong. None without an attempt."""
    judges: Sequence[JudgeScore]
    searches: Estimate
    """Mean search steps per attempt."""
    turns: Estimate
    tokens: Estimate
    """Tokens per question, over the questions where they are known."""
    cost_usd: float | None
    """Cost of all these questions in US dollars; None when not known."""


def best_f1(answer: str | None, references: Sequence[str]) -> float:
    """Return the F1 score with the best matching reference, in [0, 1]; 0 without an answer."""
    return max(f1(answer, reference) for reference in references) if answer else 0.0


def summarise(asked: Sequence[QuestionAttempts], *, seed: int = 0) -> list[Summary]:
    """Return summaries over all questions, then by benchmark if there are several, then by group."""
    names = list(dict.fromkeys(one.question.benchmark for one in asked))
    parts: dict[str, list[QuestionAttempts]] = {ALL: list(asked)}
    for name in names:
        of = [one for one in asked if one.question.benchmark == name]
        if len(names) > 1:
            parts[name] = of
        for group in sorted({one.question.group for one in of} - {""}):
            parts[f"{name}: {group}"] = [one for one in of if one.question.group == group]
    return [_summary(group, part, seed) for group, part in parts.items()]


def values(asked: Sequence[QuestionAttempts], metric: str) -> dict[tuple[str, str], float]:
    """Return a metric by question: `em`, `f1`, `searches`, or a judge's name for its accuracy.

    Questions without an attempt that counts are left out.
    """
    found: dict[tuple[str, str], float] = {}
    for one in asked:
        kept = [attempt for attempt in one.attempts if not attempt.errored]
        value = _value(one.question, kept, metric) if kept else None
        if value is not None:
            found[one.question.benchmark, one.question.id] = value
    return found


def compare_systems(
    first: Sequence[QuestionAttempts], second: Sequence[QuestionAttempts], metric: str
) -> Comparison | None:
    """Compare two systems (second minus first) on questions scored for both; None if there are none.

    Questions are the same if benchmark, id and text are equal.
    """
    texts = {(one.question.benchmark, one.question.id): one.question.question for one in first}
    same = [one for one in second if texts.get((one.question.benchmark, one.question.id)) == one.question.question]
    before, after = values(first, metric), values(same, metric)
    shared = [key for key in before if key in after]
    return compare([before[key] for key in shared], [after[key] for key in shared]) if shared else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two judges over the answers that both scored."""

    first: str
    second: str
    answers: int
    agreed: float | None
    """Share of answers with the same label, in [0, 1]; None without an answer."""
    kappa: float | None
    """Cohen's kappa; None when both judges give every answer the same label, or without an answer."""
    only_first: int
    """Number of answers that only the first judge calls right."""
    only_second: int


def agreement(asked: Sequence[QuestionAttempts], first: str, second: str) -> Agreement:
    """Return the agreement of two judges; `em` means exact match."""
    pairs = [
        (a, b)
        for one in asked
        for attempt in one.attempts
        if not attempt.errored
        for a, b in [(_label(one.question, attempt, first), _label(one.question, attempt, second))]
        if a is not None and b is not None
    ]
    return Agreement(
        first=first,
        second=second,
        answers=len(pairs),
        agreed=fmean(a == b for a, b in pairs) if pairs else None,
        kappa=kappa([a for a, _ in pairs], [b for _, b in pairs]),
        only_first=sum(a and not b for a, b in pairs),
        only_second=sum(b and not a for a, b in pairs),
    )


def _label(question: Question, attempt: ScoredAttempt, judge: str) -> bool | None:
    if judge == "em":
        return exact_match(attempt.answer or "", question.answers)
    label = attempt.labels.get(judge)
    return None if label not in (Label.RIGHT, Label.WRONG) else label is Label.RIGHT


def _value(question: Question, kept: Sequence[ScoredAttempt], metric: str) -> float | None:
    match metric:
        case "em":
            return fmean(float(exact_match(attempt.answer or "", question.answers)) for attempt in kept)
        case "f1":
            return fmean(best_f1(attempt.answer, question.answers) for attempt in kept)
        case "searches":
            return fmean(attempt.searches for attempt in kept)
        case judge:
            labels = [label for attempt in kept if (label := _label(question, attempt, judge)) is not None]
            return avg_at_k(sum(labels), len(labels)) if labels else None


def _summary(group: str, asked: Sequence[QuestionAttempts], seed: int) -> Summary:
    everything = [attempt for one in asked for attempt in one.attempts]
    judges = dict.fromkeys(judge for attempt in everything for judge in attempt.labels)
    tokens = [float(one.tokens) for one in asked if one.tokens is not None]
    costs = [one.cost_usd for one in asked if one.cost_usd is not None]
    turns = [
        fmean(attempt.turns for attempt in kept)
        for one in asked
        if (kept := [attempt for attempt in one.attempts if not attempt.errored])
    ]

    def over(metric: str) -> Estimate:
        return estimate(list(values(asked, metric).values()), seed=seed)

    def counted(found: Sequence[float]) -> Estimate:
        return bootstrap(found, seed=seed)  # these are counts: 0 and 1 do not mean wrong and right

    return Summary(
        group=group,
        questions=len(asked),
        attempts=len(everything),
        errored=sum(attempt.errored for attempt in everything),
        unanswered=sum(attempt.answer is None and not attempt.errored for attempt in everything),
        exact_match=over("em"),
        f1=over("f1"),
        exact_match_if_wrong=_least_exact_match(asked),
        judges=[_judge(asked, judge, over) for judge in judges],
        searches=counted(list(values(asked, "searches").values())),
        turns=counted(turns),
        tokens=counted(tokens),
        cost_usd=sum(costs) if len(costs) == len(asked) else None,
    )


def _least_exact_match(asked: Sequence[QuestionAttempts]) -> float | None:
    shares = [
        fmean(
            float(not attempt.errored and exact_match(attempt.answer or "", one.question.answers))
            for attempt in one.attempts
        )
        for one in asked
        if one.attempts
    ]
    return fmean(shares) if shares else None


def _judge(asked: Sequence[QuestionAttempts], judge: str, over: Callable[[str], Estimate]) -> JudgeScore:
    counts = dict.fromkeys(Label, 0)
    scored: list[tuple[int, int]] = []
    shares: list[float] = []
    for one in asked:
        labels = [attempt.labels.get(judge) for attempt in one.attempts if not attempt.errored]
        for label in labels:
            if label is not None:
                counts[label] += 1
        right = labels.count(Label.RIGHT)
        scored.append((right, right + labels.count(Label.WRONG)))
        if one.attempts:
            shares.append(right / len(one.attempts))
    most = max((of for _, of in scored), default=0)
    ks = [k for k in (2, 4, 8, 16, 32, 64) if k <= most]
    return JudgeScore(
        judge=judge,
        accuracy=over(judge),
        pass_at={k: estimate([pass_at_k(right, of, k) for right, of in scored if of >= k]) for k in ks},
        right=counts[Label.RIGHT],
        wrong=counts[Label.WRONG],
        unscored=counts[Label.UNSCORED],
        errored=counts[Label.ERRORED],
        if_wrong=fmean(shares) if shares else None,
    )
