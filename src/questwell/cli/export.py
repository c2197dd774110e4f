"""`questwell export`: the accepted items as a file."""

from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.recipes.dataset import export as recipe
from questwell.recipes.reports.items import Edited, Policy, ReviewedBy


def export(
    run: Annotated[Path, typer.Argument(help="Folder of the run; it may be going on.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write; it appears whole or not at all.")],
    reviewed: Annotated[
        ReviewedBy, typer.Option("--reviewed", help="Items to take: any, or only those that a person accepted.")
    ] = ReviewedBy.ANY,
    edited: Annotated[
        Edited, typer.Option("--edited", help="Edited items to take: rechecked ones, or all as they are.")
    ] = Edited.RECHECKED,
    format_: Annotated[
        recipe.Format | None, typer.Option("--format", help="By default what the name of --out ends in.")
    ] = None,
) -> None:
    """Write the accepted items with their lineage, as JSONL or parquet."""
    chosen = format_ or recipe.format_of(out)
    count = recipe.export(run, out, chosen, Policy(reviewed, edited))
    screen.out().print(f"Wrote {count:,} items to {out} ({chosen.value})", soft_wrap=True)
