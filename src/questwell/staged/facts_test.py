"""How a fact leads to the next."""

import json

import pytest

from questwell.agents.prompts import Prompts
from questwell.agents.session import DirectSession
from questwell.llm.client import Request
from questwell.llm.scripted import ScriptedLLM
from questwell.staged.conftest import Library, passage
from questwell.staged.facts import FactReader
from questwell.staged.paths import Hop
from questwell.staged.session import StagedSession
from questwell.staged.values import Value
from questwell.staged.wording import Fact, question
from questwell.types.corpus import Hit
from questwell.types.game import AnswerType

GATE = passage("Tarn", "Tarn is a gate that is used by Ferry Guild.")
GUILD = passage("Ferry Guild", "The Ferry Guild was founded in 1881 at Quell.")


async def read_users(asked: list[str], **said: str) -> tuple[tuple[Fact, ...] | str, str | None]:
    """Facts of "when was what uses Tarn founded", and why they are no chain; `asked` is what the model is asked."""
    replies = {"Ferry Guild": ("gate", "user", "thing"), "1881": ("trade guild", "founded", "date")}

    def answer(request: Request) -> str:
        last = request.messages[-1].content.splitlines()[-1]
        asked.append(last)
        if last.startswith("Value: "):
            noun, relation, kind = replies[last.removeprefix("Value: ")]
            return json.dumps({"subject": noun, "relation": relation, "value": kind})
        if last.startswith("Name in passage 1: "):
            return json.dumps({"first": "user", "second": "guild", "same": said.get("same", "yes")})
        return json.dumps({"answer": {"What is Tarn used by?": "Ferry Guild"}.get(last[10:], "1881")})

    class Both(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            return tuple(Hit(one, 1.0, rank) for rank, one in enumerate((GATE, GUILD), 1))

    reader = FactReader(StagedSession(DirectSession(ScriptedLLM(answer), Both()), Prompts(), 0), top_k=2)
    first = Hop(GATE, Value("Ferry Guild", AnswerType.ENTITY, weight=9))
    facts = await reader.read((first, Hop(GUILD, Value("1881", AnswerType.DATE))))
    return facts, None if isinstance(facts, str) else await reader.reads_back(facts)


async def test_a_user_is_named_by_its_own_passage_and_asked_for_as_passages_say_it() -> None:
    asked: list[str] = []
    facts, problem = await read_users(asked)
    assert not isinstance(facts, str) and problem is None
    assert question(facts) == "When was the trade guild that uses Tarn founded?"
    assert "Question: What is Tarn used by?" in asked
    assert not any(line.startswith("Can ") for line in asked)  # anything may use something


@pytest.mark.parametrize("said", ["no", "perhaps", ""])
async def test_two_things_of_one_name_are_no_chain_nor_what_nobody_calls_the_same(said: str) -> None:
    _, problem = await read_users([], same=said)
    assert problem == "'Ferry Guild' of 'Tarn' is not that of 'Ferry Guild'"


@pytest.mark.parametrize("named", [True, False])
async def test_a_passage_about_another_subject_may_say_that_a_heading_is_a_thing(*, named: bool) -> None:
    term = passage("Lumia: Rule", "Moot - term in office: 4 years.")
    other = passage("Quell: Rule", "Moot - name: Great Moot." if named else "Moot - place: Great Hall.")

    class Rules(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            return Hit(term, 2.0, 1), Hit(other, 1.0, 2)

    llm = ScriptedLLM(lambda _: json.dumps({"subject": "country", "relation": "term in office", "value": "number"}))
    reader = FactReader(StagedSession(DirectSession(llm, Rules()), Prompts(), 1), top_k=2)
    await reader.look("Lumia")
    found = await reader.read((Hop(term, Value("4 years", AnswerType.NUMBER)),))
    if named:
        assert isinstance(found, str) and "says it of something else" in found
    else:
        assert not isinstance(found, str)


async def test_what_happened_is_not_read_for_an_amount() -> None:
    town = passage("Lumia", "Lumia was settled on 40,000 hectares.")
    llm = ScriptedLLM(lambda _: json.dumps({"subject": "town", "relation": "settled area", "value": "number"}))
    reader = FactReader(StagedSession(DirectSession(llm, Library()), Prompts(), 1), top_k=2)
    found = await reader.read((Hop(town, Value("40,000 hectares", AnswerType.NUMBER)),))
    assert not isinstance(found, str), found
    assert [fact.relation for fact in found] == ["settled area"]
