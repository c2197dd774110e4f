"""How an invocation of a run ends, for all commands."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """How an invocation ended. Only the first value means that nothing is left to do."""

    COMPLETE = "complete"
    ERRORED = "errored"
    """All pieces were played, but some errored; a resume plays those again."""
    LIMIT = "limit"
    """The user's limit of plays, attempts or steps for this invocation was reached."""
    STOPPED = "stopped"
    """The user stopped it."""
    BUDGET = "budget"
    """The limit on money, tokens or minutes was reached. A resume plays an interrupted self-play step again."""
    FAILING = "failing"
    """Too many pieces in a row errored, or no answer of a step could be judged: model, retriever or judge is down."""
    EXHAUSTED = "exhausted"
    """The corpus has no more seeds: fewer items were made than requested, and a resume would not make more."""
    ALARM = "alarm"
    """The latest training steps show a collapse."""


@dataclass(frozen=True, slots=True)
class Report:
    """How an invocation of any command ended."""

    ending: Ending
    message: str = ""
    """Why it ended; empty if the run is complete."""
    go_on: str = ""
    """The command that resumes the run; empty if there is nothing to resume."""


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
"""The most urgent ending comes first."""


def worst(parts: Iterable[tuple[str, Report]], go_on: str) -> Report:
    """Return the worst ending among the named parts of a run, and how many parts ended that way."""
    by_ending: dict[Ending, list[str]] = {}
    for name, report in parts:
        by_ending.setdefault(report.ending, []).append(f"{name}: {report.message}" if report.message else name)
    found = min(by_ending, key=_WORST.index)
    if found is Ending.COMPLETE:
        return Report(found)
    first, others = by_ending[found][0], len(by_ending[found]) - 1
    return Report(found, f"{first} (and {others} more parts)" if others else first, go_on)
