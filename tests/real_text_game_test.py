"""Arm C of the experiment on real text: the SAGE game takes every composed question, and no wave is played twice."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from real_text_example import load

from questwell.llm.client import Request
from questwell.llm.scripted import ScriptedLLM
from questwell.types.corpus import Hit, Passage

ANSWERS = {"capital": "Oresund", "independence": "3 March 1921", "airports": "41"}
"""An entity, a date and a number."""


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    return load(monkeypatch, "arms")


class Index:
    """Finds every passage that contains the query."""

    def __init__(self, passages: list[Passage]) -> None:
        self.passages = passages

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        found = [passage for passage in self.passages if query in passage.text]
        return tuple(Hit(passage, 1.0, rank) for rank, passage in enumerate(found[:k], 1))


class Line:
    """A policy that looks up the clue, then the country, and answers what is asked for."""

    def __init__(self, asked: list[Any]) -> None:
        self.asked = {one.text: one for one in asked}
        self.dialogues = 0

    def client(self, request_id: str) -> ScriptedLLM:
        self.dialogues += 1
        return ScriptedLLM(self._answer)

    def _answer(self, request: Request) -> str:
        one = self.asked[request.messages[1].content]
        said = sum(message.role == "assistant" for message in request.messages)
        if said < 2:
            return f"<search>{(one.clue.value, one.fact.country)[said]}</search>"
        return f"<answer>{one.fact.value}</answer>"


def test_questions_of_every_type_are_taken_and_no_wave_is_played_twice(
    example: dict[str, ModuleType], tmp_path: Path
) -> None:
    facts = example["facts"]
    kinds = {kind.name: kind for kind in facts.KINDS}
    clue_of = Passage("clue", "Lumia: Geography", "Highest point: Mount Arel 812 m, in Lumia.", "d")
    clue = facts.Fact("Lumia", kinds["highest point"], "Mount Arel", clue_of)
    asked, passages = [], [clue_of]
    for name, value in ANSWERS.items():
        passage = Passage(name, f"Lumia: {name}", f"The {name} of Lumia is {value}.", "d")
        passages.append(passage)
        asked.append(facts.compose(facts.Fact("Lumia", kinds[name], value, passage), clue))
    world = example["world"].World(asked, [], [], [], [])
    line = Line(asked)

    def play(line: Line) -> tuple[list[Any], dict[str, Any]]:
        return example["arms"].play_sage(line, world, Index(passages), 3, 1, 0, 1, tmp_path / "game")

    chosen, told = play(line)
    assert chosen == asked
    assert told == {"outcomes": {"accepted after 1": 3}, "accepted": 3}
    assert line.dialogues >= 12  # four attempts at each
    assert len(list((tmp_path / "game").iterdir())) == 2  # waves of two seeds
    again = Line([])
    assert play(again) == (chosen, told)
    assert again.dialogues == 0
