import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.agents.protocol import Finish, Functions, Limits, Malformed, Search, Tags, read_tags, write_tags
from questwell.llm.client import Completion, FinishReason, Message, ToolCall

WORDS = st.text("abc xyzÅ京.,'", min_size=1).map(str.strip).filter(bool)
MOVES = st.one_of(st.builds(Search, WORDS), st.builds(Finish, WORDS))
PROPOSALS = st.builds(
    Finish, WORDS, WORDS, st.lists(st.tuples(WORDS, WORDS, st.none() | st.integers(1, 99)), max_size=4).map(tuple)
)


@given(MOVES)
def test_solver_tags_are_read_as_written(move: Search | Finish) -> None:
    assert read_tags(f"<think>so <answer>no</answer></think>{write_tags(move)}", proposing=False) == move


@given(PROPOSALS)
def test_proposals_are_read_as_written(move: Finish) -> None:
    assert read_tags(write_tags(move), proposing=True) == move


@pytest.mark.parametrize(
    ("text", "move"),
    [
        ("<search>old bridges", Search("old bridges")),  # the engine stopped at </search>
        ("<think>I know: <answer>X</answer></think><search>q</search>", Search("q")),
        ("<think>never closed <search>q</search>", Search("q")),
        ("<search>q</search><answer>A</answer>", Search("q")),
        ("<answer>A</answer><search>q</search>", Finish("A")),
    ],
)
def test_tags_the_first_move_outside_thoughts_counts(text: str, move: Search | Finish) -> None:
    assert Tags().read(Completion(text, "m"))[1] == move


@pytest.mark.parametrize(
    "text", ["", "just words", "<search></search>", "<answer> </answer>", "<think>hm", "<information>x</information>"]
)
def test_tags_a_message_without_a_move_is_malformed(text: str) -> None:
    assert isinstance(Tags().read(Completion(text, "m"))[1], Malformed)


@pytest.mark.parametrize("text", ["<answer>188", "<search>old bri", "<think>hm</think><answer>either 1881 or"])
def test_tags_that_were_cut_off_are_no_move(text: str) -> None:
    """A model that ran into its limit has not said all: neither half an answer nor half a query counts."""
    said, move = Tags().read(Completion(text, "m", FinishReason.LENGTH))
    assert (said, type(move)) == (text, Malformed)
    whole, move = Tags().read(Completion(f"{text}</answer></search>", "m", FinishReason.LENGTH))
    assert isinstance(move, Search | Finish) and whole.startswith(text)


def test_tags_only_a_move_is_closed() -> None:
    for text in ("<think>so <answer>no</answer> then", "<answer>A</answer> and <think>", "</answer>", "<question>q"):
        assert Tags().read(Completion(text, "m"))[0] == text
    cut = "<question>q?</question><answer>a</answer><steps>q | a | [1"
    assert Tags(proposing=True).read(Completion(cut, "m", FinishReason.LENGTH))[1] == Finish("a", "q?")


def test_tags_stop_where_a_move_ends() -> None:
    request = Tags().request([Message("user", "q")], Limits(100, 0.5), 7)
    assert (request.stop[:2], request.max_tokens, request.temperature, request.seed) == (
        ("</search>", "</answer>"),
        100,
        0.5,
        7,
    )
    shown = Tags().reply("<search>q</search>", Completion("<search>q", "m"), "found")
    assert [m.role for m in shown] == ["assistant", "user"]
    assert shown[1].content == "<information>\nfound\n</information>"


def call(name: str, arguments: object, text: str = "") -> Completion:
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return Completion(text, "m", FinishReason.TOOL_CALLS, (ToolCall("c1", name, written),))


@pytest.mark.parametrize(
    ("dialect", "completion", "move"),
    [
        (Functions(), call("search", {"query": " q "}), Search("q")),
        (Functions(), call("answer", {"answer": "A"}), Finish("A")),
        (
            Functions(proposing=True),
            call("propose", {"question": "Q", "answer": "A", "steps": [{"query": "q", "answer": "a", "passage": 2}]}),
            Finish("A", "Q", (("q", "a", 2),)),
        ),
        (Functions(), Completion("<search>q</search>", "m"), Search("q")),  # a model that lost its tool format
    ],
)
def test_function_calls_give_the_same_moves(dialect: Functions, completion: Completion, move: Search | Finish) -> None:
    assert dialect.read(completion)[1] == move


@pytest.mark.parametrize(
    "completion",
    [
        call("search", "{not json"),
        call("search", ["q"]),
        call("search", {"query": 3}),
        call("search", {"query": " "}),
        call("delete_everything", {}),
        call("propose", {"question": "Q", "answer": "A"}),  # a solver has no such function
        call("answer", {}),
    ],
)
def test_a_bad_function_call_is_malformed(completion: Completion) -> None:
    move = Functions().read(completion)[1]
    assert isinstance(move, Malformed)
    assert move.problem


def test_every_function_call_is_answered() -> None:
    calls = (ToolCall("a", "search", '{"query":"q"}'), ToolCall("b", "search", '{"query":"r"}'))
    messages = Functions().reply("", Completion("", "m", tool_calls=calls), "found")
    assert [(m.role, m.tool_call_id) for m in messages] == [("assistant", None), ("tool", "a"), ("tool", "b")]
    assert "Not executed" in messages[2].content
