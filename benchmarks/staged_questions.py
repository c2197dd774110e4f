"""Items that the embedded model accepts over several corpora, to be graded by reading.

    python benchmarks/staged_questions.py FOLDER

FOLDER has a run per corpus and number of steps, named CORPUS-STEPS, such as `films-2`. Each was made on one core by
`questwell generate --corpus CORPUS -n 20 --concurrency 1 --llm local --steps STEPS`; `unseen.py` makes corpora that the
staged agents were not tuned on. What a reader needs (question, answer, steps, passages) is written to
benchmarks/results/staged_questions.json. Grades that are in that file already are kept, by run, item and question,
and so are other remarks in it.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from arguments import parser
from arguments import run as started
from pydantic import BaseModel, ConfigDict
from report import RESULTS, heading, write

from questwell.recipes.reports.items import items
from questwell.recipes.reports.status import status
from questwell.scoring.intervals import wilson

NAME = "staged_questions"


class Grade(BaseModel):
    """A reader's grade of an item."""

    sound: bool
    reason: str = ""


class Graded(BaseModel):
    """An item with its grades, one per reader, in the readers' order."""

    model_config = ConfigDict(extra="ignore")
    run: str
    id: str
    question: str
    grades: list[Grade] = []


class Kept(BaseModel):
    """What people wrote into the file."""

    model_config = ConfigDict(extra="ignore")
    readers: str = ""
    remarks: str = ""
    items: list[Graded] = []


def main() -> None:
    options = parser(__doc__)
    options.add_argument("folder", type=Path, metavar="FOLDER", help="folder with the runs")
    folder = options.parse_args().folder
    path = RESULTS / f"{NAME}.json"
    kept = Kept.model_validate_json(path.read_bytes()) if path.is_file() else Kept()
    grades = {(one.run, one.id, one.question): one.grades for one in kept.items}
    runs = sorted(one.parent for one in folder.glob("*-[0-9]/run.sqlite"))
    if not runs:
        raise SystemExit(f"{folder} has no runs that are named CORPUS-STEPS")
    played = [_played(run) for run in runs]
    found = [(run.name, item) for run in runs for item in items(run)]
    shown = [_shown(run, item, grades.get((run, item.id, item.question), [])) for run, item in found]
    readers = max((len(one["grades"]) for one in shown), default=0)
    graded = [
        [one["grades"][reader]["sound"] for one in shown if len(one["grades"]) > reader] for reader in range(readers)
    ]
    report: dict[str, object] = {
        **heading(),
        "remarks": kept.remarks,
        "readers": kept.readers,
        "runs": played,
        "pooled": {steps: _pooled([one for one in played if one["steps"] == steps]) for steps in _steps(played)},
        "sound_by_reader": [_share(sum(sound), len(sound)) for sound in graded],
        "items": shown,
    }
    write(NAME, report)


def _played(run: Path) -> dict[str, Any]:
    """Return how the seeds of a run ended, and what a seed took in the median."""
    corpus, _, steps = run.name.rpartition("-")
    funnel = status(run).funnel
    with closing(sqlite3.connect(f"{(run / 'run.sqlite').resolve().as_uri()}?mode=ro", uri=True)) as database:
        counted = database.execute(
            "SELECT sum(kind = 'llm'), sum(kind = 'search'), sum(latency_s) FROM calls GROUP BY seed"
        ).fetchall()
    calls, searches, seconds = zip(*counted, strict=True) if counted else ((0,), (0,), (0,))
    return {
        "corpus": corpus,
        "steps": int(steps),
        **_share(funnel.accepted, funnel.candidates),
        "rejected": {reason.value: number for reason, number in funnel.rejected.items()},
        "median_calls": median(calls),
        "median_searches": median(searches),
        "median_s": round(median(seconds), 1),
        "seconds": [round(one, 1) for one in seconds],
        "searches": list(searches),
    }


def _steps(played: Sequence[dict[str, Any]]) -> list[int]:
    return sorted({one["steps"] for one in played})


def _pooled(played: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        **_share(sum(one["accepted"] for one in played), sum(one["of"] for one in played)),
        "median_s": round(median(one for run in played for one in run["seconds"]), 1),
        "median_searches": median(one for run in played for one in run["searches"]),
    }


def _share(count: int, of: int) -> dict[str, Any]:
    """Return a share with its 95 % Wilson interval."""
    share = wilson(count, of)
    return {"accepted": count, "of": of, "low": round(share.low or 0, 3), "high": round(share.high or 0, 3)}


def _shown(run: str, item: Any, grades: Sequence[Grade]) -> dict[str, Any]:
    return {
        "run": run,
        "id": item.id,
        "question": item.question,
        "answer": item.answer,
        "difficulty": item.difficulty,
        "right": item.right,
        "scored": item.scored,
        "steps": [f"{step.query} -> {step.answer}" for step in item.steps],
        "passages": [": ".join(pair) for pair in zip(item.evidence_titles, item.evidence_texts, strict=True)],
        "grades": [grade.model_dump() for grade in grades],
    }


if __name__ == "__main__":
    started(main)
