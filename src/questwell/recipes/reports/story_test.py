from questwell.recipes.reports.story import by_interest
from questwell.store.records import Play, PlayStatus
from questwell.types.game import AnswerType, Reason


def play(index: int, status: PlayStatus, question: str | None) -> Play:
    reason = Reason.UNSOLVED if status is PlayStatus.REJECTED else None
    return Play(index, 0, 2, AnswerType.DATE, status, reason, "", question, None)


def test_what_says_most_comes_first() -> None:
    plays = [
        play(0, PlayStatus.PENDING, None),
        play(1, PlayStatus.REJECTED, None),
        play(2, PlayStatus.REJECTED, "Q?"),
        play(3, PlayStatus.ACCEPTED, "Q?"),
        play(4, PlayStatus.ACCEPTED, "R?"),
    ]
    assert [known.index for known in by_interest(plays)] == [3, 4, 2, 1, 0]
