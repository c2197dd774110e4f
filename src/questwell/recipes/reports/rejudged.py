"""Status of a rejudging: agreement of two judges on the same answers, and the usage of the second one."""

from dataclasses import dataclass
from pathlib import Path

from questwell.errors import StoreError
from questwell.recipes.rejudge.results import RESULTS, Rejudged, Sums, read, sums
from questwell.recipes.reports.ledger import Ledger, ledger
from questwell.recipes.runs.description import info_of
from questwell.store.reader import RunReader
from questwell.store.records import RunInfo
from questwell.types.ids import seed_number


@dataclass(frozen=True, slots=True)
class RejudgeStatus:
    """Status of a rejudging."""

    info: RunInfo
    sums: Sums
    """Sums over the questions whose results are stored; results are written when an invocation ends."""
    ledger: Ledger


def rejudge_status(folder: Path) -> RejudgeStatus:
    """Return the status of the rejudging in `folder`; raises StoreError if there is none."""
    with RunReader(folder) as run, run.snapshot():
        info, took = info_of(run, "rejudge"), ledger(run)
    return RejudgeStatus(info, sums(rejudged(folder)), took)


def rejudged(folder: Path, item: str | None = None) -> list[Rejudged]:
    """Return all questions judged again in `folder`, in the order of seeds; or only that of seed `item`."""
    path = folder / RESULTS
    found = list(read(path).questions) if path.is_file() else []
    if item is None:
        return found
    chosen = [one for one in found if seed_number(one.id) == seed_number(item)]
    if not chosen:
        raise StoreError(f"{str(folder)!r} has no question {item!r} that was judged again; questwell show lists all")
    return chosen
