"""The usage of a run's calls, for runs of every command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from questwell.store.query import begun
from questwell.store.reader import RunReader
from questwell.store.records import FailedUsage, RoleUsage
from questwell.types.usage import Usage


@dataclass(frozen=True, slots=True)
class Ledger:
    """Model calls and searches, including resumes. None means unknown, which is not 0."""

    total: Usage
    """Usage of model calls; its cost includes searches and failed calls."""
    by_role: list[RoleUsage]
    searches: int
    searches_cost_usd: float | None
    failures: dict[str, int]
    """Number of failed calls by class of error."""
    failed: FailedUsage
    """Usage of the failed model calls; included in the total, but not in any role's usage."""
    adapted: Mapping[str, Sequence[str]]
    """How requests were changed, by `MODEL at URL`; empty if each was accepted unchanged."""


def ledger(run: RunReader) -> Ledger:
    """Return the usage of the calls in an open run file."""
    searches = run.searches()
    return Ledger(
        total=run.usage(),
        by_role=run.usage_by_role(),
        searches=searches.searches,
        searches_cost_usd=searches.cost_usd,
        failures=run.failures(),
        failed=run.failed(),
        adapted=run.adapted(),
    )


def ledgers(folder: Path) -> Sequence[Ledger]:
    """Return the ledgers of a step-based run in `folder`: one per process that called a model other than the policy."""
    found: list[Ledger] = []
    for calls in sorted(folder.glob("calls*")):
        if begun(calls):
            with RunReader(calls) as run, run.snapshot():
                found.append(ledger(run))
    return found
