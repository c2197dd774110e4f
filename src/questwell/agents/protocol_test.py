import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.agents.protocol import Finish, Functions, Malformed, Sampling, Search, Tags, read_tags, write_tags
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
    for text in ("<think>so <answer>no</answer> then", "<think>so <answer>no", "</answer>", "<question>q"):
        assert Tags().read(Completion(text, "m"))[0] == text
    assert Tags().read(Completion("<answer>A</answer> and <think>", "m")) == ("<answer>A</answer>", Finish("A"))
    cut = "<question>q?</question><answer>a</answer><steps>q | a | [1"
    assert Tags(proposing=True).read(Completion(cut, "m", FinishReason.LENGTH))[1] == Finish("a", "q?")


def test_tags_stop_where_a_move_ends() -> None:
    request = Tags().request([Message("user", "q")], Sampling(100, 0.5), 7)
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


@pytest.mark.parametrize(
    "arguments", ["", "null", "5", '"q"', "[]", '{"query": "a"}{"query": "b"}', '{"query": "a', '{"query": null}', "{}"]
)
def test_bad_arguments_go_back_as_an_object_that_servers_can_read(arguments: str) -> None:
    completion = call("search", arguments)
    assert isinstance(Functions().read(completion)[1], Malformed)
    history = Functions().reply("", completion, "told")
    assert isinstance(json.loads(history[0].tool_calls[0].arguments), dict)
    assert [(m.role, m.content) for m in history[1:]] == [("tool", "told")]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"query": "q"}', '{"query": "q"}'),
        ('{"query":"é"}', '{"query":"é"}'),
        (json.dumps('{"query": "q"}'), '{"query": "q"}'),  # encoded twice
        (json.dumps(json.dumps('{"query": "q"}')), None),
        ('{"query": "q\n"}', '{"query": "q\\n"}'),
        (r'{"query": "q \ud83d"}', '{"query": "q \ufffd"}'),
        ('{"query": "q", "k": NaN}', '{"query": "q", "k": null}'),
    ],
)
def test_arguments_that_can_be_read_go_back_as_any_server_reads_them(arguments: str, sent: str | None) -> None:
    completion = call("search", arguments)
    move = Functions().read(completion)[1]
    back = Functions().reply("", completion, "found")[0].tool_calls[0].arguments
    assert (isinstance(move, Search), back) == (sent is not None, sent or "{}")
    if isinstance(move, Search):
        assert move.query in ("q", "é", "q \ufffd")


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("search", "search"),
        ("search<|channel|>commentary", "search"),
        ("functions.search", "search"),
        ("multi tool.use", "multi_tool_use"),
        ("", "_"),
        ("x" * 99, "x" * 64),
    ],
)
def test_a_name_goes_back_as_servers_accept_it(name: str, sent: str) -> None:
    assert Functions().reply("", call(name, {"query": "q"}), "found")[0].tool_calls[0].name == sent


def test_steps_that_a_server_left_as_text() -> None:
    steps = json.dumps([{"query": "q", "answer": "a", "passage": 2}])
    proposed = call("propose", {"question": "Q?", "answer": "A", "steps": steps})
    assert Functions(proposing=True).read(proposed)[1] == Finish("A", "Q?", (("q", "a", 2),))
    proposed = call("propose", {"question": "Q?", "answer": "A", "steps": "[{"})
    assert Functions(proposing=True).read(proposed)[1] == Finish("A", "Q?")


@pytest.mark.parametrize("end", ["", "</", "</sea", "</search", "</search>"])
def test_a_stop_text_of_which_a_part_was_left(end: str) -> None:
    text, move = Tags().read(Completion(f"<search>old bridges{end}", "m"))
    assert (text, move) == ("<search>old bridges</search>", Search("old bridges"))


@pytest.mark.parametrize(
    ("text", "reasoning", "move"),
    [
        ("Maybe <answer>Paris</answer>? But the text says that", "", None),  # a thought that a server did not mark
        ("Maybe <answer>Paris</answer>? But the text says that", "hm", Finish("Paris")),
        ("<think>hm</think><answer>Rome</answer>\nNext question: who", "", Finish("Rome")),
        ("hm</think><answer>Rome</answer>\nNext question: who", "", Finish("Rome")),
        ("<answer>Rome</answer>\n", "", Finish("Rome")),
        ("<search>q</search>\n<information>made up", "", Search("q")),
    ],
)
def test_an_answer_in_the_middle_of_a_message_that_was_cut_off(text: str, reasoning: str, move: object) -> None:
    read = Tags().read(Completion(text, "m", FinishReason.LENGTH, reasoning=reasoning))[1]
    assert read == move if move else isinstance(read, Malformed) and "cut off" in read.problem
    if reasoning == "" and isinstance(move, Finish | None):
        assert isinstance(Tags().read(Completion(text, "m"))[1], Finish)


