"""Merges preset, TOML file and flags into a command's config; defines the flags that several commands share."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from questwell.errors import ConfigError
from questwell.recipes.runs.config import RecipeConfig, Values
from questwell.recipes.runs.template import section
from questwell.recipes.sections import read_section

_C = TypeVar("_C", bound=RecipeConfig)
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with any of the keys below, or a section per command; flags override it."),
]
PrintConfig = Annotated[
    bool,
    typer.Option(
        "--print-config",
        help="Print all keys and their current values as TOML for --config, and exit; with --resume, the values of "
        "the run.",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue the run in --out; nothing that was paid for is paid again.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Corpus = Annotated[str | None, typer.Argument(metavar="CORPUS", help="Same as --corpus.")]


def limit_flag(pieces: str) -> Any:  # noqa: ANN401  typer's own type is private
    """Return the flag `--limit`, which counts `pieces`."""
    return typer.Option("--limit", min=1, metavar="N", help=f"Maximum number of {pieces} in this invocation.")


def preset_flag(names: Collection[str]) -> Any:  # noqa: ANN401  typer's own type is private
    """Return the flag `--preset`, which takes one of `names`."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    text = "Start from the values of a preset; the config file and flags override them."
    return typer.Option("--preset", metavar="|".join(names), autocompletion=complete, help=text)


def assemble(
    verb: str,
    given: Mapping[str, object],
    config_file: Path | None = None,
    preset: Values | None = None,
    **named: object,
) -> dict[str, object]:
    """Return the config values of a command; later sources override earlier: preset, TOML file, flags, arguments.

    Args:
        verb: name of the command; its section of the file overrides keys above all sections.
        given: flags by key; None if a flag was not used.
        config_file: path of the TOML file.
        preset: values to start from.
        named: arguments by key; None if an argument was not given.
    """
    found = dict(preset or {})
    if config_file is not None:
        found.update(read_section(config_file, verb))
    found.update(used(given))
    found.update(used(named))
    return found


def print_config(verb: str, config: RecipeConfig) -> None:
    """Print the config as TOML, for `--print-config`."""
    typer.echo(section(verb, config), nl=False)


def configured(
    verb: str, configure: Callable[..., _C], folder: Path | None, values: Values, *, resume: bool, print_only: bool
) -> _C:
    """Return the config for the run in `folder`; with `print_only`, print it and exit instead."""
    if print_only:
        print_config(verb, configure(folder if resume else None, values, resume=resume))
        raise typer.Exit
    return configure(folder, values, resume=resume)


def folder_of(out: Path | None) -> Path:
    """Return the folder of the run; raises ConfigError if --out is missing."""
    if out is None:
        raise ConfigError("say which folder to write the run to: --out RUN")
    return out


def used(given: Mapping[str, object]) -> dict[str, object]:
    """Return the flags that were used."""
    return {key: value for key, value in given.items() if value is not None}
