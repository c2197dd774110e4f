"""`questwell init`: writes a config file with every key explained."""

from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.errors import ConfigError
from questwell.recipes.runs.template import template
from questwell.recipes.sections import CONFIGS, config_of


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write; it must not exist yet.")] = Path(
        "questwell.toml"
    ),
    print_only: Annotated[bool, typer.Option("--print", help="Print the config file instead of writing it.")] = False,
) -> None:
    """Write a config file with one section per command. Every key is explained and commented out at its default."""
    text = template({verb: config_of(verb) for verb in CONFIGS}, {"corpus": "islands", "llm": "mock"})
    if print_only:
        typer.echo(text, nl=False)
        return
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise ConfigError(f"{str(file)!r} already exists; name another file") from None
    screen.out().print(f"Written: {file}    Use it: questwell generate --config {file} -n 20 --out RUN", soft_wrap=True)
