"""How an invocation of a run ends, whichever verb made it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """How an invocation ended; after all but the first ending, something is left to do."""

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


_WORST = (
    Ending.ALARM,
    Ending.FAILING,
    Ending.BUDGET,
    Ending.STOPPED,
    Ending.LIMIT,
    Ending.ERRORED,
    Ending.EXHAUSTED,
    Ending.COMPLETE,
)
"""The one that most needs a look comes first."""


def worst(parts: Iterable[tuple[str, Report]], go_on: str) -> Report:
    """The worst ending of the named parts of a run, with how many ended so; `go_on` continues the run."""
    by_ending: dict[Ending, list[str]] = {}
    for name, report in parts:
        by_ending.setdefault(report.ending, []).append(f"{name}: {report.message}" if report.message else name)
    found = min(by_ending, key=_WORST.index)
    if found is Ending.COMPLETE:
        return Report(found)
    first, others = by_ending[found][0], len(by_ending[found]) - 1
    return Report(found, f"{first} (and {others} more parts)" if others else first, go_on)
