"""A config file with every key explained, made from the configs themselves."""

import json
import textwrap
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, cast

from questwell.recipes.runs.config import RecipeConfig

_WIDTH = 110


def template(sections: Mapping[str, type[RecipeConfig]], top: Mapping[str, str]) -> str:
    """TOML with a section per verb: each key with its meaning, commented out at its default.

    Args:
        sections: configs by verb.
        top: keys for all verbs, above the sections, with the values to start from.
    """
    lines = [f"{key} = {json.dumps(value)}" for key, value in top.items()]
    for verb, config in sections.items():
        lines += ["", "", f"[{verb}]"]
        for key, field in config.model_fields.items():
            lines += ["", *textwrap.wrap(field.description or "", _WIDTH, initial_indent="# ", subsequent_indent="# ")]
            default = None if field.is_required() else field.default
            lines.append(f"# {key} =" if default is None else f"# {key} = {written(default)}")
    return "\n".join(lines) + "\n"


def written(value: Any) -> str:  # noqa: ANN401  a default is anything
    """A default as TOML."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, tuple):
        return f"[{', '.join(written(one) for one in cast(tuple[object, ...], value))}]"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
