"""The scripted mind as an `LLM`: `--llm mock`. Its items say that a mock made them."""

import json

from questwell.llm.client import Completion, FinishReason, Message, Request, ToolCall
from questwell.llm.gallery.mind import Said, reply

NAME = "mock"


class MockLLM:
    """Plays every role by a script, on any corpus, at no cost. What it makes is for trials only."""

    @property
    def name(self) -> str:
        """`mock`, as each item will say."""
        return NAME

    @property
    def priced(self) -> bool:
        """True: it costs nothing."""
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
    """A reply in tags, its thought first."""
    return f"<think>{said.thought}</think>{said.tagged()}" if said.thought else said.tagged()


def call_of(said: Said) -> ToolCall:
    """A reply as a function call."""
    return ToolCall("call_0", said.call, json.dumps(said.arguments))


def seen(messages: tuple[Message, ...]) -> list[tuple[str, str]]:
    """(role, text) of messages; a call is read as its arguments."""
    return [
        (message.role, message.content + "".join(f" {call.arguments}" for call in message.tool_calls))
        for message in messages
    ]
