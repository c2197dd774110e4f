"""Refusals of known servers in their own words and form. `families.py` names the source of each."""

import re
from itertools import pairwise

from pydantic import JsonValue

from questwell.llm.gallery.family import Asked, Check, Refused


def openai_error(message: str, param: str | None = None, code: str | None = None) -> Refused:
    """A refusal in the form of api.openai.com."""
    return 400, {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def vllm_error(message: str) -> Refused:
    """A refusal in the form of vLLM and SGLang: the message is at the top level of the body."""
    return 400, {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}


def unsupported(name: str, advice: str = "") -> Check:
    """OpenAI's reasoning models refuse the parameter `name`."""

    def check(asked: Asked) -> Refused | None:
        said = f"Unsupported parameter: '{name}' is not supported with this model.{advice}"
        return openai_error(said, name, "unsupported_parameter") if name in asked.body else None

    return check


def temperature_of_one(asked: Asked) -> Refused | None:
    """OpenAI's reasoning models refuse any temperature other than 1."""
    given = asked.body.get("temperature", 1)
    if given == 1:
        return None
    said = f"Unsupported value: 'temperature' does not support {given} with this model. Only the default (1) value is"
    return openai_error(f"{said} supported.", "temperature", "unsupported_value")


def versioned(asked: Asked) -> Refused | None:
    """Azure answers 404 at every path if `api-version` is missing."""
    if "api-version" in asked.params and asked.path.endswith("/deployments/gpt/chat/completions"):
        return None
    return 404, {"error": {"code": "404", "message": "Resource not found"}}


def _google_error(message: str) -> Refused:
    return 400, [{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}]


def unknown_to_google(*names: str) -> Check:
    """Gemini refuses fields that it does not know, and lists all of them in one error."""

    def check(asked: Asked) -> Refused | None:
        found = [name for name in names if name in asked.body]
        said = (f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.' for name in found)
        return _google_error("\n".join(said)) if found else None

    return check


def signatures_back(asked: Asked) -> Refused | None:
    """Gemini 3 refuses an earlier call that is sent back without the signature of its thought."""
    for at, call in enumerate(asked.calls):
        if "extra_content" not in call:
            return _google_error(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:search` , position {at + 2}."
            )
    return None


def no_empty_message(asked: Asked) -> Refused | None:
    """Anthropic refuses a message with neither text nor calls, and an empty text next to calls."""
    for at, message in enumerate(asked.messages):
        if message.get("content") == "" and message.get("tool_calls"):
            return openai_error("messages: text content blocks must be non-empty", code="invalid_request_error")
        if not message.get("content") and not message.get("tool_calls"):
            said = f"messages.{at}: all messages must have non-empty content except for the optional final assistant"
            return openai_error(f"{said} message", code="invalid_request_error")
    return None


def no_tool_parser(asked: Asked) -> Refused | None:
    """A vLLM server without --tool-call-parser refuses tools unless tool_choice is given."""
    if not asked.may_call:
        return None
    return vllm_error('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')


def _mistral_error(status: int, message: JsonValue, kind: str, code: str | None = None) -> Refused:
    return status, {"object": "error", "message": message, "type": kind, "param": None, "code": code}


def extra_forbidden(*names: str) -> Check:
    """Mistral's API refuses unknown fields of the body or of a message; the details are an object inside `message`."""

    def check(asked: Asked) -> Refused | None:
        found: list[list[JsonValue]] = [["body", name] for name in names if name in asked.body]
        for at, message in enumerate(asked.messages):
            found += [["body", "messages", at, message["role"], name] for name in names if name in message]
        detail: list[JsonValue] = [
            {"type": "extra_forbidden", "loc": where, "msg": "Extra inputs are not permitted", "input": 1}
            for where in found
        ]
        return _mistral_error(422, {"detail": detail}, "invalid_request_error") if detail else None

    return check


def short_ids(asked: Asked) -> Refused | None:
    """Mistral's API refuses call ids that are not nine letters and digits."""
    for call in asked.calls:
        if not re.fullmatch("[a-zA-Z0-9]{9}", str(call["id"])):
            said = f"Tool call id was {call['id']} but must be a-z, A-Z, 0-9, with a length of 9."
            return _mistral_error(400, said, "invalid_function_call", "3280")
    return None


def short_ids_in_template(asked: Asked) -> Refused | None:
    """Mistral's templates refuse long call ids, also behind servers that make longer ids themselves."""
    if any(not re.fullmatch("[a-zA-Z0-9]{9}", str(call["id"])) for call in asked.calls):
        return openai_error("Tool call IDs should be alphanumeric strings with length 9!")
    return None


def thoughts_back(asked: Asked) -> Refused | None:
    """DeepSeek's thinking mode wants the thought of each earlier turn that called a function."""
    called = [message for message in asked.messages if message.get("tool_calls")]
    if all(message.get("reasoning_content") for message in called):
        return None
    said = "The `reasoning_content` in the thinking mode must be passed back to the API."
    return openai_error(said, code="invalid_request_error")


def streams_only(asked: Asked) -> Refused | None:
    """DashScope's thinking models refuse a request that does not ask for a stream."""
    if asked.body.get("stream"):
        return None
    said = "parameter.enable_thinking must be set to false for non-streaming calls"
    return openai_error(said, code="invalid_parameter_error")


def no_system(asked: Asked) -> Refused | None:
    """Gemma 2's template, served by vLLM, refuses a system message."""
    return vllm_error("System role not supported") if any(m["role"] == "system" for m in asked.messages) else None


def _take_turns(asked: Asked, *, system: bool) -> bool:
    roles = [m["role"] for m in asked.messages if system or m["role"] != "system"]
    return not any(first == second == "user" for first, second in pairwise(roles)) and roles[:1] == ["user"]


def turns(asked: Asked) -> Refused | None:
    """Gemma 3's template, served by vLLM, refuses two messages of one role in a row; it repeats its message."""
    said = "Conversation roles must alternate user/assistant/user/assistant/..."
    if _take_turns(asked, system=False):
        return None
    return 400, {"error": {"message": f"{said} {said}", "type": "BadRequestError", "param": None, "code": 400}}


def turns_without_system(asked: Asked) -> Refused | None:
    """Mistral's first templates refuse a system message, but the error names only the order of roles."""
    said = "Conversation roles must alternate user/assistant/user/assistant/..."
    return None if _take_turns(asked, system=True) else vllm_error(said)
