"""What becomes of a question that met its target and that a gate or a weak solver stops."""

import pytest

from questwell.errors import LLMFiltered, LLMUnavailable
from questwell.games.conftest import HARDER, PROPOSAL, QUESTION, Table, outcomes, pair, right
from questwell.games.rules import Variant, WeakRules
from questwell.llm.scripted import Answer
from questwell.types.game import Accepted, FeedbackKind, Outcome, Reason, Rejected, Round
from questwell.types.gates import Gate, GateOutcome
from questwell.types.trajectory import Role

KNOWN, UNKNOWN = '{"answer": "1881"}', '{"answer": "unknown"}'
RIGHT, WRONG = "<answer>1881", "<answer>1066"
CLOSED = (Gate.CLOSED_BOOK,)
WEAK = WeakRules(attempts=2)


def solved(*rounds: int) -> Table:
    """A table at which the proposals of these rounds meet their target."""
    table = Table().proposes(0, *PROPOSAL)
    for index in rounds:
        table.solves(index, *[right(2)] * 4)
    return table


def kinds(played: Accepted | Rejected) -> list[FeedbackKind | None]:
    return [one.feedback.kind if one.feedback else None for one in played.rounds]


async def test_what_a_gate_stops_is_repaired_and_asked_again() -> None:
    table = solved(0, 1).reads(0, Gate.CLOSED_BOOK, KNOWN).proposes(1, pair(HARDER)).reads(1, Gate.CLOSED_BOOK, UNKNOWN)
    played = await table.play(gates=CLOSED)
    assert isinstance(played, Accepted)
    assert outcomes(played) == [Outcome.PASS, Outcome.PASS] and kinds(played) == [None, FeedbackKind.GATE]
    assert [[one.outcome for one in round_.gates] for round_ in played.rounds] == [
        [GateOutcome.FAILED],
        [GateOutcome.PASSED],
    ]
    asked = table.prompt(1, Role.PROPOSER)
    assert "the check 'closed-book' did not let it through: answered without any passage: '1881'." in asked
    assert f"Your question: {QUESTION}" in asked and "a check found another fault" in asked


async def test_a_gate_that_stops_the_last_round_is_the_reason() -> None:
    table = solved(0, 1).reads(0, Gate.CLOSED_BOOK, KNOWN).proposes(1, pair(HARDER)).reads(1, Gate.CLOSED_BOOK, KNOWN)
    played = await table.play(gates=CLOSED, rounds=1)
    assert isinstance(played, Rejected)
    assert (played.reason, len(played.rounds)) == (Reason.CLOSED_BOOK, 2)
    assert played.detail == "closed-book: answered without any passage: '1881'"


@pytest.mark.parametrize("rules", [{"gate_feedback": False}, {"variant": Variant.INITIAL}, {"rounds": 0}])
async def test_without_feedback_it_is_rejected_at_once(rules: dict[str, object]) -> None:
    played = await solved(0).reads(0, Gate.CLOSED_BOOK, KNOWN).play(gates=CLOSED, **rules)
    assert isinstance(played, Rejected) and (played.reason, len(played.rounds)) == (Reason.CLOSED_BOOK, 1)


async def test_resampling_writes_another_question_without_a_trace() -> None:
    table = solved(0, 1).reads(0, Gate.CLOSED_BOOK, KNOWN).proposes(1, *PROPOSAL).reads(1, Gate.CLOSED_BOOK, UNKNOWN)
    played = await table.play(gates=CLOSED, variant=Variant.RESAMPLE)
    assert isinstance(played, Accepted) and kinds(played) == [None, None]
    assert "closed-book" not in table.prompt(1, Role.PROPOSER)


@pytest.mark.parametrize(("said", "reason"), [("???\n" * 9, Reason.UNSCORED), (LLMUnavailable("down"), Reason.ERRORED)])
async def test_a_gate_that_fails_is_no_feedback(said: Answer, reason: Reason) -> None:
    played = await solved(0).reads(0, Gate.CLOSED_BOOK, said).play(gates=CLOSED)
    assert isinstance(played, Rejected) and (played.reason, len(played.rounds)) == (reason, 1)


async def test_a_repair_after_a_gate_that_changes_nothing_says_which_gate() -> None:
    table = solved(0).reads(0, Gate.CLOSED_BOOK, KNOWN).proposes(1, "x")
    table._scripts[1, Role.PROPOSER, 0] = [pair(QUESTION.upper())]
    played = await table.play(gates=CLOSED)
    assert isinstance(played, Rejected) and played.reason is Reason.UNCHANGED_REPAIR
    assert (
        played.detail.startswith("stopped before by closed-book: answered without") and "pass" not in played.detail[:9]
    )


