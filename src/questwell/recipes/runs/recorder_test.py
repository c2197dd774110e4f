import asyncio
import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from questwell.errors import BudgetReached, LLMTimeout, MalformedReply, RetrievalError
from questwell.llm.adapting import Manners
from questwell.llm.client import Completion, Message, Request, ToolCall
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.runs.budget import Budget, SpendingLimits, Stopped
from questwell.recipes.runs.recorder import Recorder
from questwell.retrieval.retriever import DocumentPage, page_of
from questwell.store.records import CallKind, FailedUsage, RunInfo
from questwell.store.run import RunStore
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Place
from questwell.types.trajectory import Role
from questwell.types.usage import Usage

PLACE = Place("s00000", 0, Role.SOLVER, 2)
ASK = Request((Message("user", "Who?"),), temperature=1.0)


class Shelf:
    """A retriever that counts."""

    name = "shelf@1"

    def __init__(self) -> None:
        self.queries: list[str] = []

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        self.queries.append(query)
        if query == "broken":
            raise RetrievalError("the shelf fell")
        return (Hit(Passage("p", "T", f"about {query}", "d"), 0.1 + 0.2, 1),)

    async def read_page(self, identifier: str, page: int) -> DocumentPage | None:
        self.queries.append(f"{identifier}/{page}")
        return page_of([Passage("d#0", "T", "whole", "d")], page) if identifier == "d" else None

    async def find_in(self, identifier: str, query: str, k: int) -> tuple[Hit, ...] | None:
        self.queries.append(f"{identifier}?{query}")
        return (Hit(Passage("d#0", "T", "whole", "d"), 0.5, 1),) if identifier == "d" else None

    async def aclose(self) -> None:
        """Nothing."""


def recorder(
    store: RunStore, llm: ScriptedLLM, shelf: Shelf | None = None, limits: SpendingLimits | None = None
) -> Recorder:
    budget = Budget(limits or SpendingLimits(), store.read.usage())
    return Recorder(store, dict.fromkeys(Role, llm), shelf or Shelf(), budget)


async def test_a_replay_makes_no_call_and_answers_the_same(tmp_path: Path) -> None:
    rich = Completion("Ada", "m", tool_calls=(ToolCall("1", "search", "{"),), prompt_tokens=5, token_ids=(1, 2))
    llm, shelf = ScriptedLLM([rich, "Bob"]), Shelf()
    with RunStore(tmp_path) as store:
        first = recorder(store, llm, shelf).sessions("s00000")(PLACE)
        said = [await first.complete(ASK), await first.search("x", 3), await first.complete(ASK)]
    with RunStore(tmp_path) as store:
        again = recorder(store, ScriptedLLM([]), shelf)
        session = again.sessions("s00000")(PLACE)
        assert [await session.complete(ASK), await session.search("x", 3), await session.complete(ASK)] == said
        assert (again.made, again.replayed) == (0, 2)
        assert again.budget.spent == Usage(2, None, None, None)
    assert said[0] == rich
    assert shelf.queries == ["x"]


async def test_what_was_read_of_documents_is_kept_as_a_step_of_its_own_kind(tmp_path: Path) -> None:
    shelf = Shelf()
    said: list[list[object]] = []
    for _ in range(2):
        with RunStore(tmp_path) as store:
            opened = recorder(store, ScriptedLLM([]), shelf).sessions("s00000")(PLACE)
            pages = [await opened.read_page("d", 1), await opened.read_page("none", 1)]
            said.append([*pages, await opened.find_in("d", "x", 3), await opened.find_in("none", "x", 3)])
            kinds = [store.read.calls(kind) for kind in (CallKind.OPEN, CallKind.FIND, CallKind.SEARCH)]
    assert said[0] == said[1]
    assert said[0][0] == page_of([Passage("d#0", "T", "whole", "d")], 1)
    assert (said[0][1], said[0][3]) == (None, None)
    assert shelf.queries == ["d/1", "none/1", "d?x", "none?x"]
    assert kinds == [2, 2, 0]


async def test_the_same_request_at_another_place_or_turn_is_another_call(tmp_path: Path) -> None:
    llm = ScriptedLLM(["a", "b", "c"])
    with RunStore(tmp_path) as store:
        sessions = recorder(store, llm).sessions("s00000")
        texts = [(await sessions(Place("s00000", 0, Role.SOLVER, attempt)).complete(ASK)).text for attempt in (0, 1)]
        texts.append((await sessions(Place("s00000", 0, Role.SOLVER, 1)).complete(ASK)).text)
    assert texts == ["a", "b", "c"]  # a place opened again goes on counting its turns


