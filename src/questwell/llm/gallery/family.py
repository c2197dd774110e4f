"""`Family`: an imitated kind of server. Says which requests it refuses and in which form it writes replies."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from questwell.llm.gallery.mind import Said, reply
from questwell.llm.gallery.window import cut

Fields = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that the imitated server received."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: Fields

    @property
    def messages(self) -> list[Fields]:
        """The messages of the dialogue."""
        return cast(list[Fields], self.body.get("messages") or [])

    @property
    def calls(self) -> list[Fields]:
        """The function calls in all messages."""
        return [call for one in self.messages for call in cast(list[Fields], one.get("tool_calls") or [])]

    @property
    def may_call(self) -> bool:
        """Whether functions are offered."""
        return bool(self.body.get("tools")) and self.body.get("tool_choice") != "none"


Refused = tuple[int, JsonValue]
"""HTTP status and body of a refusal."""
Check = Callable[[Asked], Refused | None]
"""From a request to a refusal, or None if the request is accepted."""
Dress = Callable[[Said, Asked], Fields]
"""From what the model said and the request to the `choice` of a completion."""


def counted(given: int, made: int) -> Fields:
    """The usage in OpenAI's form, for `given` prompt tokens and `made` completion tokens."""
    return {"prompt_tokens": given, "completion_tokens": made}


def plain(said: Said, asked: Asked) -> Fields:
    """A choice in OpenAI's form: a call if functions are offered, otherwise text that ends before a stop."""
    if asked.may_call and said.call:
        return {
            "message": {"role": "assistant", "content": None, "tool_calls": [call_of(said)]},
            "finish_reason": "tool_calls",
        }
    return text_of(stopped(said.tagged(), asked))


def call_of(said: Said) -> Fields:
    """A function call whose arguments are JSON text."""
    function: Fields = {"name": said.call, "arguments": json.dumps(said.arguments)}
    return {"id": f"call_{said.call}", "type": "function", "function": function}


def text_of(content: JsonValue, finish: str = "stop", **more: JsonValue) -> Fields:
    """A choice that is text, without a call."""
    return {"message": {"role": "assistant", "content": content, **more}, "finish_reason": finish}


def stopped(text: str, asked: Asked) -> str:
    """`text` up to the first of the stop texts in the request."""
    stops = cast(list[str], asked.body.get("stop") or [])
    return text[: min([at for stop in stops if (at := text.find(stop)) >= 0], default=len(text))]


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of server, to imitate on loopback."""

    name: str
    source: str
    """Where its behaviour is documented."""
    checks: tuple[Check, ...] = ()
    dress: Dress = plain
    usage: Callable[[int, int], Fields] = counted
    path: str = "/v1"
    streams: bool = False
    """Whether it always answers with a stream."""
    window: int | None = None
    """Number of words beyond which a prompt is cut silently; None for never."""
    first: Fields | None = None
    """Its first answer, under status 200; None for a normal one."""

    def answer(self, asked: Asked) -> tuple[int, bytes, str]:
        """(status, body, content type) of the server's answer to a request."""
        for check in (*self.checks, _sound_history):
            if refusal := check(asked):
                return refusal[0], json.dumps(refusal[1]).encode(), "application/json"
        messages = [(str(m["role"]), _seen(m)) for m in asked.messages]
        messages = messages if self.window is None else cut(messages, self.window)
        choice = self.dress(reply(messages), asked)
        usage = self.usage(sum(len(text.split()) for _, text in messages), 40)
        body: Fields = {"object": "chat.completion", "model": "served", "choices": [choice], "usage": usage}
        if asked.body.get("stream"):
            return 200, _stream(body), "text/event-stream"
        # A gateway that streams without being asked may call it JSON (openclaw/openclaw#97474).
        return 200, _stream(body) if self.streams else json.dumps(body).encode(), "application/json"


def _seen(message: Fields) -> str:
    calls = cast(list[dict[str, dict[str, str]]], message.get("tool_calls") or [])
    return str(message.get("content") or "") + "".join(f" {call['function']['arguments']}" for call in calls)


def _stream(body: Fields) -> bytes:
    choice = cast(list[Fields], body["choices"])[0]
    first = {**body, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": None}], "usage": None}
    last = {**body, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    return b"".join(b"data: " + json.dumps(part).encode() + b"\n\n" for part in (first, last)) + b"data: [DONE]\n\n"


def _sound_history(asked: Asked) -> Refused | None:
    """A refusal if earlier arguments are not a JSON object or a call has no answer: templates need both."""
    open_calls: set[str] = set()
    for message in asked.messages:
        for call in cast(list[Fields], message.get("tool_calls") or []):
            try:
                arguments: object = json.loads(str(cast(Fields, call["function"])["arguments"]))
            except ValueError:
                return _unsound("the arguments of an earlier call are not JSON")
            if not isinstance(arguments, dict):
                return _unsound("the arguments of an earlier call are not an object")
            open_calls.add(str(call["id"]))
        if message["role"] == "tool":
            open_calls.discard(str(message.get("tool_call_id")))
    return _unsound("a call was never answered") if open_calls else None


def _unsound(message: str) -> Refused:
    return 400, {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
