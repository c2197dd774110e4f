"""Changes to requests that one endpoint demands for one model: learnt from its refusals, remembered and logged.

A change is a line such as `omit stop` or `rename max_tokens max_completion_tokens`. It is recorded with each answer,
and a resumed run starts from the lines that it recorded. The key of a recorded call is the key of the request before
it was changed.
"""

import json
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Protocol, runtime_checkable

from questwell.llm.changes import BOUNDS, CAPS, Body, change, is_change, messages_of, without_bounds

_NEEDED = frozenset({"model", "messages", "prompt", "tools", "stream", "tool_choice"})


class Manners:
    """What one endpoint accepts in requests for one model. Shared by all clients of that model at that endpoint."""

    def __init__(self, kept: Iterable[str] = ()) -> None:
        """`kept`: body fields that the user asked for; a refusal of one of them is final."""
        self._kept = frozenset(kept)
        self._changes: dict[str, None] = {}
        self._told: set[str] = set()

    @property
    def changes(self) -> tuple[str, ...]:
        """All changes learnt so far, in order."""
        return tuple(self._changes)

    def news(self) -> tuple[str, ...]:
        """Changes learnt since the last call; each change is returned once."""
        new = tuple(change for change in self._changes if change not in self._told)
        self._told.update(new)
        return new

    def remember(self, changes: Iterable[str]) -> None:
        """Start from what an earlier invocation learnt; fields that the user asks for now are sent anyway."""
        known = [line for line in changes if is_change(line) and not self._keeps(line)]
        self._changes.update(dict.fromkeys(known))
        self._told.update(known)

    @property
    def reasoning_field(self) -> str | None:
        """The field in which thoughts are sent back; None if they must not be sent."""
        return next((change.split()[-1] for change in self._changes if change.startswith("send back ")), None)

    def adapt(self, body: Body) -> Body:
        """`body` with every change that was learnt."""
        body = dict(body)
        for line in self._changes:
            change(body, line)
        return body

    def learn(self, sent: Body, text: str, param: str, known: tuple[str, ...] | None = None) -> bool:
        """Whether the request `sent`, which was refused with `text`, can be changed and sent again.

        Args:
            sent: the request body as it was sent.
            text: the words of the refusal.
            param: the parameter that the refusal names in a separate field; empty if it names none.
            known: the changes that were known when the request was sent; None for all changes known now.
        """
        for rule in _RULES:
            change = rule(sent, text, param)
            if change is None:
                continue
            if change in self._changes:
                if known is not None and change not in known:
                    return True  # another call in flight was refused for the same reason
                continue
            if self._keeps(change):
                continue
            self._changes[change] = None
            return True
        return known is not None and known != self.changes  # another call in flight learnt a change

    def _keeps(self, change: str) -> bool:
        verb, *names = change.split()
        return verb == "omit" and names[0] in self._kept

    def learn_by_itself(self, change: str) -> bool:
        """Apply a change that no refusal named; False if it is applied already."""
        new = change not in self._changes
        self._changes[change] = None
        return new


@runtime_checkable
class Adapting(Protocol):
    """A client whose requests are changed for its endpoint."""

    @property
    def manners(self) -> Manners:
        """What the endpoint accepts, as far as its refusals have shown."""
        ...

    @property
    def place(self) -> str:
        """Model and address, as they are shown and recorded: `MODEL at URL`."""
        ...


# --- One rule per kind of refusal: from (body as sent, text, parameter) to a change, or None.


def _no_tool_parser(sent: Body, text: str, param: str) -> str | None:
    """Without --enable-auto-tool-choice vLLM needs tool_choice none; the model still calls tools, but in its text."""
    wanted = re.search(r"enable-auto-tool-choice|tool-call-parser", text)
    return "choose none" if wanted and "tools" in sent and "tool_choice" not in sent else None


def _thoughts_back(sent: Body, text: str, param: str) -> str | None:
    """DeepSeek and Kimi want the thoughts of earlier turns sent back."""
    named = re.search(r"reasoning_content|`reasoning`|thinking mode|\breasoning\b", text)
    if named and re.search(
        r"pass(?:ed)? back|missing|must (?:be|come|have|contain|include)|required", text, re.IGNORECASE
    ):
        return f"send back {'reasoning_content' if 'reasoning_content' in text else 'reasoning'}"
    return None


_ALTERNATE = r"roles (?:must|should) alternate"