async def test_a_changed_request_is_a_new_call(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        await recorder(store, ScriptedLLM(["old"])).sessions("s00000")(PLACE).complete(ASK)
        changed = Request((Message("user", "Who?!"),), temperature=1.0)
        session = recorder(store, ScriptedLLM(["new"])).sessions("s00000")(PLACE)
        assert (await session.complete(changed)).text == "new"


async def test_failures_are_logged_raised_and_never_answers(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        session = recorder(store, ScriptedLLM([LLMTimeout("late")])).sessions("s00000")(PLACE)
        with pytest.raises(LLMTimeout):
            await session.complete(ASK)
        with pytest.raises(RetrievalError):
            await session.search("broken", 3)
        assert store.read.failures() == {"LLMTimeout": 1, "RetrievalError": 1}
        assert store.read.answers("s00000") == {}
        session = recorder(store, ScriptedLLM(["now"])).sessions("s00000")(PLACE)
        assert (await session.complete(ASK)).text == "now"


async def test_what_rejected_replies_took_is_in_the_ledger_of_the_run_and_counts_on_a_resume(tmp_path: Path) -> None:
    paid, unknown = MalformedReply("cut"), MalformedReply("cut again")
    paid.paid_tokens, paid.paid_usd = (30, 12), 0.25
    unknown.paid_tokens, unknown.paid_usd = (1, 2), None
    with RunStore(tmp_path) as store:
        session = recorder(store, ScriptedLLM([paid])).sessions("s00000")(PLACE)
        with pytest.raises(MalformedReply):
            await session.complete(ASK)
        assert store.read.failed() == FailedUsage(1, 30, 12, 0.25)
        assert store.read.usage() == store.read.usage_of("s00000") == Usage(0, 30, 12, 0.25)
        assert store.read.usage_by_seed() == {"s00000": Usage(0, 30, 12, 0.25)}
    with RunStore(tmp_path) as store:  # the budget of a resume starts from it
        resumed = recorder(store, ScriptedLLM([unknown]), limits=SpendingLimits(tokens=43))
        with pytest.raises(MalformedReply):
            await resumed.sessions("s00000")(PLACE).complete(ASK)
        with pytest.raises(BudgetReached, match="45 tokens"):
            await resumed.sessions("s00000")(PLACE).complete(ASK)
        assert store.read.usage() == Usage(0, 31, 14, None)
        await store.price(1e6, 1e6)
        assert store.read.usage() == Usage(0, 31, 14, 3.25)


class Adapted(ScriptedLLM):
    """A model whose endpoint refuses a field at the first call."""

    place = "m at http://there/v1"

    def __init__(self) -> None:
        super().__init__(self._say)
        self.manners = Manners()

    def _say(self, request: Request) -> str:
        if not self.manners.changes:
            self.manners.learn({"stop": ["x"]}, "Unsupported parameter: 'stop'", "stop")
        return "said"


async def test_what_an_endpoint_does_not_take_is_kept_with_the_run_and_known_on_a_resume(tmp_path: Path) -> None:
    info = RunInfo("r", "2026", "1", {}, {"prompts": "p"})
    with RunStore(tmp_path) as store:
        await store.begin(info)
        await recorder(store, Adapted()).sessions("s00000")(PLACE).complete(ASK)
        found = store.read.info()
        assert found is not None
        assert found.fingerprint == {"prompts": "p", "adapted for m at http://there/v1": "omit stop"}
    with RunStore(tmp_path) as store:
        again = Adapted()
        recorder(store, again)
        assert again.manners.changes == ("omit stop",)
        assert again.manners.news() == (), "it was said by the first invocation"


async def test_the_budget_is_asked_before_a_call_and_not_for_a_replay(tmp_path: Path) -> None:
    llm = ScriptedLLM([Completion("a", "m", prompt_tokens=6, completion_tokens=5)])
    with RunStore(tmp_path) as store:
        session = recorder(store, llm, limits=SpendingLimits(tokens=10)).sessions("s00000")(PLACE)
        await session.complete(ASK)
        with pytest.raises(BudgetReached, match="11 tokens"):
            await session.complete(ASK)
        with pytest.raises(BudgetReached):
            await session.search("x", 3)
        assert len(llm.requests) == 1
        replay = recorder(store, llm, limits=SpendingLimits(tokens=10)).sessions("s00000")(PLACE)
        assert (await replay.complete(ASK)).text == "a"


async def test_calls_in_flight_when_the_run_is_stopped_are_kept(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        held = recorder(store, ScriptedLLM(["a"], latency_s=0.05))
        session = held.sessions("s00000")(PLACE)
        call = asyncio.create_task(session.complete(ASK))
        await asyncio.sleep(0.01)
        held.budget.stop()
        assert (await call).text == "a"
        with pytest.raises(Stopped):
            await session.complete(ASK)
        assert store.read.usage().calls == 1


def test_minutes_are_of_this_invocation() -> None:
    clock = [100.0]
    budget = Budget(SpendingLimits(minutes=2), Usage(), now=lambda: clock[0])
    clock[0] += 119
    budget.check()
    clock[0] += 1
    with pytest.raises(BudgetReached, match="--max-minutes 2 is used up"):
        budget.check()


async def test_text_that_no_file_can_hold_is_mended_before_the_agent_sees_it(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        session = recorder(store, ScriptedLLM(["a\ud800b \x00 \u202e"])).sessions("s00000")(PLACE)
        said = await session.complete(ASK)
        replay = recorder(store, ScriptedLLM([])).sessions("s00000")(PLACE)
        assert await replay.complete(ASK) == said
        assert said.text == "a\ufffdb \x00 \u202e"


async def test_exact_requests_can_be_read_back_even_when_one_is_made_twice(tmp_path: Path) -> None:
    other = Request((Message("user", "Who?"), Message("assistant", "Ada"), Message("user", "And then?")))
    with RunStore(tmp_path) as store:
        session = recorder(store, ScriptedLLM(["a", "b", LLMTimeout("late"), "c"])).sessions("s00000")(PLACE)
        await session.complete(ASK)
        await session.complete(ASK)
        with pytest.raises(LLMTimeout):
            await session.complete(Request(prompt="lost"))
        await session.complete(other)
        for request in (ASK, other):
            kept = json.loads(store.read.request(PLACE, request.digest()))
            assert TypeAdapter(Request).validate_python(kept) == request
