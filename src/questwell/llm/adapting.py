"""How requests are changed for one model at one endpoint that refuses them as they are: once, remembered, and said.

`Manners` learns from refusals. A change is a line such as `omit stop` or `rename max_tokens max_completion_tokens`: it
is recorded with each answer, and a run that goes on starts from the lines that it recorded. The key of a recorded call
is that of the request before it was changed.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Protocol, cast, runtime_checkable

from pydantic import JsonValue

Body = dict[str, JsonValue]

_NEEDED = frozenset({"model", "messages", "prompt", "tools", "stream", "tool_choice"})
_CAPS = ("max_tokens", "max_completion_tokens")
_BOUNDS = frozenset({"maxLength", "minLength", "maxItems", "minItems", "minimum", "maximum", "pattern", "format"})


class Manners:
    """What one endpoint takes of requests for one model. Shared by all clients of the two."""

    def __init__(self, kept: Iterable[str] = ()) -> None:
        """`kept`: body fields that the user asked for; a refusal of one of them is final."""
        self._kept = frozenset(kept)
        self._changes: dict[str, None] = {}
        self._told: set[str] = set()

    @property
    def changes(self) -> tuple[str, ...]:
        """Everything that was learnt, in order."""
        return tuple(self._changes)

    def news(self) -> tuple[str, ...]:
        """What was learnt since the last time that this was asked: each change is said once."""
        new = tuple(change for change in self._changes if change not in self._told)
        self._told.update(new)
        return new

    def remember(self, changes: Iterable[str]) -> None:
        """Start from what an earlier invocation learnt; what the user asks for now is sent all the same."""
        known = [change for change in changes if change.split()[0] in _APPLY and not self._keeps(change)]
        self._changes.update(dict.fromkeys(known))
        self._told.update(known)

    def knows(self, change: str) -> bool:
        """Whether a change is in force."""
        return change in self._changes

    @property
    def reasoning_field(self) -> str | None:
        """The field in which thoughts must go back; None where they must not."""
        return next((change.split()[-1] for change in self._changes if change.startswith("send back ")), None)

    def adapt(self, body: Body) -> Body:
        """`body` with every change that was learnt."""
        body = dict(body)
        for change in self._changes:
            verb, *names = change.split()
            _APPLY[verb](body, names)
        return body

    def learn(self, sent: Body, text: str, param: str, known: tuple[str, ...] | None = None) -> bool:
        """Whether there is something to change in the request `sent`, which was refused with `text`.

        Args:
            sent: the body as it went out.
            text: of the refusal.
            param: the parameter that it names in a field of its own; else empty.
            known: what had been learnt when it went out; None: all that is known now.
        """
        for rule in _RULES:
            change = rule(sent, text, param)
            if change is None:
                continue
            if change in self._changes:
                if known is not None and change not in known:
                    return True  # learnt from another call that was in flight
                continue
            if self._keeps(change):
                continue
            self._changes[change] = None
            return True
        return known is not None and known != self.changes  # another call in flight has learnt it meanwhile

    def _keeps(self, change: str) -> bool:
        verb, *names = change.split()
        return verb == "omit" and names[0] in self._kept

    def learn_by_itself(self, change: str) -> bool:
        """Put a change in force that no refusal named; False when it is already."""
        new = change not in self._changes
        self._changes[change] = None
        return new


@runtime_checkable
class Adapting(Protocol):
    """A client whose requests are changed for its endpoint."""

    @property
    def manners(self) -> Manners:
        """What the endpoint takes, as far as it has said."""
        ...

    @property
    def place(self) -> str:
        """Model and address, as they are shown and recorded: `MODEL at URL`."""
        ...


# --- what is done to a body


def _omit(body: Body, names: list[str]) -> None:
    body.pop(names[0], None)


def _rename(body: Body, names: list[str]) -> None:
    if names[0] in body:
        body[names[1]] = body.pop(names[0])


def _cap(body: Body, names: list[str]) -> None:
    for name in _CAPS:
        if isinstance(asked := body.get(name), int):
            body[name] = min(asked, int(names[0]))


def _schema(body: Body, names: list[str]) -> None:
    form = body.get("response_format")
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        return
    if names[0] == "without":
        body["response_format"] = _without_bounds(form)
    else:
        body["response_format"] = {"type": "json_object"}


def _merge(body: Body, names: list[str]) -> None:
    messages = [dict(message) for message in _messages(body)]
    if names[0] == "system":
        system = "\n\n".join(str(m["content"]) for m in messages if m["role"] in ("system", "developer"))
        messages = [m for m in messages if m["role"] not in ("system", "developer")]
        if system and messages and messages[0]["role"] == "user":
            messages[0]["content"] = f"{system}\n\n{messages[0]['content']}"
        elif system:
            messages.insert(0, {"role": "user", "content": system})
    else:
        merged: list[Body] = []
        for message in messages:
            if merged and message["role"] == "user" and merged[-1]["role"] in ("user", "tool"):
                merged[-1]["content"] = f"{merged[-1]['content']}\n\n{message['content']}"
            else:
                merged.append(message)
        messages = merged
    body["messages"] = cast(JsonValue, messages)


def _stream(body: Body, names: list[str]) -> None:
    body["stream"] = True
    body.setdefault("stream_options", {"include_usage": True})


def _choose(body: Body, names: list[str]) -> None:
    if "tools" in body:
        body["tool_choice"] = names[0]


def _fill(body: Body, names: list[str]) -> None:
    messages = [dict(message) for message in _messages(body)]
    for message in messages:
        if message.get("content") is None:
            message["content"] = ""
    body["messages"] = cast(JsonValue, messages)


def _nothing(body: Body, names: list[str]) -> None:
    """Thoughts go back where messages are written (`openai.py`)."""


_APPLY: dict[str, Callable[[Body, list[str]], None]] = {
    "omit": _omit,
    "rename": _rename,
    "cap": _cap,
    "schema": _schema,
    "merge": _merge,
    "stream": _stream,
    "choose": _choose,
    "fill": _fill,
    "send": _nothing,
}


def _without_bounds(tree: JsonValue) -> JsonValue:
    if isinstance(tree, dict):
        return {key: _without_bounds(value) for key, value in tree.items() if key not in _BOUNDS}
    return [_without_bounds(one) for one in tree] if isinstance(tree, list) else tree


def _messages(body: Body) -> list[Body]:
    return cast(list[Body], body.get("messages") or [])


# --- what a refusal asks for: (body as sent, text, parameter) to a change, or None


def _no_tool_parser(sent: Body, text: str, param: str) -> str | None:
    """Of vLLM without --enable-auto-tool-choice: the model is shown the tools all the same, and writes text."""
    wanted = re.search(r"enable-auto-tool-choice|tool-call-parser", text)
    return "choose none" if wanted and "tools" in sent and "tool_choice" not in sent else None


def _thoughts_back(sent: Body, text: str, param: str) -> str | None:
    """DeepSeek, Kimi: the thoughts of earlier turns must come back."""
    named = re.search(r"reasoning_content|`reasoning`|thinking mode|\breasoning\b", text)
    if named and re.search(
        r"pass(?:ed)? back|missing|must (?:be|come|have|contain|include)|required", text, re.IGNORECASE
    ):
        return f"send back {'reasoning_content' if 'reasoning_content' in text else 'reasoning'}"
    return None


def _system_merged(sent: Body, text: str, param: str) -> str | None:
    """Gemma's template, o1-mini, Gemma at Google: no system role."""
    pattern = (
        r"system role (?:is )?not supported|does not support (?:the )?['\"]?system|'system' with this model"
        r"|developer instruction is not enabled|only user(?:,| and) assistant"
    )
    has = any(message["role"] == "system" for message in _messages(sent))
    return "merge system" if has and re.search(pattern, text, re.IGNORECASE) else None


