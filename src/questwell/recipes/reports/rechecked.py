"""Results of a recheck per question: verdict, difficulty, solve rate with its interval, certificate."""

from dataclasses import dataclass
from pathlib import Path

from questwell.evaluation.statistics import Proportion, wilson
from questwell.recipes.generate.candidates import each_once
from questwell.recipes.generate.gates_results import Checked, results_of
from questwell.recipes.generate.recheck import FOLDER
from questwell.recipes.reports.certified import certified
from questwell.recipes.runs.description import info_of
from questwell.store.reader import FILE_NAME, RunReader
from questwell.store.records import Play
from questwell.store.reviews import read_reviews
from questwell.types.certificate import Certificate
from questwell.types.game import GateResult, Outcome, Reason
from questwell.types.review import Decision, Review, pair_digest


@dataclass(frozen=True, slots=True)
class Rechecked:
    """Recheck result of one question."""

    id: str
    """Id in the recheck's run; for a file, the row number from 0."""
    question: str
    answer: str
    accepted: bool
    reason: Reason | None
    """Why it was rejected; None if it was accepted."""
    verdict: Outcome | None
    """Outcome of its attempts; None if they could not be made."""
    difficulty: int | None
    """Fewest search steps in a right attempt; None if none was right."""
    solve_rate: Proportion
    """Share of right attempts among the scored ones, with its 95 % Wilson interval."""
    gates: tuple[GateResult, ...]
    certificate: Certificate | None
    """Certificate, including later results of `questwell gates`; None if its attempts could not be made."""


def rechecked(folder: Path) -> list[Rechecked]:
    """Return every tried question of the recheck in `folder`, in order; raises StoreError if there is none."""
    later = results_of(folder)
    with RunReader(folder) as run, run.snapshot():
        info_of(run)
        rows = (_row(run, play, later.get(play.seed_id)) for play in run.each_play())
        return [row for row in rows if row is not None]


def recheck_of(folder: Path, edit: Review) -> Rechecked | None:
    """Return the recheck result of one edit in the run in `folder`; None if it was not tried yet."""
    inner = folder / FOLDER
    if not (inner / FILE_NAME).is_file():
        return None
    edits = each_once([entry for entry in read_reviews(folder) if entry.decision is Decision.EDIT])
    wanted = (edit.seed, pair_digest(edit.question, edit.answer, edit.aliases))
    places = [(one.seed, pair_digest(one.question, one.answer, one.aliases)) for one in edits]
    with RunReader(inner) as run, run.snapshot():
        if wanted not in places or (index := places.index(wanted)) >= run.drawn():
            return None
        play = run.play(index)
        return None if play.reason is Reason.ERRORED else _row(run, play, results_of(inner).get(play.seed_id))


def _row(run: RunReader, play: Play, later: Checked | None) -> Rechecked | None:
    outcome = run.outcome(play.index)
    if outcome is None:
        return None
    last = outcome.rounds[-1] if outcome.rounds else None
    verdict = last.verdict if last else None
    return Rechecked(
        id=play.seed_id,
        question=play.question or "",
        answer=play.answer or "",
        accepted=play.reason is None,
        reason=play.reason,
        verdict=verdict.outcome if verdict else None,
        difficulty=verdict.difficulty if verdict else None,
        solve_rate=wilson(verdict.right, verdict.scored) if verdict else wilson(0, 0),
        gates=last.gates if last else (),
        certificate=certified(last, later) if last else None,
    )
