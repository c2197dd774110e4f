import random
import re
import string
from collections import Counter

import pytest

from questwell.evaluation.scores import (
    QuestionAttempts,
    ScoredAttempt,
    agreement,
    best_f1,
    compare_systems,
    summarise,
    values,
)
from questwell.scoring.squad import exact_match
from questwell.types.evaluation import Question
from questwell.types.game import Label
from questwell.types.trajectory import StopReason


def squad_normal(text: str) -> str:
    """As the official SQuAD evaluation normalises: lower case, no punctuation, no articles, single spaces."""
    text = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def squad_f1(prediction: str, truth: str) -> float:
    """As the official SQuAD evaluation counts common tokens."""
    ours, theirs = squad_normal(prediction).split(), squad_normal(truth).split()
    same = sum((Counter(ours) & Counter(theirs)).values())
    if not same:
        return 0.0
    precision, recall = same / len(ours), same / len(theirs)
    return 2 * precision * recall / (precision + recall)


def test_em_and_f1_are_those_of_the_official_squad_script_on_1000_pairs() -> None:
    rng = random.Random(9)
    words = [
        "The",
        "a",
        "an",
        "Ost",
        "ost,",
        "(river)",
        "1,900",
        "1900",
        "U.S.",
        "us",
        "Zoë",
        "co-op",
        "then",
        "ANA",
        "theatre",
    ]
    for _ in range(1000):
        answer, *references = (" ".join(rng.choices(words, k=rng.randint(1, 5))) for _ in range(3))
        expected = any(squad_normal(answer) == squad_normal(reference) for reference in references)
        if squad_normal(answer):  # an answer of articles only matches an equal one there, and nothing here
            assert exact_match(answer, references) == expected
        assert best_f1(answer, references) == pytest.approx(max(squad_f1(answer, r) for r in references))
    assert best_f1(None, ("x",)) == 0.0


def asked(
    name: str, *attempts: ScoredAttempt, group: str = "", answers: tuple[str, ...] = ("ost",)
) -> QuestionAttempts:
    return QuestionAttempts(Question(name, f"{name}?", answers, "b", group), attempts, 100, 0.1)


def tried(answer: str | None = None, stop: StopReason = StopReason.FINISHED, **labels: Label) -> ScoredAttempt:
    return ScoredAttempt(0, stop, answer, 2, 3, labels)


def test_attempts_are_averaged_within_a_question_first() -> None:
    right, wrong = tried("Ost", j=Label.RIGHT), tried("West", j=Label.WRONG)
    often = asked("q1", *[right] * 9, wrong)
    never = asked("q2", wrong)
    (summary,) = summarise([often, never])
    assert summary.exact_match.mean == pytest.approx(0.45)  # not 9 of 11
    assert summary.judges[0].accuracy.mean == pytest.approx(0.45)
    assert summary.judges[0].pass_at[2].mean == 1.0  # of ten attempts, every two hold a right one
    assert summary.judges[0].pass_at[2].n == 1


def test_errored_rollouts_are_in_no_mean_and_questions_of_nothing_else_in_none() -> None:
    failed = tried(None, StopReason.ERRORED, j=Label.ERRORED)
    (summary,) = summarise(
        [asked("q1", failed), asked("q2", failed, tried("Ost", j=Label.RIGHT)), asked("q3", tried())]
    )
    assert (summary.errored, summary.unanswered, summary.attempts) == (2, 1, 4)
    assert (summary.exact_match.n, summary.exact_match.mean) == (2, 0.5)
    assert (summary.searches.n, summary.searches.mean) == (2, 2.0)
    (judge,) = summary.judges
    assert (judge.right, judge.wrong, judge.errored, judge.accuracy.n) == (1, 0, 0, 1)
    assert judge.if_wrong == pytest.approx((0 + 0.5 + 0) / 3)
    assert summary.exact_match_if_wrong == pytest.approx((0 + 0.5 + 0) / 3)
    assert summarise([asked("q1")])[0].exact_match_if_wrong is None


def test_what_no_question_knows_is_none() -> None:
    unknown = QuestionAttempts(Question("q", "q?", ("a",), "b"), (tried("a"),), None, None)
    (summary,) = summarise([unknown, asked("q2", tried("ost"))])
    assert summary.cost_usd is None
    assert summary.tokens.n == 1


def test_groups_add_up() -> None:
    found = summarise([asked(f"q{n}", tried("ost"), group=f"{n % 3} hops") for n in range(10)])
    assert [row.group for row in found] == ["all", "b: 0 hops", "b: 1 hops", "b: 2 hops"]
    assert found[0].questions == sum(row.questions for row in found[1:])


def test_only_shared_questions_are_compared() -> None:
    first = [asked("q1", tried("ost")), asked("q2", tried("west")), asked("q3", tried(None, StopReason.ERRORED))]
    second = [asked("q2", tried("ost")), asked("q3", tried("ost")), asked("q4", tried("ost"))]
    found = compare_systems(first, second, "em")
    assert found is not None
    assert (found.difference.n, found.better, found.worse) == (1, 1, 0)
    other = [QuestionAttempts(Question("q1", "reworded?", ("ost",), "b"), (tried("x"),), None, None)]
    assert compare_systems(first, other, "em") is None
    assert values(first, "em") == {("b", "q1"): 1.0, ("b", "q2"): 0.0}


def test_agreement_is_over_answers_that_both_judged() -> None:
    answers = [
        asked("q1", tried("ost", j=Label.RIGHT, k=Label.WRONG)),
        asked("q2", tried("west", j=Label.RIGHT, k=Label.RIGHT)),
        asked("q3", tried("west", j=Label.UNSCORED, k=Label.RIGHT)),
        asked("q4", tried("west", j=Label.WRONG)),
    ]
    found = agreement(answers, "j", "k")
    assert (found.answers, found.agreed, found.only_first, found.only_second) == (2, 0.5, 1, 0)
    assert agreement(answers, "em", "j").answers == 3
    assert agreement(answers, "em", "nobody").agreed is None


def test_a_filtered_rollout_says_nothing_about_its_question() -> None:
    filtered = tried(None, StopReason.FILTERED, j=Label.UNSCORED)
    (summary,) = summarise([asked("q1", tried("Ost", j=Label.RIGHT)), asked("q2", filtered), asked("q3", filtered)])
    assert (summary.exact_match.n, summary.exact_match.mean) == (1, 1.0)
    assert summary.exact_match_if_wrong == summary.judges[0].if_wrong == pytest.approx(1 / 3)
    late = tried("Ost", StopReason.ERRORED)  # whatever it had written
    assert summarise([asked("q1", tried("Ost")), asked("q2", late)])[0].exact_match_if_wrong == 0.5