async def test_a_repair_after_a_gate_may_turn_out_too_easy() -> None:
    table = solved(0).reads(0, Gate.CLOSED_BOOK, KNOWN).proposes(1, pair(HARDER)).solves(1, right(1))
    played = await table.play(gates=CLOSED, rounds=1)
    assert isinstance(played, Rejected) and played.reason is Reason.TOO_EASY
    assert played.rounds[1].gates == ()


# --- the weak solver


async def test_right_for_the_solver_and_wrong_for_the_weak_one() -> None:
    played = await solved(0).weakly(0, WRONG, "I cannot say.").play(weak=WEAK)
    assert isinstance(played, Accepted)
    weak = played.rounds[0].weak
    assert weak is not None
    assert (weak.verdict.outcome, weak.verdict.right, weak.verdict.scored) == (Outcome.UNSOLVED, 0, 2)


async def test_what_the_weak_solver_solves_is_repaired_from_both_works() -> None:
    table = solved(0, 1).weakly(0, f"By heart. {RIGHT}").proposes(1, pair(HARDER)).weakly(1, WRONG, WRONG)
    played = await table.play(weak=WEAK)
    assert isinstance(played, Accepted) and kinds(played) == [None, FeedbackKind.WEAK]
    weak = played.rounds[0].weak
    assert weak is not None and (weak.verdict.outcome, weak.verdict.skipped) == (Outcome.TOO_EASY, 1)
    asked = table.prompt(1, Role.PROPOSER)
    assert "a weaker solver gave your answer too, in 1 of 1 attempts" in asked
    strong, _, weakly = asked.partition("The work of the weaker solver")
    assert "By heart." in weakly and "By heart." not in strong and "Quillan 0" in strong


async def test_the_weak_solver_in_the_last_round_is_the_reason() -> None:
    played = await solved(0).weakly(0, WRONG, RIGHT).play(weak=WEAK, rounds=0)
    assert isinstance(played, Rejected)
    assert (played.reason, played.detail) == (Reason.WEAK_SOLVED, "the weak solver was right in 1 of 2 attempts")


@pytest.mark.parametrize(("most", "accepted"), [(0.0, False), (0.49, False), (0.5, True), (1.0, True)])
async def test_how_often_the_weak_solver_may_be_right(most: float, accepted: bool) -> None:
    played = await solved(0).weakly(0, WRONG, RIGHT).play(weak=WeakRules(2, most), rounds=0)
    assert isinstance(played, Accepted) is accepted


@pytest.mark.parametrize(
    ("said", "reason"), [(LLMUnavailable("down"), Reason.ERRORED), (LLMFiltered("policy"), Reason.UNSCORED)]
)
async def test_a_weak_solver_that_fails_accepts_nothing_and_is_no_feedback(said: Answer, reason: Reason) -> None:
    says = (WRONG, said) if reason is Reason.UNSCORED else (said,)
    played = await solved(0).weakly(0, *says).play(weak=WEAK)
    assert isinstance(played, Rejected) and (played.reason, len(played.rounds)) == (reason, 1)
    assert played.detail.startswith("weak solver, attempt ")


async def test_an_unscored_answer_of_the_weak_solver_is_wrong_where_the_rules_say_so() -> None:
    """Right in one of two: at most a third is allowed, so it counts how many answers there are."""
    said = (LLMFiltered("policy"), RIGHT, WRONG)
    played = await solved(0).weakly(0, *said).play(weak=WeakRules(3, 0.4), unscored_is_wrong=True, rounds=0)
    assert isinstance(played, Accepted)
    weak = played.rounds[0].weak
    assert weak is not None and (weak.verdict.outcome, weak.verdict.right) == (Outcome.PASS, 1)


async def test_of_attempts_that_an_early_stop_left_out_nothing_is_said() -> None:
    played = await solved(0).weakly(0, RIGHT).play(weak=WeakRules(3), rounds=0)
    assert isinstance(played, Rejected) and played.detail == "the weak solver was right in 1 of 1 attempts"


async def test_a_judge_that_fails_at_the_weak_solver_accepts_nothing() -> None:
    table = solved(0).weakly(0, "<answer>the year of the flood")
    table.judges(0, 200, LLMUnavailable("down"))
    played = await table.play(weak=WEAK)
    assert isinstance(played, Rejected) and played.reason is Reason.ERRORED


async def test_the_weak_solver_is_asked_only_of_what_passed_all_else() -> None:
    table = solved(0).reads(0, Gate.CLOSED_BOOK, KNOWN)
    played = await table.play(weak=WEAK, gates=CLOSED, rounds=0)
    assert isinstance(played, Rejected) and _only(played).weak is None
    easy = await Table().proposes(0, *PROPOSAL).solves(0, right(1)).play(weak=WEAK, rounds=0)
    assert _only(easy).weak is None


def _only(played: Accepted | Rejected) -> Round:
    (only,) = played.rounds
    return only
