"""The gate results of a run, for the web pages."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from questwell.games.gates import FAILED
from questwell.recipes.generate.gates_results import results_of
from questwell.recipes.runs.description import config_of, info_of
from questwell.store.reader import RunReader
from questwell.types.game import Reason
from questwell.types.gates import Gate, GateOutcome


@dataclass(frozen=True, slots=True)
class GateRow:
    """Results of one gate over all proposals that it checked."""

    gate: Gate
    asked: bool
    """Whether the run's config includes this gate."""
    outcomes: Mapping[GateOutcome, int]
    """Number of proposals by outcome; several rounds of one seed each count."""
    reason: Reason
    """The rejection reason of seeds whose last proposal it rejected."""
    stopped: int
    """Number of seeds with that reason."""
    later: Mapping[GateOutcome, int]
    """Number of questions by result of `questwell gates` after the run; empty if it was not run."""


class _Asked(BaseModel):
    """The config key that names the gates of a run."""

    model_config = ConfigDict(extra="ignore")
    gates: tuple[Gate, ...] | None = None


def gate_rows(folder: Path) -> list[GateRow]:
    """Return every gate of the run in `folder`, in the order in which they run."""
    with RunReader(folder) as run, run.snapshot():
        asked = _Asked.model_validate(config_of(info_of(run))).gates or ()
        outcomes: dict[Gate, dict[GateOutcome, int]] = {gate: {} for gate in Gate}
        for count in run.gate_counts():
            outcomes[count.gate][count.outcome] = count.proposals
        stopped = {
            reason: sum(count.plays for count in run.play_counts() if count.final and count.reason is reason)
            for reason in FAILED.values()
        }
    later = {gate: Counter[GateOutcome]() for gate in Gate}
    for checked in results_of(folder).values():
        for result in checked.results:
            later[result.gate][result.outcome] += 1
    return [
        GateRow(gate, gate in asked, outcomes[gate], FAILED[gate], stopped[FAILED[gate]], later[gate]) for gate in Gate
    ]