def _system_merged(sent: Body, text: str, param: str) -> str | None:
    """Gemma's template, o1-mini and Gemma at Google have no system role, so it is merged into the first message."""
    pattern = (
        r"system role (?:is )?not supported|does not support (?:the )?['\"]?system|'system' with this model"
        r"|developer instruction is not enabled|only user(?:,| and) assistant"
    )
    roles = [message["role"] for message in messages_of(sent)]
    if "system" not in roles:
        return None
    others = [role for role in roles if role != "system"]
    turns_taken = (
        others[:1] == ["user"]
        and "tool" not in others
        and not any(first == second for first, second in pairwise(others))
    )
    in_the_way = turns_taken and re.search(_ALTERNATE, text, re.IGNORECASE)  # all that Mistral's first templates say
    return "merge system" if in_the_way or re.search(pattern, text, re.IGNORECASE) else None


def _turns_merged(sent: Body, text: str, param: str) -> str | None:
    """Mistral's and Gemma's templates want user and assistant messages to alternate."""
    pattern = rf"{_ALTERNATE}|unexpected role ['\"]?user|expected last role"
    return "merge turns" if re.search(pattern, text, re.IGNORECASE) else None


def _short_ids(sent: Body, text: str, param: str) -> str | None:
    """Mistral's API and templates accept only call ids of nine letters and digits."""
    asked = re.search(r"tool call ids?\b.*\blength (?:of )?9", text, re.IGNORECASE | re.DOTALL)
    return "shorten ids" if asked else None


def _named_results(sent: Body, text: str, param: str) -> str | None:
    """Gemini, and gateways to it, want the name of the function in each result."""
    unnamed = any(message["role"] == "tool" and "name" not in message for message in messages_of(sent))
    asked = re.search(r"function_response\.name|tool message\b.{0,40}\bname\b", text, re.IGNORECASE)
    return "fill names" if unnamed and asked else None


def _empty_content(sent: Body, text: str, param: str) -> str | None:
    """Anthropic accepts no empty message, so an empty one is sent as `changes.NO_TEXT`."""
    empty = any(message.get("content") == "" for message in messages_of(sent))
    pattern = r"non-empty|non-whitespace|(?:must not|cannot|can't|may not) be empty|content is empty|empty content"
    return "fill empty" if empty and re.search(pattern, text, re.IGNORECASE) else None


def _null_content(sent: Body, text: str, param: str) -> str | None:
    nulls = any(message.get("content", "") is None for message in messages_of(sent))
    about = re.search(r"content", text) and re.search(r"null|none|string|missing|required|empty", text, re.IGNORECASE)
    return "fill content" if nulls and about else None


def _lower_cap(sent: Body, text: str, param: str) -> str | None:
    """OpenAI, DeepSeek, Anthropic and DashScope limit the length of an answer; the requested cap is lowered to it."""
    asked = next((value for name in CAPS if isinstance(value := sent.get(name), int)), None)
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
    """OpenAI's reasoning models know only `max_completion_tokens`, most other servers only `max_tokens`."""
    for old, new in (CAPS, CAPS[::-1]):
        if old in sent and (param == old or _names(text, old)):
            return f"rename {old} {new}"
    return None


def _looser_schema(sent: Body, text: str, param: str) -> str | None:
    """Send the schema without bounds first, then ask for any JSON object, then send no schema."""
    form = sent.get("response_format")
    about = re.search(r"response_format|json_schema|json_object|schema|structured|grammar|maxLength|maxItems", text)
    if not isinstance(form, dict) or not (about or param.startswith("response_format")):
        return None
    if form.get("type") != "json_schema":
        return "omit response_format"
    bounded = json.dumps(without_bounds(form)) != json.dumps(form)
    named = any(re.search(rf"\b{bound}\b", text) for bound in BOUNDS)
    return "schema without bounds" if bounded and named else "schema as object"


def _streamed(sent: Body, text: str, param: str) -> str | None:
    """DashScope's and ModelScope's thinking models, and some gateways, answer only with a stream."""
    pattern = (
        r"non-streaming|only supports? stream|stream(?:ing)? (?:must|mode|is required)|set stream"
        r"|stream\s*=\s*`?false|非流式"
    )
    return "stream" if not sent.get("stream") and re.search(pattern, text, re.IGNORECASE) else None


def _omitted(sent: Body, text: str, param: str) -> str | None:
    """Leave out any other field that a refusal names."""
    fields = [name for name in sent if name not in _NEEDED]
    if param.split(".")[0].split("[")[0] in fields:
        return f"omit {param.split('.')[0].split('[')[0]}"
    if "stop" in fields and re.search(r"\bstop_?sequences\b", text, re.IGNORECASE):  # its name at Bedrock, Anthropic
        return "omit stop"
    return next((f"omit {name}" for name in fields if _names(text, name)), None)


def _names(text: str, field: str) -> bool:
    """Whether `text` names `field`: in quotes, after a word such as "parameter", or as a word that is not English."""
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
    _short_ids,
    _lower_cap,
    _renamed_cap,
    _streamed,
    _looser_schema,
    _named_results,
    _empty_content,
    _omitted,
    _null_content,
)
