"""How the servers that people use behave. The mind behind them is one and the same script.

Each family refuses what its source says that it refuses, checks the history that it is sent, and writes its replies as
it is known to. A source stands next to each: documentation, or a public thread.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

from pydantic import JsonValue

from questwell.llm.gallery.mind import Said, reply
from questwell.llm.gallery.window import cut

Fields = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: Fields

    @property
    def messages(self) -> list[Fields]:
        """Of the dialogue."""
        return cast(list[Fields], self.body.get("messages") or [])


Check = Callable[[Asked], tuple[int, JsonValue] | None]
"""(status, body) of a refusal; None: it is taken."""
Dress = Callable[[Said, Asked], Fields]
"""The choice of a completion."""


def _plain(said: Said, asked: Asked) -> Fields:
    """A choice as OpenAI has it: calls where tools are given, else text that ends before a stop."""
    if asked.body.get("tools") and asked.body.get("tool_choice") != "none" and said.call:
        return {
            "message": {"role": "assistant", "content": None, "tool_calls": [_call(said)]},
            "finish_reason": "tool_calls",
        }
    return _text(_stopped(said.tagged(), asked))


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of server."""

    name: str
    source: str
    """Where its behaviour is told."""
    checks: tuple[Check, ...] = ()
    dress: Dress = _plain
    usage: Callable[[int, int], Fields] = lambda given, made: {"prompt_tokens": given, "completion_tokens": made}
    path: str = "/v1"
    streams: bool = False
    """It answers with a stream, asked or not."""
    window: int | None = None
    """Words beyond which a prompt is cut silently; None: never."""

    def answer(self, asked: Asked) -> tuple[int, bytes, str]:
        """(status, body, content type)."""
        for check in (*self.checks, _sound_history):
            if refusal := check(asked):
                return refusal[0], json.dumps(refusal[1]).encode(), "application/json"
        messages = [(str(m["role"]), _seen(m)) for m in asked.messages]
        messages = messages if self.window is None else cut(messages, self.window)
        said = reply(messages)
        choice = self.dress(said, asked)
        usage = self.usage(sum(len(text.split()) for _, text in messages), 40)
        body: Fields = {"object": "chat.completion", "model": "served", "choices": [choice], "usage": usage}
        if self.streams or asked.body.get("stream"):
            return 200, _stream(body), "text/event-stream"
        return 200, json.dumps(body).encode(), "application/json"


def _seen(message: Fields) -> str:
    calls = cast(list[dict[str, dict[str, str]]], message.get("tool_calls") or [])
    return str(message.get("content") or "") + "".join(f" {call['function']['arguments']}" for call in calls)


def _call(said: Said) -> Fields:
    function: Fields = {"name": said.call, "arguments": json.dumps(said.arguments)}
    return {"id": f"call_{said.call}", "type": "function", "function": function}


def _text(content: str | None, finish: str = "stop", **more: JsonValue) -> Fields:
    return {"message": {"role": "assistant", "content": content, **more}, "finish_reason": finish}


def _stopped(text: str, asked: Asked) -> str:
    stops = cast(list[str], asked.body.get("stop") or [])
    return text[: min([at for stop in stops if (at := text.find(stop)) >= 0], default=len(text))]


