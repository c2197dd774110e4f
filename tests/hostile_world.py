"""Runs of every kind whose every field is one of the hostile texts."""

import asyncio
import json
from pathlib import Path
from urllib.parse import quote

import view_world
from hostile_texts import HIT, HOSTILE
from view_world import rollout

from questwell.recipes.runs import description
from questwell.recipes.selfplay.record import Record, StepRow
from questwell.store.records import Asked, CallKey, CallKind, Failure, RunInfo, Score, Scoring
from questwell.store.run import RunStore
from questwell.types.evaluation import Question
from questwell.types.game import Judgement, Label, Place
from questwell.types.selfplay import Invalid
from questwell.types.trajectory import Role

GENERATE = "run<b>"
EVALUATIONS = (f"ev<img src=x onerror={HIT}>", f"ev\"' onload={HIT}")
TRAIN = f"tr<svg onload={HIT}>"
SELFPLAY = f"sp'><svg onload={HIT}>"


def build(library: Path, folder: Path) -> None:
    """All of them in `folder`."""
    asyncio.run(view_world.hostile(library, folder / GENERATE))
    for number, name in enumerate(EVALUATIONS):
        asyncio.run(_evaluation(folder / name, flip=bool(number)))
    _trained(folder / TRAIN)
    _selfplayed(folder / SELFPLAY)


def addresses(*, all_slots: bool = True) -> list[str]:
    """Every page of them: each text in each kind of page that shows one item."""
    run, one, two, train, play = (
        quote(name, safe="") for name in (GENERATE, EVALUATIONS[0], EVALUATIONS[1], TRAIN, SELFPLAY)
    )
    every = range(len(HOSTILE))
    compare = f"/compare?a={one}&b={two}"
    slots = range(2 * len(HOSTILE)) if all_slots else [2 * number + number % 2 for number in every]
    return [
        *(
            "/",
            f"/r/{run}/",
            f"/r/{run}/items",
            f"/r/{run}/items?after=49",
            f"/r/{run}/cost",
            f"/r/{run}/coverage",
            f"/r/{run}/gates",
        ),
        *(f"/r/{run}/items/{number}" for number in every),
        *(f"/r/{run}/items/s{number:05d}/calls?call={number + 1}" for number in every),
        *(f"/r/{run}/items/s00001/calls", f"/e/{one}/", f"/e/{two}/", compare, f"{compare}&metric={quote(HOSTILE[0])}"),
        *(f"/e/{one}/questions/q{number:05d}" for number in every),
        *(f"/t/{train}/", f"/t/{train}/1", f"/s/{play}/", f"/s/{play}/1"),
        *(f"/s/{play}/1/{slot}" for slot in slots),
    ]


async def _evaluation(folder: Path, *, flip: bool) -> None:
    """Every question with a right and a wrong attempt; in the second run the other way round."""
    facts = dict.fromkeys(("index snapshot", "prompts", "solver model", "judge model"), HOSTILE[0])
    config = {"attempts": 2, "llm": HOSTILE[1], "judge": HOSTILE[2], "corpus": HOSTILE[3]}
    with RunStore(folder) as store:
        asked = [
            Asked(number, Question(f"{number} {text}", text, (text, f"{number}"), HOSTILE[1], text, (text,)))
            for number, text in enumerate(HOSTILE)
        ]
        info = RunInfo("id" + HOSTILE[0], HOSTILE[3], HOSTILE[4], config, facts, kind="evaluate")
        await store.begin(info, asked)
        await store.begin_scoring(Scoring(0, f"judge {HOSTILE[0]}", HOSTILE[1]))
        for number, text in enumerate(HOSTILE):
            for attempt in range(2):
                right = (number + flip) % 2 == 0
                await store.record_trial(number, attempt, rollout(Role.SOLVER, text, text if right else f"no {text}"))
                said = Judgement(Label.RIGHT if right else Label.WRONG, text, text)
                await store.score(Score(0, number, attempt, said))
        place = CallKey(Place("q00000", 0, Role.SOLVER), 0, "d")
        await store.record_failure(Failure(place, CallKind.LLM, HOSTILE[0], HOSTILE[1]))


def _trained(folder: Path) -> None:
    folder.mkdir()
    description.write(folder, RunInfo("id" + HOSTILE[0], HOSTILE[1], HOSTILE[2], {}, {}, kind="train"))
    row = {"step": 1.0, "reward": 0.5, **dict.fromkeys(HOSTILE, 1.0)}
    (folder / "metrics.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({**row, "step": 2.0}) + "\n")
    attempts = [
        {"step": 1, "question": text, "answers": [text], "reward": None, "answer": text, "stop": text}
        | {"turns": [[f"<think>{text}</think>{text}", text]]}
        for text in HOSTILE
    ]
    (folder / "attempts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in attempts))


def _selfplayed(folder: Path) -> None:
    record = Record(folder)
    folder.mkdir()
    description.write(folder, RunInfo("id" + HOSTILE[0], HOSTILE[1], HOSTILE[2], {}, {}, kind="selfplay"))
    values: dict[str, float | None] = {"valid_rate": 0.5, HOSTILE[0]: 1.0}
    row = StepRow(1, values, {Invalid.LEAK: 1}, {HOSTILE[0]: 1.0}, HOSTILE, {"seconds": 1.0})
    record.add(row, [episode for text in HOSTILE for episode in view_world.episodes(text)])
