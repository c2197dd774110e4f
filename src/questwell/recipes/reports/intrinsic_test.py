import pytest

from questwell.evaluation.statistics import wilson
from questwell.recipes.reports.funnel import ADVICE, explain, funnel
from questwell.recipes.reports.intrinsic import intrinsic
from questwell.store.records import Play, PlayCount, PlayStatus, RoundRow
from questwell.types.game import AnswerType, Outcome, Reason


def play(index: int, target: int | None, reason: Reason | None = None, status: PlayStatus | None = None) -> Play:
    status = status or (PlayStatus.REJECTED if reason else PlayStatus.ACCEPTED)
    return Play(index, 0, target, AnswerType.DATE, status, reason, "", None, None)


def row(index: int, number: int, outcome: Outcome, right: int, scored: int, difficulty: int | None) -> RoundRow:
    return RoundRow(index, number, outcome, right, scored, 0, difficulty)


PLAYS = [
    play(0, 2),
    play(1, 2, Reason.TOO_EASY),
    play(2, 3, Reason.NO_PROPOSAL),
    play(3, 3, Reason.ERRORED),
    play(4, 3, Reason.UNSCORED),
    play(5, 3, status=PlayStatus.PENDING),
    play(6, None, Reason.DUPLICATE),
]
ROUNDS = [
    row(0, 0, Outcome.PASS, 2, 4, 3),
    row(1, 0, Outcome.UNSOLVED, 0, 4, None),
    row(1, 1, Outcome.TOO_EASY, 4, 4, 1),
    row(3, 0, Outcome.ERRORED, 1, 1, 1),
    row(6, 0, Outcome.TOO_EASY, 1, 4, 1),
    row(6, 1, Outcome.PASS, 3, 4, 5),
]


def counted(plays: list[Play], rounds: list[RoundRow]) -> list[PlayCount]:
    """The counts of a run, as the store keeps them."""
    found: list[PlayCount] = []
    for known in plays:
        mine = [one for one in rounds if one.seed_index == known.index]
        passed = next((at for at, one in enumerate(mine) if one.outcome is Outcome.PASS), len(mine))
        status = PlayStatus.ACCEPTED if known.reason is Reason.DUPLICATE else known.status
        reason = None if known.reason is Reason.DUPLICATE else known.reason
        shown = mine[: passed + 1] or [None]
        for at, one in enumerate(shown):
            verdict = (one.outcome, one.right, one.scored, 0, one.difficulty) if one else (None, 0, 0, 0, None)
            number = one.round if one else None
            if status is not PlayStatus.PENDING:
                found.append(PlayCount(known.target, status, reason, number, at == len(shown) - 1, *verdict, 1, 0))
    return found


COUNTS = counted(PLAYS, ROUNDS)


def test_the_table_is_cumulative_and_counts_what_tells_something() -> None:
    cells = {(cell.target, cell.round): cell for cell in intrinsic(COUNTS, 2, early_stop=False)}
    assert set(cells) == {(target, number) for target in ("all", "2", "3", "any") for number in range(3)}
    first, last = cells["all", 0], cells["all", 2]
    assert (first.seeds, first.correct.count, first.passed.count) == (4, 2, 1)
    assert (last.seeds, last.correct.count, last.passed.count) == (4, 3, 2)
    assert cells["all", 1] == cells["all", 1].__class__(**{**asdict_of(last), "round": 1})
    assert last.mean_searches == pytest.approx((3 + 1 + 5) / 3)
    assert last.avg_at_k == pytest.approx((2 / 4 + 4 / 4 + 3 / 4) / 3)
    assert (cells["3", 0].seeds, cells["3", 0].correct.fraction, cells["3", 0].mean_searches) == (1, 0.0, None)


def asdict_of(cell: object) -> dict[str, object]:
    return {name: getattr(cell, name) for name in cell.__dataclass_fields__}  # type: ignore[attr-defined]


def test_a_pass_of_an_earlier_round_stays() -> None:
    rounds = [row(0, 0, Outcome.PASS, 1, 4, 3), row(0, 1, Outcome.UNSOLVED, 0, 4, None)]
    last = intrinsic(counted([play(0, 2)], rounds), 1, early_stop=False)[1]
    assert (last.passed.count, last.correct.count) == (1, 1)


def test_an_early_stop_hides_what_it_biases() -> None:
    assert all(cell.avg_at_k is None for cell in intrinsic(COUNTS, 1, early_stop=True))


def test_nothing_played_gives_no_table() -> None:
    assert intrinsic(counted([play(0, 2, status=PlayStatus.PENDING)], []), 2, early_stop=True) == []


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),  # from R: binom::binom.confint(x, n, method = "wilson")
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_wilson_as_others_compute_it(count: int, of: int, low: float, high: float) -> None:
    share = wilson(count, of)
    assert (share.low, share.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_the_funnel_adds_up_and_each_reason_has_advice() -> None:
    counts = funnel(COUNTS, drawn=len(PLAYS), duplicates=1)
    assert (counts.drawn, counts.candidates, counts.unfinished, counts.accepted) == (7, 6, 1, 1)
    assert counts.candidates == counts.accepted + sum(counts.rejected.values())
    assert counts.rejected[Reason.DUPLICATE] == 1
    assert len(explain(counts)) == len(counts.rejected)
    assert set(ADVICE) == set(Reason)
