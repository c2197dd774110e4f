"""How each server writes a model's message: where it puts the thought, and what a call looks like."""

import json
from typing import cast

from pydantic import JsonValue

from questwell.llm.gallery.family import Asked, Dress, Fields, plain, stopped, text_of
from questwell.llm.gallery.mind import Said


def _draft(said: Said) -> str:
    """A thought that contains a draft answer, so that tests notice code that reads thoughts as speech."""
    return f"{said.thought} Maybe <answer>a draft</answer> or <search>a draft</search>?"


def _message(choice: Fields) -> Fields:
    return cast(Fields, choice["message"])


def _calls(choice: Fields) -> list[Fields]:
    return cast(list[Fields], _message(choice).get("tool_calls") or [])


def in_reasoning(said: Said, asked: Asked) -> Fields:
    """The thought is in `reasoning_content`."""
    choice = plain(said, asked)
    _message(choice)["reasoning_content"] = _draft(said)
    return choice


def in_reasoning_struck(said: Said, asked: Asked) -> Fields:
    """Like `in_reasoning`, but a stop text inside the thought ends the message too."""
    thought = _draft(said)
    if stopped(thought, asked) != thought:
        return text_of(None, reasoning_content=stopped(thought, asked))
    return in_reasoning(said, asked)


def inside(opening: str, closing: str) -> Dress:
    """The thought is in the text, between `opening` and `closing`."""

    def dress(said: Said, asked: Asked) -> Fields:
        if asked.may_call and said.call:
            return plain(said, asked)
        return text_of(f"{opening}{_draft(said)}{closing}\n\n{said.tagged()}")

    return dress


def long_ids(dress: Dress) -> Dress:
    """Call ids are so long that the server's own template refuses them when they are sent back."""

    def dressed(said: Said, asked: Asked) -> Fields:
        choice = dress(said, asked)
        for call in _calls(choice):
            call["id"] = f"1697377797897{said.call}"
        return choice

    return dressed


def in_parts(said: Said, asked: Asked) -> Fields:
    """Mistral's API: the content is a list of parts, the thought is one of them, and call ids have nine letters."""
    choice = plain(said, asked)
    for call in _calls(choice):
        call["id"] = f"{said.call:x<9}"[:9]
        _message(choice)["content"] = ""
    if not _calls(choice):
        _message(choice)["content"] = [
            {"type": "thinking", "thinking": [{"type": "text", "text": _draft(said)}]},
            {"type": "text", "text": _message(choice)["content"]},
        ]
    return choice


def as_hermes(said: Said, asked: Asked) -> Fields:
    """Qwen's calls stay in the text, because the server has no parser for them."""
    if asked.body.get("tools") and said.call:
        call = json.dumps({"name": said.call, "arguments": said.arguments})
        return text_of(f"<think>{_draft(said)}</think>\n<tool_call>\n{call}\n</tool_call>")
    return text_of(f"<think>{_draft(said)}</think>{said.tagged()}")


def as_harmony(said: Said, asked: Asked) -> Fields:
    """gpt-oss: all marks of its channels stay in the text."""
    thought = f"<|channel|>analysis<|message|>{_draft(said)}<|end|><|start|>assistant"
    if asked.body.get("tools") and said.call:
        call = (
            f"<|channel|>commentary to=functions.{said.call} <|constrain|>json<|message|>{json.dumps(said.arguments)}"
        )
        return text_of(f"{thought}{call}<|call|>")
    return text_of(f"{thought}<|channel|>final<|message|>{said.tagged()}")


def as_stripped_harmony(said: Said, asked: Asked) -> Fields:
    """gpt-oss: the marks of its channels are dropped, but the names between them stay in the text."""
    if asked.body.get("tools") and said.call:
        call = f"commentary to=functions.{said.call} json{json.dumps(said.arguments)}"
        return text_of(f"analysis{_draft(said)}assistant{call}")
    return text_of(f"analysis{_draft(said)}assistantfinal{said.tagged()}")


def leaked_channel(said: Said, asked: Asked) -> Fields:
    """gpt-oss: the name of a channel is appended to the function's name."""
    choice = in_reasoning(said, asked)
    for call in _calls(choice):
        function = cast(Fields, call["function"])
        function["name"] = f"{function['name']}<|channel|>commentary"
    return choice


def fenced(said: Said, asked: Asked) -> Fields:
    """The server ignores a schema and puts JSON in a code fence."""
    choice = plain(said, asked)
    if said.text.startswith("{"):
        _message(choice)["content"] = f"```json\n{said.text}\n```"
    return choice


def runs_on(said: Said, asked: Asked) -> Fields:
    """The server ignores `stop` and a schema, so the model writes on and invents search results."""
    if not said.call or asked.body.get("tools"):
        return fenced(said, asked)
    return text_of(f"{said.tagged()}\n<information>\n[1] made up: made up\n</information>\n<answer>made up</answer>")


def signed(said: Said, asked: Asked) -> Fields:
    """Gemini puts a signature next to each call."""
    choice = plain(said, asked)
    for call in _calls(choice):
        call["extra_content"] = {"google": {"thought_signature": "c2ln"}}
    return choice


def parsed_arguments(said: Said, asked: Asked) -> Fields:
    """llama.cpp sends arguments as an object and calls without an id."""
    choice = plain(said, asked)
    for call in _calls(choice):
        call["id"] = None
        cast(Fields, call["function"])["arguments"] = cast(JsonValue, dict(said.arguments))
    return choice


def reasoned(said: Said, asked: Asked) -> Fields:
    """The thought is in `reasoning`."""
    choice = plain(said, asked)
    _message(choice)["reasoning"] = _draft(said)
    return choice


def detailed(said: Said, asked: Asked) -> Fields:
    """OpenRouter puts the thought in `reasoning`, and again in `reasoning_details`."""
    choice = reasoned(said, asked)
    _message(choice)["reasoning_details"] = [{"type": "reasoning.text", "text": said.thought, "signature": "c2ln"}]
    return choice
