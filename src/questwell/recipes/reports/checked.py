"""Status of a gates check and of a labelling: results so far, and usage."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from questwell.errors import StoreError
from questwell.recipes.generate.gates_results import Checked, GateCount, count_gates, read_results
from questwell.recipes.reports.label_shares import LabelShares, saved
from questwell.recipes.reports.ledger import Ledger, ledger
from questwell.recipes.runs.description import info_of
from questwell.store.reader import RunReader
from questwell.store.records import RunInfo
from questwell.types.gates import Gate
from questwell.types.ids import id_order, seed_number


@dataclass(frozen=True, slots=True)
class GatesStatus:
    """Status of a gates check."""

    info: RunInfo
    questions: int
    """Number of questions with stored results; they are written when an invocation ends."""
    stopped: int
    """Number of those questions that at least one gate rejects."""
    gates: Sequence[GateCount]
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class LabelsStatus:
    """Status of a labelling."""

    info: RunInfo
    shares: LabelShares | None
    """Shares by label; None until the labelling ends."""
    ledger: Ledger


def gates_status(folder: Path) -> GatesStatus:
    """Return the status of the check in `folder`; raises StoreError if there is none."""
    with RunReader(folder) as run, run.snapshot():
        info, took = info_of(run, "gates"), ledger(run)
    found = checked(folder)
    asked = {result.gate for one in found for result in one.results}
    counts = count_gates([gate for gate in Gate if gate in asked], found)
    return GatesStatus(info, len(found), sum(one.stopped for one in found), counts, took)


def checked(folder: Path, item: str | None = None) -> list[Checked]:
    """Return the questions with results in the check in `folder`, in the order of seeds; or just that of `item`."""
    found = sorted(read_results(folder).values(), key=lambda one: id_order(one.id))
    if item is None:
        return found
    chosen = [one for one in found if seed_number(one.id) == seed_number(item)]
    if not chosen:
        raise StoreError(f"the check in {str(folder)!r} has no result of {item!r}; questwell show {folder} lists all")
    return chosen


def labels_status(folder: Path) -> LabelsStatus:
    """Return the status of the labelling in `folder`; raises StoreError if there is none."""
    with RunReader(folder) as run, run.snapshot():
        return LabelsStatus(info_of(run, "labels"), saved(folder.resolve().parent), ledger(run))