def _stream(body: Fields) -> bytes:
    choice = cast(list[Fields], body["choices"])[0]
    first = {**body, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": None}], "usage": None}
    last = {**body, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    return b"".join(b"data: " + json.dumps(part).encode() + b"\n\n" for part in (first, last)) + b"data: [DONE]\n\n"


# --- what is refused


def _error(message: str, param: str | None = None, status: int = 400) -> tuple[int, JsonValue]:
    return status, {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}}


def _sound_history(asked: Asked) -> tuple[int, JsonValue] | None:
    """Templates read the arguments of earlier calls as an object (vllm-project/vllm#43995), and answer each call."""
    open_calls: set[str] = set()
    for message in asked.messages:
        for call in cast(list[Fields], message.get("tool_calls") or []):
            try:
                arguments: object = json.loads(str(cast(Fields, call["function"])["arguments"]))
            except ValueError:
                return _error("the arguments of an earlier call are no JSON")
            if not isinstance(arguments, dict):
                return _error("the arguments of an earlier call are no object")
            open_calls.add(str(call["id"]))
        if message["role"] == "tool":
            open_calls.discard(str(message.get("tool_call_id")))
    return _error("a call was never answered") if open_calls else None


def _refuses(name: str, message: str, status: int = 400) -> Check:
    def check(asked: Asked) -> tuple[int, JsonValue] | None:
        return _error(message, name, status) if name in asked.body else None

    return check


def _temperature_of_one(asked: Asked) -> tuple[int, JsonValue] | None:
    given = asked.body.get("temperature", 1)
    if given == 1:
        return None
    said = f"Unsupported value: 'temperature' does not support {given} with this model. Only the default (1) value is"
    return _error(f"{said} supported.", "temperature")


def _no_extra(*names: str) -> Check:
    def check(asked: Asked) -> tuple[int, JsonValue] | None:
        found = [name for name in names if name in asked.body]
        said = "Extra inputs are not permitted"
        detail: list[JsonValue] = [{"type": "extra_forbidden", "loc": ["body", name], "msg": said} for name in found]
        return (422, {"detail": detail[:1]}) if found else None

    return check


def _thoughts_back(asked: Asked) -> tuple[int, JsonValue] | None:
    for message in asked.messages:
        if message["role"] == "assistant" and message.get("tool_calls") and not message.get("reasoning_content"):
            return _error("Missing `reasoning_content` field in the assistant message")
    return None


def _signatures_back(asked: Asked) -> tuple[int, JsonValue] | None:
    for message in asked.messages:
        for call in cast(list[Fields], message.get("tool_calls") or []):
            if "extra_content" not in call:
                return _error("Function call is missing a thought_signature in functionCall parts.")
    return None


def _no_system(asked: Asked) -> tuple[int, JsonValue] | None:
    return _error("System role not supported") if any(m["role"] == "system" for m in asked.messages) else None


def _turns(asked: Asked) -> tuple[int, JsonValue] | None:
    roles = [m["role"] for m in asked.messages if m["role"] != "system"]
    twice = any(first == second == "user" for first, second in pairwise(roles))
    return _error("Conversation roles must alternate user/assistant/user/assistant/...") if twice else None


def _no_parser(asked: Asked) -> tuple[int, JsonValue] | None:
    if asked.body.get("tools") and asked.body.get("tool_choice") != "none":
        return _error('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
    return None


def _no_null_text(asked: Asked) -> tuple[int, JsonValue] | None:
    empty = any(m.get("tool_calls") and m.get("content") == "" for m in asked.messages)
    return _error("messages: text content blocks must be non-empty") if empty else None


def _version(asked: Asked) -> tuple[int, JsonValue] | None:
    if "api-version" in asked.params and asked.path.endswith("/deployments/gpt/chat/completions"):
        return None
    return 404, {"error": {"code": "404", "message": "Resource not found"}}


# --- how replies are written


def _draft(said: Said) -> str:
    """A thought that holds a draft, so that whoever reads thoughts as speech is found out."""
    return f"{said.thought} Maybe <answer>a draft</answer> or <search>a draft</search>?"


def _beside(said: Said, asked: Asked) -> Fields:
    choice = _plain(said, asked)
    cast(Fields, choice["message"])["reasoning_content"] = _draft(said)
    return choice


def _beside_struck(said: Said, asked: Asked) -> Fields:
    """A stop text is looked for in the thought too."""
    thought = _draft(said)
    if _stopped(thought, asked) != thought:
        return _text(None, reasoning_content=_stopped(thought, asked))
    return _beside(said, asked)


def _inside(opening: str, closing: str) -> Dress:
    def dress(said: Said, asked: Asked) -> Fields:
        if asked.body.get("tools") and said.call and asked.body.get("tool_choice") != "none":
            return _plain(said, asked)
        return _text(f"{opening}{_draft(said)}{closing}\n\n{said.tagged()}")

    return dress


def _as_hermes(said: Said, asked: Asked) -> Fields:
    if asked.body.get("tools") and said.call:
        call = json.dumps({"name": said.call, "arguments": said.arguments})
        return _text(f"<think>{_draft(said)}</think>\n<tool_call>\n{call}\n</tool_call>")
    return _text(f"<think>{_draft(said)}</think>{said.tagged()}")


def _as_harmony(said: Said, asked: Asked) -> Fields:
    thought = f"<|channel|>analysis<|message|>{_draft(said)}<|end|><|start|>assistant"
    if asked.body.get("tools") and said.call:
        call = (
            f"<|channel|>commentary to=functions.{said.call} <|constrain|>json<|message|>{json.dumps(said.arguments)}"
        )
        return _text(f"{thought}{call}<|call|>")
    return _text(f"{thought}<|channel|>final<|message|>{said.tagged()}")


def _leaked_channel(said: Said, asked: Asked) -> Fields:
    choice = _beside(said, asked)
    for call in cast(list[Fields], cast(Fields, choice["message"]).get("tool_calls") or []):
        function = cast(Fields, call["function"])
        function["name"] = f"{function['name']}<|channel|>commentary"
    return choice


def _runs_on(said: Said, asked: Asked) -> Fields:
    """`stop` is dropped, a schema ignored: the model goes on and makes up what comes next."""
    if asked.body.get("tools") and said.call:
        return _plain(said, asked)
    if not said.call:
        return _text(f"```json\n{said.text}\n```" if said.text.startswith("{") else said.text)
    return _text(f"{said.tagged()}\n<information>\n[1] made up: made up\n</information>\n<answer>made up</answer>")


def _signed(said: Said, asked: Asked) -> Fields:
    choice = _plain(said, asked)
    for call in cast(list[Fields], cast(Fields, choice["message"]).get("tool_calls") or []):
        call["extra_content"] = {"google": {"thought_signature": "c2ln"}}
    return choice


def _parsed_arguments(said: Said, asked: Asked) -> Fields:
    choice = _plain(said, asked)
    for call in cast(list[Fields], cast(Fields, choice["message"]).get("tool_calls") or []):
        call["id"] = None
        cast(Fields, call["function"])["arguments"] = cast(JsonValue, dict(said.arguments))
    return choice


def _reasoned(said: Said, asked: Asked) -> Fields:
    choice = _plain(said, asked)
    cast(Fields, choice["message"])["reasoning"] = _draft(said)
    return choice


def _detailed(said: Said, asked: Asked) -> Fields:
    choice = _reasoned(said, asked)
    message = cast(Fields, choice["message"])
    message["reasoning_details"] = [{"type": "reasoning.text", "text": said.thought, "signature": "c2ln"}]
    return choice


def _total_only(given: int, made: int) -> Fields:
    """Thoughts count in the total only."""
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made + 2000}


_OPENAI = (
    _temperature_of_one,
    _refuses("stop", "Unsupported parameter: 'stop' is not supported with this model."),
    _refuses("seed", "Unsupported parameter: 'seed' is not supported with this model."),
    _refuses("max_tokens", "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
             "'max_completion_tokens' instead."),
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (
    Family("plain", "platform.openai.com/docs/api-reference/chat"),
    # smolagents#1671, griptape#1915, qwen-code#921: what reasoning models refuse.
    Family("openai-reasoning", "huggingface/smolagents#1671", _OPENAI),
    # learn.microsoft.com: api-version and the deployment in the path.
    Family("azure", "learn.microsoft.com/azure/ai-services/openai/reference", (_version,),
           path="/openai/deployments/gpt?api-version=1"),
    # ai.google.dev/gemini-api/docs/openai, /thought-signatures: an unknown field is refused, signatures must come back,
    # thoughts count in the total only.
    Family("gemini", "ai.google.dev/gemini-api/docs/thought-signatures",
           (_refuses("seed", 'Invalid JSON payload received. Unknown name "seed": Cannot find it.'), _signatures_back),
           _signed, _total_only),
    # docs.anthropic.com, OpenAI SDK compatibility: an empty text block is refused.
    Family("anthropic", "docs.anthropic.com/en/api/openai-sdk", (_no_null_text,)),
    # vllm-project/vllm: tools without a parser are refused, thoughts stay in the text.
    Family("vllm", "docs.vllm.ai/en/latest/features/tool_calling", (_no_parser,), _as_hermes),
    # vllm-project/vllm#52640: with a reasoning parser a stop text ends a thought too.
    Family("vllm-reasoning-parser", "vllm-project/vllm#52640", (), _beside_struck),
    Family("sglang", "docs.sglang.ai/advanced_features/separate_reasoning", (), _beside),
    # ConardLi/easy-dataset#655: the template opens the thought, so only its end comes back.
    Family("qwen3-thinking", "ConardLi/easy-dataset#655", (), _inside("", "</think>")),
    Family("r1", "deepseek-ai/DeepSeek-R1 chat template", (), _inside("<think>", "</think>")),
    # docs.mistral.ai, reasoning: [THINK]; extra fields are refused with 422, user and assistant take turns.
    Family("mistral", "docs.mistral.ai/capabilities/reasoning", (_no_extra("seed", "logprobs"), _turns),
           _inside("[THINK]", "[/THINK]")),
    # openai/openai-agents-js#791: reasoning_content is demanded back on tool turns.
    Family("deepseek", "openai/openai-agents-js#791", (_thoughts_back,), _beside),
    # Calls come parsed and without ids (ggml-org/llama.cpp#20198).
    Family("llama.cpp", "ggml-org/llama.cpp#20198", (), _parsed_arguments),
    # ollama/ollama#17889, #10368, #17427: no refusal of a prompt beyond the window (4,096 by default), its end is read.
    Family("ollama", "ollama/ollama#17889", (), _reasoned, window=4096),
    # openrouter.ai/docs: reasoning_details, and the cost with the usage.
    Family("openrouter", "openrouter.ai/docs/use-cases/usage-accounting", (), _detailed,
           lambda given, made: {"prompt_tokens": given, "completion_tokens": made, "cost": 0.001}),
    # PeterGriffinJin/Search-R1#13, ggml-org/llama.cpp#24097: stop dropped, schema ignored.
    Family("gateway", "PeterGriffinJin/Search-R1#13", (), _runs_on),
    Family("stream-only", "Alibaba DashScope: thinking models stream only", (), _beside, streams=True),
    # google/gemma: the template raises on a system role, and on two users in a row.
    Family("gemma", "google/gemma-2-9b-it chat template", (_no_system, _turns)),
    # vllm-project/vllm#32638 and openai/harmony: channels that no parser took out.
    Family("gpt-oss-raw", "github.com/openai/harmony", (), _as_harmony),
    Family("gpt-oss-leak", "vllm-project/vllm#32638", (), _leaked_channel),
)  # fmt: skip
