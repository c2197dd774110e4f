from questwell.agents.protocol import Finish, Sampling, Tags
from questwell.agents.rollout import Rollout, RolloutLimits, rollout
from questwell.agents.session import DirectSession
from questwell.agents.tools import Shelf
from questwell.errors import ContextOverflow, LLMFiltered, LLMTimeout, RetrievalTimeout
from questwell.llm.client import Completion, Message
from questwell.llm.scripted import ScriptedLLM
from questwell.types.corpus import Hit, Passage
from questwell.types.trajectory import StopReason

P = Passage(id="p", title="T", text="fact", document_id="p")


class OnePassage:
    name = "one"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        if self.error:
            raise self.error
        return (Hit(P, 1.0, 1),)[:k]

    async def aclose(self) -> None: ...


async def play(
    *answers: str | Exception | Completion,
    limits: RolloutLimits | None = None,
    retriever: OnePassage | None = None,
    objection=None,
) -> tuple[Rollout, ScriptedLLM]:
    llm = ScriptedLLM(answers)
    session = DirectSession(llm, retriever or OnePassage())
    opening = (Message("user", "Question"),)
    extra = {"objection": objection} if objection else {}
    played = await rollout(opening, Tags(), session, limits or RolloutLimits(turns=3), Sampling(), 5, Shelf(), **extra)
    return played, llm


async def test_search_then_answer() -> None:
    played, llm = await play("<think>?</think><search>fact", "<answer>A")
    assert (played.stop, played.finish) == (StopReason.FINISHED, Finish("A"))
    assert [turn.query for turn in played.turns] == ["fact", None]
    assert played.turns[0].observation == "[1] T: fact"
    # what the model is shown next is its own message, closed, and the result: nothing of the past is rewritten
    assert llm.requests[1].messages[:-2] == llm.requests[0].messages
    assert llm.requests[1].messages[-2].content == "<think>?</think><search>fact</search>"
    assert [request.seed for request in llm.requests] == [5, 6]


async def test_a_message_without_a_move_costs_a_turn_but_no_search() -> None:
    played, _ = await play("well", "<search>q", "<search>r")
    assert (played.stop, played.finish) == (StopReason.TURNS, None)
    assert sum(turn.query is not None for turn in played.turns) == 2


async def test_forced_last_turn() -> None:
    played, llm = await play("<search>q", "<answer>A", limits=RolloutLimits(turns=1, forced_last_turn=True))
    assert played.finish == Finish("A")
    assert "used up" in llm.requests[1].messages[-1].content
    refused, _ = await play("<search>q", "<search>again", limits=RolloutLimits(turns=1, forced_last_turn=True))
    assert refused.stop is StopReason.TURNS
    assert [turn.query for turn in refused.turns] == ["q", None]


async def test_searches_beyond_the_budget_are_not_executed() -> None:
    played, _ = await play("<search>q", "<search>r", "<answer>A", limits=RolloutLimits(turns=3, searches=1))
    assert [turn.query for turn in played.turns] == ["q", None, None]
    assert played.finish == Finish("A")


async def test_an_objection_is_shown_and_the_model_goes_on() -> None:
    played, llm = await play(
        "<answer>bad", "<answer>good", objection=lambda finish: "too bad" if finish.answer == "bad" else None
    )
    assert played.finish == Finish("good")
    assert "too bad" in llm.requests[1].messages[-1].content


async def test_failures_are_data() -> None:
    timed_out, _ = await play("<search>q", LLMTimeout("slow"))
    assert (timed_out.stop, len(timed_out.turns)) == (StopReason.ERRORED, 1)
    assert "slow" in timed_out.error
    no_hits, _ = await play("<search>q", retriever=OnePassage(RetrievalTimeout("late")))
    assert no_hits.stop is StopReason.ERRORED
    assert "late" in no_hits.error
    overflow, _ = await play("<search>q", ContextOverflow("8192"))
    assert (overflow.stop, overflow.finish) == (StopReason.CONTEXT, None)


async def test_three_messages_in_a_row_without_a_move_end_it() -> None:
    played, llm = await play("well", "hm", "no", limits=RolloutLimits(turns=20))
    assert (played.stop, len(played.turns), len(llm.requests)) == (StopReason.NO_MOVES, 3, 3)
    played, _ = await play("well", "hm", "<search>q", "well", "hm", "<answer>A", limits=RolloutLimits(turns=20))
    assert played.finish == Finish("A")


async def test_a_query_that_was_asked_before_is_answered_in_a_line_and_not_executed_again() -> None:
    played, llm = await play("<search>fact", "<search> FACT ", "<answer>A", limits=RolloutLimits(turns=20))
    assert [turn.query for turn in played.turns] == ["fact", None, None]
    told = llm.requests[2].messages[-1].content
    assert "already" in told and "[1]" in told and "[1] T: fact" not in told
    assert played.finish == Finish("A")


async def test_an_agent_that_loops_is_told_to_end_and_then_ended() -> None:
    played, llm = await play(*["<search>fact"] * 5, limits=RolloutLimits(turns=20))
    assert (played.stop, len(played.turns)) == (StopReason.LOOPING, 5)
    assert "end now" not in llm.requests[3].messages[-1].content
    assert "end now" in llm.requests[4].messages[-1].content
    # another query starts the count again
    queries = ["a", "a", "a", "b", "b", "a", "b", "a"]
    played, _ = await play(*[f"<search>{query}" for query in queries], "<answer>A", limits=RolloutLimits(turns=20))
    assert played.stop is StopReason.LOOPING
    queries = ["a", "a", "a", "b", "b", "a"]
    played, _ = await play(*[f"<search>{query}" for query in queries], "<answer>A", limits=RolloutLimits(turns=20))
    assert (played.stop, played.finish) == (StopReason.FINISHED, Finish("A"))


async def test_self_play_executes_repeats() -> None:
    played, _ = await play("<search>q", "<search>q", "<answer>A", limits=RolloutLimits(turns=3, repeats=True))
    assert [turn.query for turn in played.turns] == ["q", "q", None]


async def test_several_queries_in_one_call_run_the_first_and_say_so() -> None:
    call = '<tool_call>{"name": "search", "arguments": {"query": ["q", "r", "s"]}}</tool_call>'
    played, _ = await play(call, "<answer>A")
    assert played.turns[0].query == "q"
    assert played.turns[0].observation.endswith("Not executed, one query a search: r; s")


async def test_thoughts_of_the_endpoint_are_kept_with_the_turn() -> None:
    played, llm = await play(Completion("<search>q", "m", reasoning="why q"), "<answer>A")
    assert [turn.reasoning for turn in played.turns] == ["why q", ""]
    assert llm.requests[1].messages[-2].reasoning == "why q"


async def test_a_filtered_dialogue_is_not_an_error() -> None:
    played, _ = await play("<search>q", LLMFiltered("content policy"))
    assert (played.stop, played.error) == (StopReason.FILTERED, "content policy")
