import pytest

from questwell.recipes.reports.story import by_interest, draft_story
from questwell.store.records import Play, PlayStatus
from questwell.types.game import AnswerType, Reason
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn


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


@pytest.mark.parametrize(
    ("text", "reasoning", "last_words"),
    [
        ("I would ask Paris.</think>\nNo pair.", "", "No pair."),
        ("", "Perhaps Paris.", "(only a thought) Perhaps Paris."),
        ("<think>Perhaps Paris", "", "(only a thought) Perhaps Paris"),
        ("", "", ""),
    ],
)
def test_the_last_words_of_a_draft_are_what_it_said(text: str, reasoning: str, last_words: str) -> None:
    turns = (Turn("first", None, ()), Turn(text, None, (), reasoning=reasoning))
    story = draft_story(Trajectory(Role.PROPOSER, Style.FREE, turns, StopReason.TURNS))
    assert story.last_words == last_words


def test_the_last_words_of_a_draft_that_said_nothing_are_its_error() -> None:
    story = draft_story(Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.ERRORED, error="timed out"))
    assert story.last_words == "timed out"
