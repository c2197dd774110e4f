"""Reads one TOML file for all commands: a section per command, and shared keys above the sections."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from questwell.errors import ConfigError
from questwell.recipes.runs.config import RecipeConfig, Values, nearest, one_spelling, read_toml

CONFIGS: Mapping[str, str] = {
    "index": "corpus.servers:ServerConfig",
    "serve": "corpus.serve:ServeConfig",
    "generate": "generate.config:Config",
    "harden": "harden.config:HardenConfig",
    "gates": "generate.gates_config:GatesConfig",
    "rejudge": "rejudge.config:RejudgeConfig",
    "recheck": "generate.recheck:RecheckConfig",
    "dataset": "dataset.config:DatasetConfig",
    "evaluate": "evaluate.config:EvalConfig",
    "train": "train.config:TrainConfig",
    "selfplay": "selfplay.config:Config",
}
"""Import path of each command's config class, which is imported only when used."""


def config_of(verb: str) -> type[RecipeConfig]:
    """Return the config class of a command."""
    module, _, name = CONFIGS[verb].partition(":")
    return cast(type[RecipeConfig], getattr(importlib.import_module(f"questwell.recipes.{module}"), name))


def read_section(path: Path, verb: str) -> Values:
    """Return the keys of a TOML file that apply to `verb`: its own section on top of the keys above all sections.

    Skips keys above the sections that only other commands have. A key that no command has is returned, for the config
    to refuse.

    Raises:
        ConfigError: the file is not TOML, has a key in two spellings, or a section for an unknown command.
    """
    whole = read_toml(path)
    sections = {key: cast(Values, value) for key, value in whole.items() if key in CONFIGS and isinstance(value, dict)}
    top = {key: value for key, value in whole.items() if key not in sections}
    own = _keys(verb)
    for key, value in top.items():
        if isinstance(value, dict) and not any(key in _keys(verb) for verb in CONFIGS):
            raise ConfigError(f"{path} has a section [{key}] for an unknown command{nearest(key, CONFIGS)}")
    for_others = {key for key in top.keys() - own if any(key in _keys(other) for other in CONFIGS)}
    return {
        **{key: value for key, value in top.items() if key not in for_others},
        **one_spelling(path, sections.get(verb, {})),
    }


def _keys(verb: str) -> set[str]:
    config = config_of(verb)
    return {*config.model_fields, *config.renames()}
