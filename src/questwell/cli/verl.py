"""`--engine verl` for train and selfplay: its flags, and printing and running its command."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.cli.codes import ExitCode
from questwell.training.engines.verl.launch import VerlRun, launch, shown


class Engine(StrEnum):
    """The engine that trains."""

    LOCAL = "local"
    VERL = "verl"


ENGINE = Annotated[
    Engine,
    typer.Option("--engine", metavar="local|verl", help="What trains: local (this process) or verl (on a cluster)."),
]
NODES = Annotated[int, typer.Option("--nodes", min=1, metavar="N", help="Number of machines (verl).")]
GPUS = Annotated[int, typer.Option("--gpus", min=1, metavar="N", help="GPUs per machine (verl).")]
VERL = Annotated[
    list[str] | None,
    typer.Option("--verl", metavar="KEY=VALUE", help="KEY=VALUE setting of verl itself; may be repeated."),
]


def run_by_verl(run: VerlRun, write: Callable[[], None], *, dry_run: bool) -> None:
    """Print only the command on standard output; unless `dry_run`, call `write` and run the command."""
    screen.out().print(shown(run), soft_wrap=True, markup=False, highlight=False)
    if dry_run:
        return
    write()
    if launch(run) != 0:
        screen.err().print("verl failed; see its output above. The same command continues from its checkpoint.")
        raise typer.Exit(ExitCode.ERROR)
