"""What two judges said, counted: only answers that both scored, only verdicts that are final."""

from dataclasses import replace
from pathlib import Path

from questwell.evaluation.statistics import wilson
from questwell.recipes.rejudge.results import (
    RESULTS,
    Rejudged,
    Rejudging,
    TwiceJudged,
    agreements,
    keep,
    read,
    seconds,
    sums,
)
from questwell.types.certificate import Agreement
from questwell.types.game import Label, Outcome, Verdict

RIGHT, WRONG, UNSCORED, ERRORED = Label.RIGHT, Label.WRONG, Label.UNSCORED, Label.ERRORED


def verdict(outcome: Outcome) -> Verdict:
    return Verdict(outcome, right=0, scored=0, difficulty=None, skipped=0)


def asked(
    name: str,
    *answers: tuple[Label, Label],
    after: Outcome = Outcome.PASS,
    accepted: bool = True,
    decided: bool = True,
) -> Rejudged:
    twice = tuple(TwiceJudged(number, "a", one, other, "") for number, (one, other) in enumerate(answers))
    return Rejudged(name, accepted, f"{name}?", "a", twice, verdict(Outcome.PASS), verdict(after), decided)


ONE = asked("s1", (RIGHT, RIGHT), (RIGHT, WRONG), (WRONG, WRONG), (UNSCORED, RIGHT), (RIGHT, UNSCORED))
TWO = asked("s2", (WRONG, RIGHT), (WRONG, RIGHT), (UNSCORED, UNSCORED), decided=False)
THREE = asked("s3", (RIGHT, WRONG), after=Outcome.UNSOLVED)
FOUR = asked("s4", (ERRORED, RIGHT), accepted=False)


def test_sums() -> None:
    found = sums([ONE, TWO, THREE, FOUR])
    assert (found.questions, found.answers, found.agreement) == (4, 6, wilson(2, 6))
    assert (found.only_before, found.only_after, found.unscored) == (2, 2, 2)
    assert found.outcomes == {"pass -> pass": 2, "pass -> undecided": 1, "pass -> unsolved": 1}
    assert (found.kept, found.accepted) == (1, 3)  # one is undecided, one lost, one was never accepted


def test_an_undecided_verdict_has_not_changed() -> None:
    assert THREE.changed and not ONE.changed
    assert not replace(THREE, decided=False).changed
    assert asked("s", (RIGHT, ERRORED)).errored == "" and ONE.errored is None


def test_of_a_question_that_was_edited_since_nothing_is_said() -> None:
    judges = [Rejudging("run", "strict", (ONE, TWO)), Rejudging("run", "mild", (THREE,))]
    (said,) = seconds(judges, "s1", "s1?", "a")
    assert (said.judge, said.said) == ("strict", ONE)
    assert agreements(judges, "s1", "s1?", "a") == (Agreement("strict", 2, 3),)
    assert agreements(judges, "s3", "s3?", "a") == (Agreement("mild", 0, 1),)
    assert seconds(judges, "s1", "another?", "a") == seconds(judges, "s1", "s1?", "b") == ()


def test_what_was_judged_earlier_stays(tmp_path: Path) -> None:
    keep(tmp_path, Rejudging("run", "strict", (TWO, ONE)))
    newer = replace(TWO, decided=True)
    keep(tmp_path, Rejudging("run", "strict", (THREE, newer)))
    assert read(tmp_path / RESULTS) == Rejudging("run", "strict", (ONE, newer, THREE))
