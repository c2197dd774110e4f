"""Stores the results of the gates for a run's questions next to the recorded calls."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from questwell.errors import StoreError
from questwell.recipes.runs import files
from questwell.types.gates import Gate, GateOutcome, GateResult
from questwell.types.ids import id_order


@dataclass(frozen=True, slots=True)
class Checked:
    """A question with its gate results."""

    id: str
    """Id of the question's seed."""
    accepted: bool
    """Whether the run accepted it."""
    question: str
    answer: str
    results: tuple[GateResult, ...]

    @property
    def errored(self) -> str | None:
        """The failure; None if there was none."""
        return next((one.reason for one in self.results if one.outcome is GateOutcome.ERRORED), None)

    @property
    def stopped(self) -> bool:
        """Whether at least one gate rejects it."""
        return any(result.outcome is not GateOutcome.PASSED for result in self.results)


FOLDER = "gates"
"""Folder in a run's folder for the gates' calls and results, unless --out names another."""
RESULTS = "results.json"
"""File in that folder with the gates' results by question."""
_CHECKED = TypeAdapter(list[Checked])


@dataclass(frozen=True, slots=True)
class GateCount:
    """The results of one gate over all questions."""

    gate: Gate
    outcomes: dict[GateOutcome, int]
    """Number of questions by outcome; the numbers add up to all questions."""
    alone: int
    """Number of questions that only this gate rejects."""


def results_of(run: Path) -> dict[str, Checked]:
    """Return the gate results in a run's default folder, by seed; empty if `questwell gates` was never run."""
    return read_results(run / FOLDER)


def keep_results(out: Path, checked: Iterable[Checked]) -> None:
    """Save results next to the calls; keeps earlier results of other gates for the same question."""
    known = read_results(out)
    for one in checked:
        before = known.get(one.id)
        if before is not None and (before.question, before.answer) == (one.question, one.answer):
            now = {result.gate for result in one.results}
            both = (*(result for result in before.results if result.gate not in now), *one.results)
            one = replace(one, results=tuple(sorted(both, key=lambda result: list(Gate).index(result.gate))))
        known[one.id] = one
    if known:
        files.replace(out / RESULTS, _CHECKED.dump_json([known[name] for name in sorted(known, key=id_order)]))


def read_results(folder: Path) -> dict[str, Checked]:
    """Read the results of the check in `folder`, by seed; empty before its first invocation has ended."""
    path = folder / RESULTS
    if not path.is_file():
        return {}
    try:
        return {one.id: one for one in _CHECKED.validate_json(path.read_bytes())}
    except (OSError, ValueError) as error:
        raise StoreError(f"{str(path)!r} cannot be read ({error}); run questwell gates again to make it") from None


def count_gates(gates: Sequence[Gate], checked: Sequence[Checked]) -> list[GateCount]:
    """Count the results of each of `gates` over the questions it ran on."""
    counts: list[GateCount] = []
    for gate in (gate for gate in Gate if gate in gates):
        own = [(one, result) for one in checked for result in one.results if result.gate is gate]
        alone = sum(
            result.outcome is not GateOutcome.PASSED
            and all(other.outcome is GateOutcome.PASSED for other in one.results if other is not result)
            for one, result in own
        )
        counts.append(GateCount(gate, dict(Counter(result.outcome for _, result in own).most_common()), alone))
    return counts
