"""How an invocation of a run ends, whichever verb made it."""

from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """How: after all but the first, something is left to do."""

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
    EXHAUSTED = "exhausted"
    """The corpus has nothing more to offer: less was made than asked for, and a resume would make no more."""
    ALARM = "alarm"
    """The newest steps of training show a collapse."""


@dataclass(frozen=True, slots=True)
class Report:
    """How an invocation ended, whichever verb it was."""

    ending: Ending
    message: str = ""
    """Why; empty when it is complete."""
    go_on: str = ""
    """The command that goes on; empty when there is nothing to go on with."""