def _turns_merged(sent: Body, text: str, param: str) -> str | None:
    """Mistral's and Gemma's templates: user and assistant take turns."""
    pattern = r"roles must alternate|unexpected role ['\"]?user|expected last role|roles should alternate"
    return "merge turns" if re.search(pattern, text, re.IGNORECASE) else None


def _null_content(sent: Body, text: str, param: str) -> str | None:
    nulls = any(message.get("content", "") is None for message in _messages(sent))
    about = re.search(r"content", text) and re.search(r"null|none|string|missing|required|empty", text, re.IGNORECASE)
    return "fill content" if nulls and about else None


def _lower_cap(sent: Body, text: str, param: str) -> str | None:
    """A limit of the answer that is lower than what is asked for: OpenAI, DeepSeek, Anthropic, DashScope."""
    asked = next((value for name in _CAPS if isinstance(value := sent.get(name), int)), None)
    if asked is None or not re.search(r"max_(?:completion_|new_|output_)?tokens|(?:output|completion) tokens", text):
        return None
    pattern = (
        r"(?:at most|up to|maximum(?: allowed)?(?: value)?(?: is| of|:)?|less than or equal to|(?<!\d )<=|no more than"
        r"|\[\s*\d+\s*,|cannot exceed|must not exceed|upper limit(?: is)?|> )\s*`?([\d,]*\d)"
    )
    limits = [int(found.replace(",", "")) for found in re.findall(pattern, text, re.IGNORECASE)]
    lower = [limit for limit in limits if 16 <= limit < asked]
    return f"cap {max(lower)}" if lower else None


