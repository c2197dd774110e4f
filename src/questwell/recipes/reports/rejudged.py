"""How a rejudging stands: what two judges say of the same answers, and what the second one took."""

from dataclasses import dataclass
from pathlib import Path

from questwell.errors import StoreError
from questwell.recipes.rejudge.results import RESULTS, Rejudged, Sums, read, sums
from questwell.recipes.reports.ledger import Ledger, ledger
from questwell.recipes.runs.opening import info_of
from questwell.store.reader import RunReader
from questwell.store.records import RunInfo
from questwell.types.ids import seed_number


@dataclass(frozen=True, slots=True)
class RejudgeStatus:
    """How a rejudging stands."""

    info: RunInfo
    sums: Sums
    """Sums over the questions whose results are stored; results are written when an invocation ends."""
    ledger: Ledger


def rejudge_status(folder: Path) -> RejudgeStatus:
    """How the rejudging in `folder` stands; StoreError when there is none."""
    with RunReader(folder) as run, run.snapshot():
        info, took = info_of(run, "rejudge"), ledger(run)
    return RejudgeStatus(info, sums(rejudged(folder)), took)


def rejudged(folder: Path, item: str | None = None) -> list[Rejudged]:
    """Every question that was judged again in `folder`, in the order of seeds; or the one of seed `item`."""
    path = folder / RESULTS
    found = list(read(path).questions) if path.is_file() else []
    if item is None:
        return found
    chosen = [one for one in found if seed_number(one.id) == seed_number(item)]
    if not chosen:
        raise StoreError(f"{str(folder)!r} has no question {item!r} that was judged again; questwell show lists all")
    return chosen
