import json

import pytest

from questwell.agents.moves import Finish, Malformed, Search
from questwell.agents.protocol import Functions, Tags
from questwell.agents.textcalls import clean_name, text_calls
from questwell.llm.client import Completion, FinishReason, ToolCall

ARGUMENTS = '{"query": "old bridges"}'


@pytest.mark.parametrize("dialect", [Tags(), Functions()])
@pytest.mark.parametrize(
    "text",
    [
        f'<tool_call>\n{{"name": "search", "arguments": {ARGUMENTS}}}\n</tool_call>',
        f'<tool_call>{{"name": "search", "arguments": {ARGUMENTS}}}',  # the engine stopped at the closing tag
        f'<think>hm</think>\n<tool_call>{{"name": "search", "arguments": {ARGUMENTS}}}</tool_call>',
        f'hm</think><tool_call>{{"name": "search", "arguments": {ARGUMENTS}}}</tool_call>',
        '<tool_call>{"name": "search", "arguments": {"query": ["old bridges", "new bridges"]}}</tool_call>',
        f'<tool_call>{{"name": "search", "parameters": {ARGUMENTS}}}</tool_call>',
        '<tool_call>{"name": "search", "arguments": "{\\"query\\": \\"old bridges\\"}"}</tool_call>',
        f'<tool_call>{{"type": "function", "function": {{"name": "search", "arguments": {ARGUMENTS}}}}}</tool_call>',
        "<tool_call>search\n<arg_key>query</arg_key>\n<arg_value>old bridges</arg_value>\n</tool_call>",
        "<tool_call>\n<function=search>\n<parameter=query>\nold bridges\n</parameter>\n</function>\n</tool_call>",
        f"<function=search>{ARGUMENTS}</function>",
        '<invoke name="search"><parameter name="query">old bridges</parameter></invoke>',
        f"<|channel|>commentary to=functions.search <|constrain|>json<|message|>{ARGUMENTS}<|call|>",
        f"<|start|>assistant<|channel|>commentary to=functions.search<|message|>{ARGUMENTS}",
        f"<|channel|>analysis<|message|>hm<|end|><|channel|>commentary to=search json<|message|>{ARGUMENTS}",
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>analysis to=functions.search code"
        f"<|message|>\n{ARGUMENTS}<|call|>",
        f"commentary to=functions.search json{ARGUMENTS}",  # the marks dropped, the words between them kept
        f"analysisWe need bridges.assistantcommentary to=functions.search json{ARGUMENTS}",
        f'[TOOL_CALLS][{{"name": "search", "arguments": {ARGUMENTS}}}]',
        f"[TOOL_CALLS]search[ARGS]{ARGUMENTS}",
        f"<|tool_calls_section_begin|><|tool_call_begin|>functions.search:0<|tool_call_argument_begin|>{ARGUMENTS}"
        "<|tool_call_end|><|tool_calls_section_end|>",
        f"<｜tool▁call▁begin｜>search<｜tool▁sep｜>{ARGUMENTS}<｜tool▁call▁end｜>",
        f'<|python_tag|>{{"name": "search", "parameters": {ARGUMENTS}}}<|eom_id|>',
        f'{{"name": "search", "arguments": {ARGUMENTS}}}',
        f'```json\n{{"name": "search", "arguments": {ARGUMENTS}}}\n```',
    ],
)
def test_a_call_written_as_text_is_the_move(text: str, dialect: Tags | Functions) -> None:
    move = dialect.read(Completion(text, "m"))[1]
    assert isinstance(move, Search)
    assert move.query == "old bridges"


def test_what_follows_the_first_call_is_cut_off() -> None:
    call = f'<tool_call>{{"name": "search", "arguments": {ARGUMENTS}}}</tool_call>'
    invented = f"{call}\n<tool_response>made up</tool_response>\n<answer>made up</answer>"
    assert Tags().read(Completion(f"{call}<tool_response>made up</tool_response>", "m"))[0] == call
    text, move = Tags().read(Completion(invented, "m"))
    assert (text, move) == (call, Search("old bridges"))


def test_an_unknown_tool_keeps_its_arguments() -> None:
    text = '<tool_call>{"name": "visit", "arguments": {"url": ["http://a"], "goal": "dates"}}</tool_call>'
    move = Tags().read(Completion(text, "m"))[1]
    assert isinstance(move, Malformed)
    assert (move.name, json.loads(move.arguments)) == ("visit", {"url": ["http://a"], "goal": "dates"})
    assert "visit" in move.problem and "search" in move.problem


@pytest.mark.parametrize(
    "text",
    [
        f'<think>I call <tool_call>{{"name": "search", "arguments": {ARGUMENTS}}}</tool_call> soon</think>',
        '<tool_call>{"name": "search", "arguments": {"query": "old bri</tool_call>',
        '<tool_call>{"name": "search"}</tool_call>',
        "<tool_call></tool_call>",
        '{"query": "old bridges"}',
        "to=search is not a call",
        "write to=functions.search, then the words",
    ],
)
def test_no_call_is_guessed(text: str) -> None:
    assert isinstance(Tags().read(Completion(text, "m"))[1], Malformed)


def test_a_cut_call_is_no_move() -> None:
    text = '<tool_call>{"name": "answer", "arguments": {"answer": "18'
    move = Functions().read(Completion(text, "m", FinishReason.LENGTH))[1]
    assert isinstance(move, Malformed) and "cut off" in move.problem
    assert Functions().read(Completion('<tool_call>{"name": "answer", "arguments": {"answer": "x"}}', "m"))[
        1
    ] == Finish("x")


def test_leaked_names_are_cleaned() -> None:
    names = ("search<|channel|>commentary", "functions.search", "search:0", "search<|constrain|>json", " search ")
    assert {clean_name(name) for name in names} == {"search"}
    assert text_calls("plain speech") == ()
    assert Functions().read(Completion("", "m", tool_calls=(ToolCall("1", names[0], ARGUMENTS),)))[1] == Search(
        "old bridges"
    )


def test_a_call_begins_with_its_channel() -> None:
    for channel in ("analysis", "commentary"):
        (call,) = text_calls(f"<|channel|>{channel} to=functions.search code<|message|>{ARGUMENTS}<|call|>")
        assert call.start == 0
