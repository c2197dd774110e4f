"""`MockLLM`: the scripted model as an `LLM`, for `--llm mock`. Its items name `mock` as their model."""

import json

from questwell.llm.client import Completion, FinishReason, Message, Request, ToolCall
from questwell.llm.gallery.mind import Said, reply

NAME = "mock"


class MockLLM:
    """Plays every role by a script, on any corpus, at no cost. Its items are only for trying things out."""

    @property
    def name(self) -> str:
        """`mock`, the model name that is recorded with each item."""
        return NAME

    @property
    def priced(self) -> bool:
        """True: the script costs nothing."""
        return True

    async def complete(self, request: Request) -> Completion:
        """The script's answer to `request`."""
        said = reply(seen(request.messages))
        words = sum(len(message.content.split()) for message in request.messages)
        calls = (call_of(said),) if request.tools and said.call else ()
        text = "" if calls else written(said)
        return Completion(
            text,
            NAME,
            FinishReason.TOOL_CALLS if calls else FinishReason.STOP,
            calls,
            reasoning=said.thought if calls else "",
            prompt_tokens=words,
            completion_tokens=len(text.split()) or 1,
            cost_usd=0.0,
        )

    async def aclose(self) -> None:
        """Nothing to release."""


def written(said: Said) -> str:
    """`said` in the form of the tag protocol, the thought first."""
    return f"<think>{said.thought}</think>{said.tagged()}" if said.thought else said.tagged()


def call_of(said: Said) -> ToolCall:
    """`said` as a function call."""
    return ToolCall("call_0", said.call, json.dumps(said.arguments))


def seen(messages: tuple[Message, ...]) -> list[tuple[str, str]]:
    """(role, text) of each message; the text of a call is its arguments."""
    return [
        (message.role, message.content + "".join(f" {call.arguments}" for call in message.tool_calls))
        for message in messages
    ]
