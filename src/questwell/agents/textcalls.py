"""Reads function calls that a model wrote as text, because its server has no parser for them, as `ToolCall`s.

Thoughts are never read. Arguments are kept as they were written, even if they are not JSON; `protocol.py` decides
whether they are usable.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from questwell.llm.client import ToolCall


@dataclass(frozen=True, slots=True)
class Written:
    """A call in a message, and where it ends."""

    call: ToolCall
    start: int
    end: int


def text_calls(masked: str) -> tuple[Written, ...]:
    """The calls in a message (`Heard.masked`), in order. Only the first form that occurs is read."""
    for form in _FORMS:
        if found := tuple(form(masked)):
            return found
    return ()


def clean_name(name: str) -> str:
    """A function's name without leaked marks: `functions.search`, `search<|channel|>commentary`, `search:0`."""
    return re.sub(r"^(?:functions?|tools?|default_api)[.:]", "", name.partition("<|")[0].strip()).partition(":")[0]


def _pair(tree: object) -> tuple[str, str] | None:
    """(name, arguments as text) of `{"name": ..., "arguments": ...}` in one of its spellings."""
    if not isinstance(tree, dict):
        return None
    fields = cast(dict[str, object], tree)
    if isinstance(fields.get("function"), dict):
        fields = cast(dict[str, object], fields["function"])
    name = fields.get("name") or fields.get("tool_name") or fields.get("function")
    if not isinstance(name, str):
        return None
    for key in ("arguments", "parameters", "args", "input"):
        if key in fields:
            given = fields[key]
            return clean_name(name), given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return None


def _of_json(text: str, start: int, end: int) -> Iterator[Written]:
    """The calls in a JSON text: one object, several, or a list. Text that is not JSON is a call without a name."""
    pairs: list[tuple[str, str]] = []
    rest, decoder = text.strip(), json.JSONDecoder(strict=False)
    while rest:
        try:
            tree, length = decoder.raw_decode(rest)
        except (json.JSONDecodeError, RecursionError):
            break
        trees = cast(list[object], tree) if isinstance(tree, list) else [cast(object, tree)]
        pairs += [pair for one in trees if (pair := _pair(one))]
        rest = rest[length:].lstrip(" ,;\n\t")
    if rest and not pairs:
        named = re.search(r'"name"\s*:\s*"([^"]*)"', rest)
        pairs = [(clean_name(named[1]) if named else "", rest)]
    for name, arguments in pairs:
        yield Written(ToolCall("", name, arguments), start, end)


def _hermes(masked: str) -> Iterator[Written]:
    """Hermes, Qwen 2.5 and 3: `<tool_call>{"name": ..., "arguments": ...}</tool_call>`; GLM and Coder inside it."""
    for found in re.finditer(r"<tool_call>(.*?)(?:</tool_call>|\Z)", masked, re.DOTALL | re.IGNORECASE):
        inner = found[1].strip()
        tagged = tuple(_coder(inner)) or tuple(_glm(inner))
        for one in tagged:
            yield Written(one.call, *found.span())
        if not tagged and inner:
            yield from _of_json(inner, *found.span())


def _harmony(masked: str) -> Iterator[Written]:
    """gpt-oss: `<|channel|>commentary to=functions.search <|constrain|>json<|message|>{...}<|call|>`.

    A call on the channel of thoughts counts too. A server may have dropped the marks but kept the words between them:
    `commentary to=functions.search json{...}`.
    """
    if "to=" not in masked:  # without it the patterns below are tried at each character
        return
    channel = r"(?:<\|start\|>assistant\s*)?(?:<\|channel\|>)?\s*(?:(?:commentary|analysis)\s+)?to="
    pattern = (
        rf"{channel}(?P<name>[\w.:-]+)\s*(?:<\|channel\|>\w+)?"
        r"\s*(?:<\|constrain\|>)?\s*(?:json|code)?\s*<\|message\|>(?P<arguments>.*?)(?:<\|call\|>|<\|end\|>|\Z)"
    )
    bare = rf"(?:assistant)?{channel}functions\.(?P<name>[\w-]+?)\s*(?:json|code)?\s*(?P<arguments>\{{.*)\Z"
    for form in (pattern, bare):
        for found in re.finditer(form, masked, re.DOTALL):
            yield Written(ToolCall("", clean_name(found["name"]), found["arguments"].strip()), *found.span())