def _renamed_cap(sent: Body, text: str, param: str) -> str | None:
    """OpenAI's reasoning models know `max_completion_tokens` only, most servers `max_tokens` only."""
    for old, new in (_CAPS, _CAPS[::-1]):
        if old in sent and (param == old or _names(text, old)):
            return f"rename {old} {new}"
    return None


def _looser_schema(sent: Body, text: str, param: str) -> str | None:
    """First without bounds, then as any object, then not at all."""
    form = sent.get("response_format")
    about = re.search(r"response_format|json_schema|json_object|schema|structured|grammar|maxLength|maxItems", text)
    if not isinstance(form, dict) or not (about or param.startswith("response_format")):
        return None
    if form.get("type") != "json_schema":
        return "omit response_format"
    bounded = json.dumps(_without_bounds(form)) != json.dumps(form)
    named = any(re.search(rf"\b{bound}\b", text) for bound in _BOUNDS)
    return "schema without bounds" if bounded and named else "schema as object"


def _streamed(sent: Body, text: str, param: str) -> str | None:
    """DashScope's thinking models, gateways: streams only."""
    pattern = r"non-streaming|only supports? stream|stream(?:ing)? (?:must|mode|is required)|set stream"
    return "stream" if not sent.get("stream") and re.search(pattern, text, re.IGNORECASE) else None


def _omitted(sent: Body, text: str, param: str) -> str | None:
    """Whatever else a refusal names."""
    fields = [name for name in sent if name not in _NEEDED]
    if param.split(".")[0].split("[")[0] in fields:
        return f"omit {param.split('.')[0].split('[')[0]}"
    return next((f"omit {name}" for name in fields if _names(text, name)), None)


def _names(text: str, field: str) -> bool:
    """Whether `text` names a field of the body: quoted, or a word that is no English one."""
    if re.search(rf"['\"`:\[.(]\s*{re.escape(field)}['\"`\]).:]", text) or re.search(
        rf"(?:parameter|argument|field|property|name|input|key)s?:? +{re.escape(field)}\b", text, re.IGNORECASE
    ):
        return True
    plain = "_" in field or field in ("temperature", "logprobs", "seed", "stop")
    return plain and re.search(rf"(?<![\w-]){re.escape(field)}(?![\w-])", text) is not None


_RULES: tuple[Callable[[Body, str, str], str | None], ...] = (
    _no_tool_parser,
    _thoughts_back,
    _system_merged,
    _turns_merged,
    _lower_cap,
    _renamed_cap,
    _streamed,
    _looser_schema,
    _omitted,
    _null_content,
)
