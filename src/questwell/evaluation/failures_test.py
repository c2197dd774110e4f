import pytest

from questwell.evaluation.failures import Easy, Unsolved, why_easy, why_unsolved
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Attempt, Judgement, Label, Outcome, Proposal, Round, SolutionStep, Verdict
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn

BOTH = Passage("both", "Dam", "Built by Ana Ruiz, who was born in Lima.", "d0")
FIRST = Passage("first", "Dam", "The dam was built by Ana Ruiz.", "d1")
SECOND = Passage("second", "Ruiz", "She was born in Lima.", "d2")
NEITHER = Passage("neither", "Oslo", "A town.", "d3")
STEPS = (SolutionStep("Who built the dam?", "Ana Ruiz", "first"), SolutionStep("Where was she born?", "Lima", "second"))


def hits(*passages: Passage) -> tuple[Hit, ...]:
    return tuple(Hit(passage, 1.0, rank) for rank, passage in enumerate(passages, 1))


def attempt(*searches: tuple[Hit, ...], label: Label = Label.RIGHT, index: int = 0) -> Attempt:
    turns = (*(Turn("", "q", found) for found in searches), Turn("end"))
    trajectory = Trajectory(Role.SOLVER, Style.FREE, turns, StopReason.FINISHED, "Lima")
    return Attempt(index, trajectory, Judgement(label, "exact_match"))


def played(outcome: Outcome, *attempts: Attempt, steps: tuple[SolutionStep, ...] = STEPS) -> Round:
    trajectory = Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.FINISHED)
    proposal = Proposal("Where was the dam's builder born?", "Lima", ("Ciudad",), steps, (FIRST, SECOND), trajectory)
    return Round(0, proposal, attempts, Verdict(outcome, 1, 1, 1))


@pytest.mark.parametrize(
    ("searches", "own", "expected"),
    [
        ([hits(BOTH)], (), {Easy.CO_LOCATED}),
        ([hits(FIRST, SECOND)], (), {Easy.QUERY_COLLAPSE}),
        ([hits(FIRST), hits(SECOND)], (), {Easy.OTHER}),
        ([hits(NEITHER)], hits(SECOND), {Easy.TOO_SPECIFIC}),
        ([hits(BOTH)], hits(NEITHER, BOTH), {Easy.CO_LOCATED, Easy.TOO_SPECIFIC}),
        ([hits(BOTH, FIRST)], (), {Easy.CO_LOCATED}),
        ([()], (), {Easy.OTHER}),
        ([], (), {Easy.OTHER}),
    ],
)
def test_kinds_of_too_easy(searches: list[tuple[Hit, ...]], own: tuple[Hit, ...], expected: set[Easy]) -> None:
    assert why_easy(played(Outcome.TOO_EASY, attempt(*searches)), own) == expected


def test_the_easiest_right_attempt_is_what_counts() -> None:
    harder = attempt(hits(FIRST), hits(SECOND))
    wrong = attempt(hits(BOTH), label=Label.WRONG)
    assert why_easy(played(Outcome.TOO_EASY, wrong, harder, attempt(hits(FIRST, SECOND), index=2)), ()) == {
        Easy.QUERY_COLLAPSE
    }


def test_one_step_alone_cannot_collapse() -> None:
    single = played(Outcome.TOO_EASY, attempt(hits(BOTH)), steps=(SolutionStep("Where?", "Lima", "second"),))
    assert why_easy(single, ()) == {Easy.OTHER}


def test_kinds_of_unsolved() -> None:
    wrong = Label.WRONG
    found = played(Outcome.UNSOLVED, attempt(hits(NEITHER), label=wrong), attempt(hits(SECOND), label=wrong, index=1))
    assert why_unsolved(found) is Unsolved.SOLVER
    assert why_unsolved(played(Outcome.UNSOLVED, attempt(hits(FIRST), label=wrong))) is Unsolved.RETRIEVAL
    alias = Passage("x", "", "Ciudad is a city.", "d")
    assert why_unsolved(played(Outcome.UNSOLVED, attempt(hits(alias), label=wrong))) is Unsolved.SOLVER


def test_other_outcomes_have_no_kind() -> None:
    with pytest.raises(ValueError, match="not too easy"):
        why_easy(played(Outcome.PASS, attempt()), ())
    with pytest.raises(ValueError, match="not unsolved"):
        why_unsolved(played(Outcome.TOO_EASY, attempt()))
