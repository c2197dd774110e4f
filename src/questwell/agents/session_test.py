import pytest

from questwell.agents.session import DirectSession
from questwell.errors import LLMUnavailable, RetrievalTimeout
from questwell.llm.client import Message, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.types.corpus import Hit, Passage

HIT = Hit(Passage(id="p", title="T", text="fact", document_id="p"), 1.0, 1)


class Books:
    name = "books"

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        if query == "late":
            raise RetrievalTimeout("30 s passed")
        return (HIT,) * k

    async def aclose(self) -> None: ...


async def test_a_direct_session_hands_through_answers_and_failures() -> None:
    llm = ScriptedLLM(["fine", LLMUnavailable("gone")], name="m")
    session = DirectSession(llm, Books())
    request = Request((Message("user", "hello"),))
    assert session.model == "m"
    assert (await session.complete(request)).text == "fine"
    assert await session.search("q", 2) == (HIT, HIT)
    with pytest.raises(LLMUnavailable, match="gone"):
        await session.complete(request)
    with pytest.raises(RetrievalTimeout, match="30 s"):
        await session.search("late", 1)
    assert llm.requests == [request, request]
