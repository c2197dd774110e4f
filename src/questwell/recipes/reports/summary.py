"""One-line result of an item, shown first in the terminal and on its page."""

from questwell.recipes.reports.funnel import WHY
from questwell.recipes.reports.story import Story
from questwell.store.records import PlayStatus


def why(story: Story) -> str:
    """Return why it was rejected, or what its attempts showed; empty if it is not finished."""
    play = story.play
    if play.reason is not None:
        return WHY[play.reason]
    if play.status is not PlayStatus.ACCEPTED or not story.rounds:
        return ""
    verdict, repairs = story.rounds[-1].verdict, len(story.rounds) - 1
    after = f", after {repairs} repair{'s' * (repairs != 1)}" if repairs else ""
    return f"{verdict.right} of {verdict.scored} attempts right, difficulty {verdict.difficulty}{after}"
