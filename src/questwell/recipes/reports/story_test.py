import pytest

from questwell.recipes.reports.story import draft_story
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn


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
