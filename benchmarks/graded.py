"""The accepted items of a run, written to be graded by reading: for `facts.py`, `films.py` and `foldoc_20.py`.

What the reader needs (question, answer, verdict, steps, passages) comes from the run and is written to
`benchmarks/results/NAME.json`; grades that are in that file already are kept, by item.
"""

from collections.abc import Sequence
from pathlib import Path

from arguments import parser
from pydantic import BaseModel, ConfigDict
from report import RESULTS, heading, write

from questwell.recipes.reports.intrinsic import ALL, Cell
from questwell.recipes.reports.items import items
from questwell.recipes.reports.status import status
from questwell.scoring.intervals import wilson


class Grade(BaseModel):
    """A reader's grade of an item."""

    sound: bool
    reason: str


class Graded(BaseModel):
    """An item with its grades, one per reader, in the readers' order."""

    model_config = ConfigDict(extra="ignore")
    id: str
    grades: list[Grade] = []


class Kept(BaseModel):
    """The grades that people wrote into the file."""

    model_config = ConfigDict(extra="ignore")
    run: str = ""
    readers: str = ""
    items: list[Graded] = []


def main(doc: str | None, name: str) -> None:
    """Write the items of the run that the command line names, next to the grades that exist."""
    options = parser(doc)
    options.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    folder = options.parse_args().run
    path = RESULTS / f"{name}.json"
    kept = Kept.model_validate_json(path.read_bytes()) if path.is_file() else Kept()
    grades = {one.id: one.grades for one in kept.items}
    stands = status(folder)
    found = items(folder)
    given = [grades.get(item.id, []) for item in found]
    readers = min(map(len, given), default=0)  # readers who have graded every item
    sound = [sum(grades_of[reader].sound for grades_of in given) for reader in range(readers)]
    shown: list[dict[str, object]] = [
        {
            "id": item.id,
            "question": item.question,
            "answer": item.answer,
            "target_steps": item.target_steps,
            "difficulty": item.difficulty,
            "right": item.right,
            "scored": item.scored,
            "steps": [f"{step.query} -> {step.answer}" for step in item.steps],
            "passages": [": ".join(pair) for pair in zip(item.evidence_titles, item.evidence_texts, strict=True)],
            "grades": [grade.model_dump() for grade in grades.get(item.id, [])],
        }
        for item in found
    ]
    report: dict[str, object] = {
        **heading(),
        "run": kept.run,
        "seeds": stands.funnel.candidates,
        "rejected": {reason.value: number for reason, number in stands.funnel.rejected.items()},
        "accepted": stands.funnel.accepted,
        "accepted_by_steps": _by_steps([item.target_steps for item in found], stands.intrinsic),
        "readers": kept.readers,
        "sound_by_reader": sound,
        "sound": min(sound, default=None),
        "items": shown,
    }
    write(name, report)


def _by_steps(accepted: list[int | None], cells: Sequence[Cell]) -> dict[str, str]:
    """Accepted of seeds with a 95 % Wilson interval in percent, by target steps."""
    seeds = {cell.target: cell.seeds for cell in cells if cell.target != ALL}
    shown: dict[str, str] = {}
    for target, number in seeds.items():
        share = wilson(sum(str(steps) == target for steps in accepted), number)
        shown[target] = f"{share.count} of {share.of} [{100 * (share.low or 0):.0f}, {100 * (share.high or 0):.0f}]"
    return shown
