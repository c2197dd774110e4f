"""What an endpoint takes of a request, as far as its refusals said: each part as it is, changed, or left out."""

from collections.abc import Sequence

from questwell.llm.client import Request

PARTS = ("stop", "tools", "schema", "temperature", "length")
"""The parts of a request that endpoints refuse most often."""

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
    """Each of `PARTS` with `yes`, how it was changed, `left out`, or `-` where the request has none.

    Args:
        request: as it was made, before it was changed; None: none was made.
        adapted: the changes under which it was answered; None: it was not answered.
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
    """What a change, such as `rename max_tokens max_completion_tokens`, does to a part; None: nothing."""
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
