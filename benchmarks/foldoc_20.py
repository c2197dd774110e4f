"""The accepted items of a run, to be graded by reading: `python benchmarks/foldoc_20.py RUN`.

The run is `questwell generate --corpus foldoc -n 20 --llm local --steps 2..4`. What is to be read (question, answer,
verdict, steps, passages) is made from the run; grades that stand in the file already are kept, by item.
"""

import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from report import RESULTS, heading, write

from questwell.recipes.reports.items import items
from questwell.recipes.reports.status import status

NAME = "foldoc_20"


class Grade(BaseModel):
    """What a reader says of an item."""

    sound: bool
    reason: str


class Graded(BaseModel):
    """An item with its grades, one of each reader in their order."""

    model_config = ConfigDict(extra="ignore")
    id: str
    grades: list[Grade] = []


class Kept(BaseModel):
    """What people wrote into the file."""

    model_config = ConfigDict(extra="ignore")
    readers: str = ""
    items: list[Graded] = []


def main(folder: Path) -> None:
    """Write what is to be read, next to the grades that are there."""
    path = RESULTS / f"{NAME}.json"
    kept = Kept.model_validate_json(path.read_bytes()) if path.is_file() else Kept()
    grades = {one.id: one.grades for one in kept.items}
    stands = status(folder)
    found = items(folder)
    given = [grades.get(item.id, []) for item in found]
    sound = [sum(grade.sound for grade in reader) for reader in zip(*given, strict=True)]
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
        "run": "questwell generate --corpus foldoc -n 20 --llm local --steps 2..4, of commit fa7f55c",
        "seeds": stands.funnel.candidates,
        "rejected": {reason.value: number for reason, number in stands.funnel.rejected.items()},
        "accepted": stands.funnel.accepted,
        "readers": kept.readers,
        "sound_by_reader": sound,
        "sound": min(sound, default=None),
        "items": shown,
    }
    write(NAME, report)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
