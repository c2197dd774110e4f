"""The page of the Python names: what `questwell.__all__` has, by signature and docstring."""

import inspect
import re
from collections.abc import Iterator
from typing import Any, cast

from reference_text import docstring, under_members

import questwell

_KEYS = "\n\nKeys, with the names of the flags:"


def python() -> str:
    """Functions first, then classes."""
    named = [(name, getattr(questwell, name)) for name in questwell.__all__ if not name.startswith("__")]
    functions = [(name, one) for name, one in named if inspect.isfunction(one)]
    classes = [(name, one) for name, one in named if inspect.isclass(one)]
    return "\n\n".join(
        [
            "# Python names",
            "Everything that `import questwell` offers. [Python](../python.md) shows how it is used.",
            "## Functions",
            *(part for name, one in functions for part in _function(name, one)),
            "## Classes",
            *(part for name, one in classes for part in _class(name, cast(type, one))),
        ]
    )


def _function(name: str, one: Any) -> Iterator[str]:  # noqa: ANN401  a function is anything that can be called
    said, _, keys = (one.__doc__ or "").partition(_KEYS)
    signature = inspect.signature(one)
    known = set(re.findall(r"^    (\w+): ", keys, re.MULTILINE))
    own = [part for part in signature.parameters.values() if not keys or part.name not in known]
    verb = name.removesuffix("_async")
    written = [_parameter(part) for part in own]
    if keys:
        written.append("**keys")
    starred = ["*"] if any(part.kind is part.KEYWORD_ONLY for part in own) else []
    yield f"### `{name}`"
    prefix = "async def" if inspect.iscoroutinefunction(one) else "def"
    yield _fenced(f"{prefix} {name}({', '.join([*starred, *written])}) -> {_type(signature.return_annotation)}")
    yield _said(said)
    if keys:
        of = "index" if verb == "open_index" else verb
        yield f"The keys are those of [`questwell {of}`](questwell-{of}.md), with `_` for `-`."


def _class(name: str, one: type) -> Iterator[str]:
    yield f"### class `{name}`"
    yield _said(one.__doc__)
    ours = [base for base in reversed(one.__mro__) if base.__module__.startswith("questwell")]
    rows = [
        f"| `{member}{_arguments(value)}` | {_first(value.__doc__)} |"
        for base in ours
        for member, value in vars(base).items()
        if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    ]
    fields = [
        f"| `{member}: {_type(hint)}` | {said.get(member, '').replace('|', '&#124;')} |"
        for base in ours
        for said in [under_members(base)]
        for member, hint in vars(base).get("__annotations__", {}).items()
        if not member.startswith("_")
    ]
    if rows or fields:
        yield "\n".join(["| member | meaning |\n|---|---|", *fields, *rows])


def _arguments(value: object) -> str:
    if isinstance(value, property):
        return ""
    signature = inspect.signature(cast(Any, value))
    return f"({', '.join(name for name in signature.parameters if name != 'self')})"


def _parameter(part: inspect.Parameter) -> str:
    default = "" if part.default is part.empty else f" = {part.default!r}"
    return f"{part.name}: {_type(part.annotation)}{default}"


def _type(hint: object) -> str:
    text = hint if isinstance(hint, str) else inspect.formatannotation(hint)
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z])", "", text).replace("|", "or")


def _fenced(text: str) -> str:
    return f"```python\n{text.replace(' or ', ' | ')}\n```"


def _first(text: str | None) -> str:
    return " ".join(docstring(text).split("\n\n")[0].split()).replace("|", "&#124;")


def _said(text: str | None) -> str:
    """A docstring with its sections as lists."""
    lines: list[str] = []
    for line in docstring(text).splitlines():
        if re.fullmatch(r"(Args|Raises|Returns):", line):
            lines += [f"**{line[:-1]}**", ""]
        elif found := re.match(r" {4}(\w+): (.*)", line):
            lines.append(f"- `{found[1]}`: {found[2]}")
        else:
            lines.append(line.replace("<", "&lt;"))
    return "\n".join(lines)