def test_a_function_call_in_a_message_that_was_cut_off_is_none() -> None:
    completion = Completion("", "m", FinishReason.LENGTH, (ToolCall("c", "answer", '{"answer": "188"}'),))
    move = Functions().read(completion)[1]
    assert isinstance(move, Malformed) and "cut off" in move.problem


@pytest.mark.parametrize(
    ("given", "move"),
    [
        ({"query": ["a", "b", "c"]}, Search("a", ("b", "c"))),
        ({"queries": ["a"]}, Search("a")),
        ({"query": "a", "top_k": 5}, Search("a")),
    ],
)
def test_several_queries_in_one_call(given: dict[str, object], move: Search) -> None:
    assert Functions().read(call("search", given))[1] == move


def test_a_number_may_be_the_answer() -> None:
    assert Functions().read(call("answer", {"answer": 1936}))[1] == Finish("1936")
    steps = [{"query": "q", "answer": 3, "passage": "[2]"}, "no step", {"query": "r", "answer": "a", "passage": None}]
    proposed = call("propose", {"question": "Q?", "answer": 2.5, "steps": steps})
    assert Functions(proposing=True).read(proposed)[1] == Finish("2.5", "Q?", (("q", "3", 2), ("r", "a", None)))


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("<search>q</search>\n<information>made up</information><answer>A</answer>", "<search>q</search>"),
        ("<think>t</think><answer>A</answer>\nNow the next question", "<think>t</think><answer>A</answer>"),
        ("<answer>A</answer>\n", "<answer>A</answer>\n"),  # nothing follows: nothing is touched
    ],
)
def test_what_follows_the_first_move_is_cut_off(written: str, text: str) -> None:
    assert Tags().read(Completion(written, "m"))[0] == text


def test_a_whole_proposal_is_kept_and_what_follows_is_not() -> None:
    pair = "<question>Q?</question><answer>A</answer><steps>q | a | [1]</steps>"
    text, move = Tags(proposing=True).read(Completion(f"{pair}<information>made up</information>", "m"))
    assert (text, move) == (pair, Finish("A", "Q?", (("q", "a", 1),)))


@pytest.mark.parametrize(
    "text",
    [
        "It might be <answer>Paris</answer>, no.\n</think>\n\n<answer>Rome</answer>",
        "[THINK]<answer>Paris</answer>[/THINK]<answer>Rome</answer>",
        "<thinking><search>Paris</search></thinking>\n<answer>Rome</answer>",
        "<|channel|>analysis<|message|><answer>Paris</answer><|end|><|channel|>final<|message|><answer>Rome</answer>",
    ],
)
def test_a_draft_in_a_thought_is_no_move(text: str) -> None:
    assert Tags().read(Completion(text, "m"))[1] == Finish("Rome")


@pytest.mark.parametrize(
    "text", ["<think>maybe <answer>Paris</answer>", "<think>maybe <answer>Paris", "<think><answer>P"]
)
def test_an_answer_in_a_thought_that_was_never_closed_is_none(text: str) -> None:
    move = Tags().read(Completion(text, "m"))[1]
    assert isinstance(move, Malformed) and "never closed" in move.problem


@pytest.mark.parametrize(
    "line",
    [
        "q | a | [3], [4]",
        "- q | a | [3], [4]",
        "Step 3: q | a | 3, 4",
        "2. q | a | [3] and [4]",
        "**Step 1:** q | a | [3][4]",
    ],
)
def test_steps_are_read_however_they_are_listed(line: str) -> None:
    text = f"<question>Q?</question><answer>A</answer><steps>\n{line}\n</steps>"
    assert read_tags(text, proposing=True) == Finish("A", "Q?", (("q", "a", 3),), (4,))


def test_thoughts_travel_with_the_message() -> None:
    completion = Completion("<search>q", "m", reasoning="hm", carry='{"x": 1}')
    for dialect in (Tags(), Functions()):
        said = dialect.reply("<search>q</search>", completion, "found")[0]
        assert (said.content, said.reasoning, said.carry) == ("<search>q</search>", "hm", '{"x": 1}')


def test_every_function_call_is_answered() -> None:
    calls = (ToolCall("a", "search", '{"query":"q"}'), ToolCall("b", "search", '{"query":"r"}'))
    messages = Functions().reply("", Completion("", "m", tool_calls=calls), "found")
    assert [(m.role, m.tool_call_id) for m in messages] == [("assistant", None), ("tool", "a"), ("tool", "b")]
    assert "Not executed" in messages[2].content


def test_a_search_at_which_the_engine_stopped_inside_an_open_thought_is_made() -> None:
    text, move = Tags().read(Completion("<think>I look for <search>old bridges", "m"))
    assert move == Search("old bridges") and text.endswith("<search>old bridges</search>")
