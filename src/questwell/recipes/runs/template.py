"""Writes configs as TOML: a template that explains every key, and a single config with its values."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from questwell.recipes.runs.config import RecipeConfig

_WIDTH = 110


def template(sections: Mapping[str, type[RecipeConfig]], top: Mapping[str, str]) -> str:
    """Return TOML with a section per command: each key with its meaning, commented out at its default.

    Args:
        sections: config classes by command.
        top: keys for all commands, written above the sections, with initial values.
    """
    lines = [f"{key} = {json.dumps(value)}" for key, value in top.items()]
    for verb, config in sections.items():
        lines += ["", "", f"[{verb}]"]
        for key, field in config.model_fields.items():
            lines += ["", *textwrap.wrap(field.description or "", _WIDTH, initial_indent="# ", subsequent_indent="# ")]
            default = None if field.is_required() else field.default
            lines.append(f"# {key} =" if default is None else f"# {key} = {written(default)}")
    return "\n".join(lines) + "\n"


def section(verb: str, config: RecipeConfig) -> str:
    """Return `config` as the TOML section of `verb`: every key with its value; unset keys are commented out."""
    lines = [f"[{verb}]"]
    for key in type(config).model_fields:
        value = getattr(config, key)
        lines.append(f"# {key} =" if value is None else f"{key} = {written(value)}")
    return "\n".join(lines) + "\n"


def written(value: Any) -> str:  # noqa: ANN401  a key's value is anything
    """Return a value as TOML. A table that contains null becomes a JSON string, because TOML has no null."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, BaseModel):
        return _table({key: one for key, one in value if one is not None})
    if isinstance(value, Mapping):
        table = cast(Mapping[str, object], value)
        if _has_null(table):
            return written(json.dumps(table, ensure_ascii=False))
        return _table(table)
    if isinstance(value, tuple | list):
        return f"[{', '.join(written(one) for one in cast(Sequence[object], value))}]"
    text = json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")  # the only character that JSON allows unescaped and TOML does not


def _table(values: Mapping[str, object]) -> str:
    return f"{{{', '.join(f'{written(key)} = {written(value)}' for key, value in values.items())}}}"


def _has_null(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_null, cast(Mapping[str, object], value).values()))
    return value is None or (isinstance(value, list) and any(map(_has_null, cast(list[object], value))))
