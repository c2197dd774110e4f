"""`questwell export`: the accepted items as a file."""

from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.recipes.dataset import export as recipe
from questwell.recipes.dataset.traces import Traces, export_traces
from questwell.recipes.reports.items import Edited, Policy, ReviewedBy


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run; it may still be running.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write; it is never left half written.")],
    reviewed: Annotated[
        ReviewedBy, typer.Option("--reviewed", help="Items to take: any, or only those that a person accepted.")
    ] = ReviewedBy.ANY,
    edited: Annotated[
        Edited, typer.Option("--edited", help="Edited items to take: rechecked ones, or all as they are.")
    ] = Edited.RECHECKED,
    format_: Annotated[
        recipe.Format | None, typer.Option("--format", help="Format of the file; by default the ending of --out.")
    ] = None,
    traces: Annotated[
        Traces | None, typer.Option("--traces", help="Write trajectories instead, in this format (sts makes a folder).")
    ] = None,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="With --traces: include those of rejected plays.")
    ] = False,
) -> None:
    """Write the accepted items with their lineage, as JSONL or parquet; or what proposer and solvers did."""
    if traces is not None:
        count = export_traces(run, out, traces, rejected=rejected)
        screen.out().print(f"Wrote {count:,} {'pairs' if traces is Traces.PAIRS else 'trajectories'} to {out}")
        return
    chosen = format_ or recipe.format_of(out)
    count = recipe.export(run, out, chosen, Policy(reviewed, edited))
    screen.out().print(f"Wrote {count:,} items to {out} ({chosen.value})", soft_wrap=True)
