"""`questwell runs`: lists the runs in a folder, one line each."""

from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.cli.assembly import Json
from questwell.cli.text import one_line
from questwell.recipes.reports.runs import RunCard, card, find_runs
from questwell.text.money import dollars


def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder that contains runs.")] = Path("runs"),
    json: Json = False,
) -> None:
    """List the runs in a folder and its subfolders, newest first, with their command, state and cost."""
    cards = sorted((card(found) for found in find_runs([folder])), key=lambda one: one.created, reverse=True)
    if json:
        screen.print_json(list[RunCard], cards)
        return
    console = screen.out()
    for one in cards:
        live = ", running" if one.live else ""
        facts = one.problem or f"{one.headline}, {dollars(one.cost_usd)}"
        created = one.created[:16].replace("T", " ")
        line = f"{created:<16}  {one.run.kind.value:<8}  {one_line(f'{one.run.name}: {facts}{live}', 300)}"
        console.print(line, soft_wrap=True)
