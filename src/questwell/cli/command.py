"""Parses the arguments of a command and formats its help: plain text, in sections, with full flag names."""

import re
from typing import Any

import typer
from typer.core import TyperCommand

from questwell.errors import ConfigError

RENAMED = {"--beside": "--with"}
"""New names of renamed flags, by old name. Renamed config keys are in the config (`RecipeConfig.renamed`)."""


_TYPE = re.compile(r"<(list\[)?(\w+)[^>]*>")
_PLACEHOLDERS = {"path": "PATH", "Path": "PATH", "int": "N", "float": "X"}


class VerbCommand(TyperCommand):
    """Base class of all subcommands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  typer's context is a private type
        """Parse the arguments; a renamed flag is an error that gives its new name."""
        flags = args[: args.index("--")] if "--" in args else args
        for flag in (flag.partition("=")[0] for flag in flags):
            if flag in RENAMED:
                raise ConfigError(f"{flag} is called {RENAMED[flag]} now")
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write arguments and options to the help, with one section per panel."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
                panel = getattr(parameter, "rich_help_panel", None) or kind
                name = _TYPE.sub("" if kind == "Arguments" else _placeholder, record[0]).strip()
                panels.setdefault(panel, []).append((name, record[1]))
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl(records)


def _placeholder(found: re.Match[str]) -> str:
    """Return the placeholder of a flag's value in the help: `--out PATH`, not typer's `--out <path>`."""
    return _PLACEHOLDERS.get(found[2], "TEXT")
