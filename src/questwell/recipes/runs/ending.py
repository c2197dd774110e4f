"""How an invocation of a run ends, whichever verb made it."""

from enum import StrEnum


class Ending(StrEnum):
    """All but the first can be resumed."""

    COMPLETE = "complete"
    ERRORED = "errored"
    """All is played, but some of it errored: a resume plays that again."""
    LIMIT = "limit"
    """The user's limit of plays, attempts or steps for this invocation."""
    STOPPED = "stopped"
    """By the user."""
    BUDGET = "budget"
    """Money, tokens or minutes are used up; a step of self-play that this cut short is played again."""
    FAILING = "failing"
    """Too many in a row errored, or nothing of a step could be judged: model, retriever or judge is down."""
    ALARM = "alarm"
    """The newest steps of training show a collapse."""
