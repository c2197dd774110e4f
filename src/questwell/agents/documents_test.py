"""Open and find: written, read, and carried out."""

import json

import pytest

from questwell.agents.calls import tools
from questwell.agents.moves import Find, Finish, Malformed, Open, Search
from questwell.agents.protocol import Functions, Sampling, Tags, first_move
from questwell.agents.rollout import RolloutLimits, rollout
from questwell.agents.session import DirectSession, ReadingSession
from questwell.agents.tools import Shelf
from questwell.llm.client import Completion, FinishReason, Message, ToolCall
from questwell.llm.scripted import ScriptedLLM
from questwell.retrieval.retriever import page_of
from questwell.types.corpus import Hit, Passage
from questwell.types.trajectory import Reading, StopReason

READERS = ("open", "find")
PASSAGES = [Passage(f"d#{n}", "Doc", f"part {n} " + "x" * 1_500, "d") for n in range(6)]


class Library:
    """Finds the first passage of one document, and gives all of it."""

    name = "library"

    def __init__(self):
        self.asked = []

    async def search(self, query, k):
        return (Hit(PASSAGES[0], 1.0, 1),)

    async def read_page(self, identifier, page):
        self.asked.append((identifier, page))
        return page_of(PASSAGES, page) if identifier == "d" else None

    async def find_in(self, identifier, query, k):
        self.asked.append((identifier, query, k))
        return (Hit(PASSAGES[4], 2.0, 1),) if query == "part 4" else ()

    async def aclose(self):
        pass


@pytest.mark.parametrize(
    ("text", "move"),
    [
        ("<open>3</open>", Open(3)),
        ("I read on. <open>[3] page 2</open> <search>x</search>", Open(3, 2)),
        ("<think>or <open>9</open></think><open> 12 , 4 </open>", Open(12, 4)),
        ("<find>3 | the dog's name</find>", Find(3, "the dog's name")),
        ("<find>[3]|a|b</find>", Find(3, "a|b")),
        ("<search>x</search><open>3</open>", Search("x")),
        ("<find>2|y</find><open>3</open>", Find(2, "y")),
        ("<answer>x</answer>", Finish("x")),
    ],
)
def test_moves_in_tags(text, move):
    assert first_move(text, proposing=False, readers=READERS)[0] == move


@pytest.mark.parametrize("text", ["<open>it</open>", "<find>3</find>", "<find>dog | 3</find>", "<open></open>"])
def test_what_is_no_move_is_said_to_be_none(text):
    move = first_move(text, proposing=False, readers=READERS)[0]
    assert isinstance(move, Malformed)
    assert "with a number that you were shown" in move.problem


def test_who_was_not_offered_them_has_none():
    assert isinstance(first_move("<open>3</open>", proposing=False)[0], Malformed)
    call = Completion("", "m", tool_calls=(ToolCall("c", "open", '{"passage": 3}'),))
    assert isinstance(Functions().read(call)[1], Malformed)
    assert [tool.name for tool in tools(proposing=False)] == ["search", "answer"]
    plain = Tags().request((Message("user", "q"),), Sampling(), 1)
    assert plain.stop == ("</search>", "</answer>", "<information>")
    assert "open" not in Tags().rules + Functions().rules


def test_a_tag_that_the_engine_stopped_at_is_closed():
    dialect = Tags(readers=READERS)
    text, move = dialect.read(Completion("<open>3", "m", finish=FinishReason.STOP))
    assert (text, move) == ("<open>3</open>", Open(3))
    assert "</find>" in dialect.request((Message("user", "q"),), Sampling(), 1).stop
    assert "<find>3 | words</find>" in dialect.rules


@pytest.mark.parametrize(
    ("name", "arguments", "move"),
    [
        ("open", {"passage": 3}, Open(3)),
        ("open", {"passage": "[3]", "page": "2"}, Open(3, 2)),
        ("find", {"passage": 3, "query": "dog"}, Find(3, "dog")),
        ("find", {"passage": 3}, None),
        ("open", {"page": 3}, None),
    ],
)
def test_moves_as_calls(name, arguments, move):
    call = Completion("", "m", tool_calls=(ToolCall("c", name, json.dumps(arguments)),))
    found = Functions(readers=READERS).read(call)[1]
    assert found == move if move else isinstance(found, Malformed)


async def play(*said, session=None, turns=10):
    library = Library()
    session = session or DirectSession(ScriptedLLM(list(said)), library)
    opening = (Message("user", "q"),)
    played = await rollout(opening, Tags(readers=READERS), session, RolloutLimits(turns), Sampling(), 1, Shelf())
    return played, library


async def test_a_document_is_read_step_by_step():
    said = ["<search>a</search>", "<open>1</open>", "<open>1 page 2</open>", "<find>1 | part 4</find>",
            "<find>1 | cats</find>", "<open>1 page 9</open>", "<open>40</open>", "<answer>b</answer>"]  # fmt: skip
    played, library = await play(*said)
    turns = played.turns
    assert played.stop is StopReason.FINISHED
    assert library.asked == [("d", 1), ("d", 2), ("d", "part 4", 3), ("d", "cats", 3), ("d", 9)]
    assert [turn.query is not None for turn in turns] == [True] + [False] * 7  # one search step
    readings = [
        None,
        Reading("d", 1),
        Reading("d", 2),
        Reading("d", query="part 4"),
        Reading("d", query="cats"),
        Reading("d", 9),
    ]
    assert [turn.reading for turn in turns] == [*readings, None, None]
    assert [hit.passage.id for hit in turns[1].hits] == ["d#0", "d#1"]
    assert turns[1].observation.startswith("'Doc', page 1 of 3:\n[1] Doc: part 0")
    assert "\n[2] Doc: part 1" in turns[1].observation  # numbers go on: what was read can be cited
    assert [hit.passage.id for hit in turns[3].hits] == ["d#4"]
    assert "Nothing in 'Doc' fits" in turns[4].observation
    assert "has 3 pages, not 9" in turns[5].observation
    assert "There is no passage [40]" in turns[6].observation


async def test_a_session_or_a_retriever_without_documents():
    class Plain:
        model = "m"

        def __init__(self):
            self.llm = ScriptedLLM(["<search>a</search>", "<open>1</open>", "<answer>b</answer>"])

        async def complete(self, request):
            return await self.llm.complete(request)

        async def search(self, query, k):
            return (Hit(PASSAGES[0], 1.0, 1),)

    assert not isinstance(Plain(), ReadingSession)
    played, _ = await play(session=Plain())
    assert "cannot be opened here" in played.turns[1].observation

    class Bare:
        name = "bare"

        async def search(self, query, k):
            return (Hit(PASSAGES[0], 1.0, 1),)

    session = DirectSession(ScriptedLLM(["<search>a</search>", "<open>1</open>"]), Bare())
    played, _ = await play(session=session)
    assert played.stop is StopReason.ERRORED
    assert "bare cannot return whole documents" in played.error
