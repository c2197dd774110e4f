"""`questwell init`: a config file with every key explained."""

from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.errors import ConfigError
from questwell.recipes.evaluate.config import EvalConfig
from questwell.recipes.generate.config import Config
from questwell.recipes.runs.template import template
from questwell.recipes.train.config import TrainConfig

SECTIONS = {"generate": Config, "evaluate": EvalConfig, "train": TrainConfig}


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("questwell.toml"),
    print_only: Annotated[bool, typer.Option("--print", help="Print it instead of writing a file.")] = False,
) -> None:
    """Write a config file with a section per command and every key explained, each commented out at its default."""
    text = template(SECTIONS, {"corpus": "islands", "llm": "mock"})
    if print_only:
        typer.echo(text, nl=False)
        return
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise ConfigError(f"{str(file)!r} is there already; name another file") from None
    screen.out().print(f"Written: {file}    Use it: questwell generate --config {file} -n 20 --out RUN", soft_wrap=True)
