import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.games.verdict import Criteria, PassRateBand, StepTarget, decide, is_decisive
from questwell.types.game import Attempt, Judgement, Label, Outcome
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn


def attempt(index: int, label: Label, searches: int) -> Attempt:
    turns = tuple(Turn("", query="q") for _ in range(searches))
    trajectory = Trajectory(Role.SOLVER, Style.FREE, turns, StopReason.FINISHED, "a")
    return Attempt(index, trajectory, Judgement(label, "llm", f"why {index}"))


def attempts(*results: tuple[Label, int]) -> list[Attempt]:
    return [attempt(index, label, searches) for index, (label, searches) in enumerate(results)]


def outcome(target: int | None, *results: tuple[Label, int], paper: bool = False) -> Outcome:
    return decide(attempts(*results), Criteria(len(results), target, StepTarget(), unscored_is_wrong=paper)).outcome


R, W, U, E = Label.RIGHT, Label.WRONG, Label.UNSCORED, Label.ERRORED


def test_the_papers_rule() -> None:
    assert outcome(3, (W, 1), (R, 3), (R, 5)) is Outcome.PASS
    assert outcome(3, (W, 1), (R, 2), (R, 5)) is Outcome.TOO_EASY  # the fewest searches of a right attempt decide
    assert outcome(3, (W, 9), (W, 9)) is Outcome.UNSOLVED
    assert outcome(None, (R, 0)) is Outcome.PASS


def test_nothing_passes_beside_a_failure() -> None:
    assert outcome(2, (R, 4), (E, 0)) is Outcome.ERRORED
    assert outcome(2, (R, 4), (U, 0)) is Outcome.UNSCORED
    assert outcome(2, (W, 4), (U, 0)) is Outcome.UNSCORED  # not "nobody can solve it"
    assert outcome(2, (R, 4), (U, 0), paper=True) is Outcome.PASS
    assert outcome(2, (R, 4), (E, 0), paper=True) is Outcome.ERRORED


def test_right_too_easily_decides_whatever_fails() -> None:
    assert outcome(2, (R, 1), (E, 0)) is Outcome.TOO_EASY
    assert outcome(2, (E, 0), (U, 0), (R, 1)) is Outcome.TOO_EASY
    band = PassRateBand(0.25, 0.5)
    tried = attempts((R, 1), (R, 1), (R, 1), (E, 0))
    assert decide(tried, Criteria(4, None, band, unscored_is_wrong=False)).outcome is Outcome.TOO_EASY
    assert decide(tried[1:], Criteria(4, None, band, unscored_is_wrong=False)).outcome is Outcome.ERRORED
    assert not is_decisive(attempts((U, 0)), Criteria(4, 2, StepTarget(), unscored_is_wrong=False))
    assert is_decisive(attempts((U, 0)), Criteria(4, None, StepTarget(), unscored_is_wrong=False))
    assert is_decisive(attempts((E, 0)), Criteria(4, 2, StepTarget(), unscored_is_wrong=False))


def test_a_band_may_ask_for_a_minimum_of_steps() -> None:
    band = PassRateBand(0.25, 0.75, minimum=2)
    for searches, expected in ((1, Outcome.TOO_EASY), (2, Outcome.PASS)):
        tried = attempts((R, searches), (R, 3), (W, 0), (W, 1))
        assert decide(tried, Criteria(4, 9, band)).outcome is expected


def test_counts_leave_failures_out() -> None:
    verdict = decide(attempts((R, 2), (W, 1), (U, 3), (E, 0)), Criteria(6, 2, StepTarget(), unscored_is_wrong=False))
    assert (verdict.right, verdict.scored, verdict.difficulty, verdict.skipped) == (1, 2, 2, 2)
    assert verdict.solve_rate == 0.5
    assert verdict.detail == "attempt 2: why 2"
    assert decide([], Criteria(4, 2, StepTarget(), unscored_is_wrong=False)).solve_rate is None


def test_pass_rate_band() -> None:
    band = PassRateBand(0.25, 0.75)

    def of(right: int) -> Outcome:
        return decide(attempts(*[(R, 1)] * right, *[(W, 1)] * (4 - right)), Criteria(4, 9, band)).outcome

    assert [of(right) for right in range(5)] == [
        Outcome.UNSOLVED,
        Outcome.PASS,
        Outcome.PASS,
        Outcome.PASS,
        Outcome.TOO_EASY,
    ]
    low = PassRateBand(0.5, 1.0)
    one = decide(attempts((R, 1), (W, 1), (W, 1), (W, 1)), Criteria(4, 9, low, unscored_is_wrong=False))
    assert one.outcome is Outcome.TOO_HARD


RESULTS = st.lists(st.tuples(st.sampled_from([R, W, U, E]), st.integers(0, 4)), min_size=1, max_size=5)


@given(RESULTS, st.integers(1, 4), st.randoms(use_true_random=False))
def test_the_order_of_attempts_does_not_matter(results, target, rng) -> None:
    before = decide(attempts(*results), Criteria(len(results), target, StepTarget(), unscored_is_wrong=False))
    rng.shuffle(results)
    after = decide(attempts(*results), Criteria(len(results), target, StepTarget(), unscored_is_wrong=False))
    assert (before.outcome, before.right, before.scored, before.difficulty) == (
        after.outcome,
        after.right,
        after.scored,
        after.difficulty,
    )


@pytest.mark.parametrize(
    "acceptance", [StepTarget(), StepTarget(3), PassRateBand(0.25, 0.5), PassRateBand(0.25, 0.5, minimum=2)]
)
@pytest.mark.parametrize("target", [2, None])
@pytest.mark.parametrize("paper", [False, True])
def test_early_stop_is_exact_by_brute_force(acceptance, target: int | None, paper: bool) -> None:
    """Whatever the attempts not run would have given, a stopped game ends as the whole one does.

    Except at a failed call: such a play is played again, so that it only may not hide one that would be accepted.
    """
    kinds = [(R, 1), (R, 3), (W, 2), (U, 1), (E, 0)]
    end = {
        results: decide(attempts(*results), Criteria(4, target, acceptance, unscored_is_wrong=paper)).outcome
        for results in itertools.product(kinds, repeat=4)
    }
    for length in range(1, 5):
        for begun in itertools.product(kinds, repeat=length):
            possible = {end[(*begun, *rest)] for rest in itertools.product(kinds, repeat=4 - length)}
            so_far = attempts(*begun)
            now = decide(so_far, Criteria(4, target, acceptance, unscored_is_wrong=paper)).outcome
            if is_decisive(so_far, Criteria(4, target, acceptance, unscored_is_wrong=paper)):
                again = {Outcome.ERRORED, Outcome.TOO_EASY} if now is Outcome.ERRORED else {now}
                also = {Outcome.ERRORED} if now is Outcome.UNSCORED else set[Outcome]()
                assert possible <= again | also
            elif length < 4:
                assert possible != {Outcome.TOO_EASY}, "it could have stopped"
                assert now is not Outcome.ERRORED
