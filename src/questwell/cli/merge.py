"""`questwell merge`: join the shards of a run."""

from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.cli.assembly import Json
from questwell.cli.status import print_funnel
from questwell.recipes.generate.merge import merge as join
from questwell.recipes.reports.status import Status, status


def merge(
    out: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the joined run.")],
    shards: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SHARD]...", help="Folders of runs made with --shard, all parts of one run."),
    ] = None,
    json: Json = False,
) -> None:
    """Join runs that were made with --shard into one run. The shards are not changed.

    Without SHARD, bring a run made with --shards up to date, after its process was killed.
    """
    seeds = join(out, shards or [])
    stands = status(out)
    if json:
        screen.print_json(Status, stands)
        return
    console = screen.out()
    console.print(f"Joined {seeds:,} seeds in {out}", soft_wrap=True)
    print_funnel(console, stands.funnel)