def _coder(masked: str) -> Iterator[Written]:
    """Qwen3-Coder: `<function=search><parameter=query>...</parameter></function>`; Llama 3 with JSON inside."""
    for found in re.finditer(r"<function=([\w.:-]+)>(.*?)(?:</function>|\Z)", masked, re.DOTALL):
        fields = re.findall(r"<parameter=([\w-]+)>(.*?)</parameter>", found[2], re.DOTALL)
        arguments = json.dumps({key: value.strip() for key, value in fields}) if fields else found[2].strip()
        yield Written(ToolCall("", clean_name(found[1]), arguments), *found.span())


def _invoke(masked: str) -> Iterator[Written]:
    """Claude, MiniMax and DeepSeek 3.2: `<invoke name="search"><parameter name="query">...</parameter></invoke>`."""
    prefix = r"(?:\w+:|｜DSML｜)?"
    pattern = rf'<{prefix}invoke name="([^"]+)">(.*?)(?:</{prefix}invoke>|\Z)'
    for found in re.finditer(pattern, masked, re.DOTALL):
        fields = re.findall(rf'<{prefix}parameter name="([^"]+)"[^>]*>(.*?)</{prefix}parameter>', found[2], re.DOTALL)
        arguments = json.dumps({key: value.strip() for key, value in fields})
        yield Written(ToolCall("", clean_name(found[1]), arguments), *found.span())


def _glm(masked: str) -> Iterator[Written]:
    """GLM 4.5: the name, then `<arg_key>query</arg_key><arg_value>...</arg_value>`."""
    fields = re.findall(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", masked, re.DOTALL)
    if fields:
        arguments = json.dumps({key.strip(): value.strip() for key, value in fields})
        yield Written(ToolCall("", clean_name(masked.partition("<arg_key>")[0]), arguments), 0, len(masked))


def _mistral(masked: str) -> Iterator[Written]:
    """Mistral: `[TOOL_CALLS][{...}]`, and later `[TOOL_CALLS]search[ARGS]{...}`."""
    for found in re.finditer(r"\[TOOL_CALLS\](.*?)(?=\[TOOL_CALLS\]|</s>|\Z)", masked, re.DOTALL):
        name, parted, arguments = found[1].partition("[ARGS]")
        if parted:
            yield Written(
                ToolCall("", clean_name(re.sub(r"\[CALL_ID\].*", "", name)), arguments.strip()), *found.span()
            )
        else:
            yield from _of_json(found[1], *found.span())


def _markers(masked: str) -> Iterator[Written]:
    """Kimi: `<|tool_call_begin|>functions.search:0<|tool_call_argument_begin|>{...}`; DeepSeek with its own bars."""
    kimi = r"<\|tool_call_begin\|>(.*?)<\|tool_call_argument_begin\|>(.*?)(?:<\|tool_call_end\|>|\Z)"
    deepseek = (
        r"<｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>)?(\w+)(?:<｜tool▁sep｜>|\s*```json)(.*?)"
        r"(?:```\s*)?(?:<｜tool▁call▁end｜>|\Z)"
    )
    for pattern in (kimi, deepseek):
        for found in re.finditer(pattern, masked, re.DOTALL):
            yield Written(ToolCall("", clean_name(found[1].strip()), found[2].strip()), *found.span())


def _python_tag(masked: str) -> Iterator[Written]:
    """Llama 3.1: `<|python_tag|>{"name": ..., "parameters": ...}`."""
    for found in re.finditer(r"<\|python_tag\|>(.*?)(?:<\|e\w+\|>|\Z)", masked, re.DOTALL):
        yield from _of_json(found[1], *found.span())


def _bare(masked: str) -> Iterator[Written]:
    """A message that consists only of the JSON of a call, with or without a code fence."""
    fenced = re.fullmatch(r"\s*```(?:json|tool_call|tool_code)?\s*(.*?)\s*```\s*", masked, re.DOTALL)
    text = (fenced[1] if fenced else masked).strip()
    if text.startswith(("{", "[")) and text.endswith(("}", "]")):
        try:
            tree: object = json.loads(text, strict=False)
        except (json.JSONDecodeError, RecursionError):
            return
        trees = cast(list[object], tree) if isinstance(tree, list) else [tree]
        if trees and _pair(trees[0]):
            yield from _of_json(text, 0, len(masked))


_FORMS: tuple[Callable[[str], Iterator[Written]], ...] = (
    _hermes,
    _harmony,
    _coder,
    _invoke,
    _mistral,
    _markers,
    _python_tag,
    _bare,
)
