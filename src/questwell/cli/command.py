"""How a verb reads its arguments and prints its help: plain text, in sections, with no flag's name cut off."""

import re
from typing import Any

import typer
from typer.core import TyperCommand

from questwell.errors import ConfigError

RENAMED = {"--beside": "--with"}
"""Flags of older versions by their old name. Those of config keys are in the config (`RecipeConfig.renamed`)."""


_TYPE = re.compile(r"<(list\[)?(\w+)[^>]*>")
_PLACEHOLDERS = {"path": "PATH", "Path": "PATH", "int": "N", "float": "X"}


class VerbCommand(TyperCommand):
    """A verb."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  typer's context is a private type
        """Refuse flags of older versions, and say their new name."""
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
        """Arguments and options, in a section for each panel."""
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
    """What stands for a value whose type typer names: `--out PATH`, not `--out <path>`."""
    return _PLACEHOLDERS.get(found[2], "TEXT")
