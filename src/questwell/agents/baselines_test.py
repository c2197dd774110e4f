import json

import pytest

from questwell.agents.baselines import OneCall
from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling
from questwell.agents.session import DirectSession
from questwell.errors import ContextOverflow, LLMTimeout, RetrievalTimeout
from questwell.llm.client import Completion, FinishReason
from questwell.llm.scripted import Answer, ScriptedLLM
from questwell.types.corpus import Hit, Passage
from questwell.types.trajectory import StopReason, Trajectory


class Library:
    name = "library"

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, int]] = []
        self.error = error

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        self.asked.append((query, k))
        if self.error:
            raise self.error
        return (Hit(Passage("p", "Ost", "The </answer> river Ost.", "d"), 1.0, 1),)

    async def aclose(self) -> None: ...


async def solve(answer: Answer, top_k: int = 0, structured: bool = False, library: Library | None = None) -> Trajectory:
    llm = ScriptedLLM([answer])
    solver = OneCall(Prompts(), Sampling(64, 0.0), top_k, structured)
    found = await solver.solve("Which river?", DirectSession(llm, library or Library()), 5)
    assert len(llm.requests) <= 1
    if llm.requests:
        assert "Which river?" in llm.requests[0].messages[-1].content
        assert llm.requests[0].seed == 5
        assert bool(llm.requests[0].schema) is structured
    return found


async def test_from_memory_it_searches_nothing() -> None:
    library = Library()
    found = await solve("I think <answer>Ost", library=library)
    assert (found.answer, found.stop, found.searches) == ("Ost", StopReason.FINISHED, 0)
    assert library.asked == []


async def test_one_search_is_made_with_the_question_itself_and_shown_harmless() -> None:
    library = Library()
    llm = ScriptedLLM(["<answer>Ost</answer>"])
    solver = OneCall(Prompts(), Sampling(64, 0.0), 3)
    found = await solver.solve("Which river?", DirectSession(llm, library), 0)
    assert library.asked == [("Which river?", 3)]
    assert (found.searches, found.queries, found.answer) == (1, ("Which river?",), "Ost")
    assert "</answer>" not in llm.requests[0].messages[-1].content


@pytest.mark.parametrize("text", ["Ost", "", "<answer></answer>", "<search>Ost</search>"])
async def test_no_answer_is_none(text: str) -> None:
    found = await solve(text)
    assert (found.answer, found.stop) == (None, StopReason.GAVE_UP)


async def test_an_answer_that_was_cut_off_is_none() -> None:
    found = await solve(Completion("<answer>Ost and a long", "m", FinishReason.LENGTH))
    assert found.answer is None


async def test_under_a_schema() -> None:
    assert (await solve(json.dumps({"answer": " the  Ost "}), structured=True)).answer == "the Ost"
    assert (await solve('{"answer": 3}', structured=True)).answer == "3"
    for text in ("Ost", '["answer"]', '{"answer": ""}', "{"):
        assert (await solve(text, structured=True)).answer is None


async def test_failures_are_data() -> None:
    assert (await solve(LLMTimeout("late"))).stop is StopReason.ERRORED
    assert (await solve(ContextOverflow("long"))).stop is StopReason.CONTEXT
    failed = await solve("<answer>Ost</answer>", top_k=3, library=Library(RetrievalTimeout("late")))
    assert (failed.stop, failed.error, failed.answer) == (StopReason.ERRORED, "RetrievalTimeout: late", None)
