"""What a recheck found of each question: verdict, difficulty, solve rate with its interval, certificate."""

from dataclasses import dataclass
from pathlib import Path

from questwell.evaluation.statistics import Proportion, wilson
from questwell.recipes.generate.gates import results_of
from questwell.recipes.reports.certified import certified
from questwell.recipes.runs.opening import info_of
from questwell.store.reader import RunReader
from questwell.types.certificate import Certificate
from questwell.types.game import GateResult, Outcome, Reason


@dataclass(frozen=True, slots=True)
class Rechecked:
    """One question."""

    id: str
    """As in the run of the recheck; of a file, the row's number from 0."""
    question: str
    answer: str
    accepted: bool
    reason: Reason | None
    """Why it was not accepted."""
    verdict: Outcome | None
    """Of its attempts; None when they could not be made."""
    difficulty: int | None
    """Fewest search steps in a right attempt; None when none was right."""
    solve_rate: Proportion
    """Right among the scored attempts, with its 95 % Wilson interval."""
    gates: tuple[GateResult, ...]
    certificate: Certificate | None
    """Also with what `questwell gates` found of the recheck later; None when its attempts could not be made."""


def rechecked(folder: Path) -> list[Rechecked]:
    """Every question of the recheck in `folder` that was tried, in order; StoreError when there is none."""
    found: list[Rechecked] = []
    later = results_of(folder)
    with RunReader(folder) as run, run.snapshot():
        info_of(run)
        for play in run.plays():
            outcome = run.outcome(play.index)
            if outcome is None:
                continue
            last = outcome.rounds[-1] if outcome.rounds else None
            verdict = last.verdict if last else None
            found.append(
                Rechecked(
                    id=play.seed_id,
                    question=play.question or "",
                    answer=play.answer or "",
                    accepted=play.reason is None,
                    reason=play.reason,
                    verdict=verdict.outcome if verdict else None,
                    difficulty=verdict.difficulty if verdict else None,
                    solve_rate=wilson(verdict.right, verdict.scored) if verdict else wilson(0, 0),
                    gates=last.gates if last else (),
                    certificate=certified(last, later.get(play.seed_id)) if last else None,
                )
            )
    return found
