"""Which parts of a request an endpoint accepts, judging by its refusals: unchanged, changed, or left out."""

from collections.abc import Sequence

from questwell.llm.client import Request

PARTS = ("stop", "tools", "schema", "temperature", "length")
"""The request parts that endpoints refuse most often."""

NOT_SENT = "-"
NO_ANSWER = "no answer"

_FIELDS = {
    "stop": ("stop",),
    "tools": ("tools",),
    "schema": ("response_format", "json_schema"),
    "temperature": ("temperature",),
    "length": ("max_tokens", "max_completion_tokens"),
}


def parts_taken(request: Request | None, adapted: Sequence[str] | None) -> dict[str, str]:
    """Map each of `PARTS` to `yes`, the change it needed, `left out`, or `-` if the request has no such part.

    Args:
        request: the request before any change; None if none was made.
        adapted: the changes with which it was answered; None if it was not answered.
    """
    if request is None:
        return dict.fromkeys(PARTS, NOT_SENT)
    sent = {
        "stop": bool(request.stop),
        "tools": bool(request.tools),
        "schema": request.schema is not None,
        "temperature": True,
        "length": True,
    }
    return {part: _taken(part, adapted) if sent[part] else NOT_SENT for part in PARTS}


def _taken(part: str, adapted: Sequence[str] | None) -> str:
    if adapted is None:
        return NO_ANSWER
    found = [said for change in adapted if (said := _said(part, change.split())) is not None]
    return "left out" if "left out" in found else ", ".join(found) or "yes"


def _said(part: str, change: list[str]) -> str | None:
    """Return what a change, such as `rename max_tokens max_completion_tokens`, does to a part; None if nothing."""
    match change:
        case ["omit", name] if name in _FIELDS[part]:
            return "left out"
        case ["rename", old, new] if old in _FIELDS[part]:
            return f"renamed {new}"
        case ["cap", most] if part == "length":
            return f"at most {most}"
        case ["schema", *how] if part == "schema":
            return " ".join(how)
        case ["choose", "none"] if part == "tools":
            return "calls as text"
        case _:
            return None
