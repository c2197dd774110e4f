"""`questwell export`: writes the accepted items to a file."""

from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.recipes.dataset import export as recipe
from questwell.recipes.dataset.traces import Traces, export_traces
from questwell.recipes.reports.items import Edited, Policy, ReviewedBy


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run; it may still be running.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write; it is replaced as a whole or not at all.")],
    reviewed: Annotated[
        ReviewedBy,
        typer.Option(
            "--reviewed",
            metavar="|".join(ReviewedBy),
            help="Items to export by review: any, or only those that a person accepted.",
        ),
    ] = ReviewedBy.ANY,
    edited: Annotated[
        Edited,
        typer.Option(
            "--edited",
            metavar="|".join(Edited),
            help="Edited items to export: only rechecked ones, or all of them as they are.",
        ),
    ] = Edited.RECHECKED,
    format_: Annotated[
        recipe.Format | None,
        typer.Option(
            "--format", metavar="|".join(recipe.Format), help="File format; by default what the suffix of --out says."
        ),
    ] = None,
    traces: Annotated[
        Traces | None,
        typer.Option(
            "--traces",
            metavar="|".join(Traces),
            help="Write trajectories in this format instead of items (sts writes a folder).",
        ),
    ] = None,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="With --traces: include the trajectories of rejected plays.")
    ] = False,
) -> None:
    """Write the accepted items and how each was made, as JSONL or parquet; with --traces, the agents' trajectories."""
    if traces is not None:
        count = export_traces(run, out, traces, rejected=rejected)
        screen.out().print(f"Wrote {count:,} {'pairs' if traces is Traces.PAIRS else 'trajectories'} to {out}")
        return
    chosen = format_ or recipe.format_of(out)
    count = recipe.export(run, out, chosen, Policy(reviewed, edited))
    screen.out().print(f"Wrote {count:,} items to {out} ({chosen.value})", soft_wrap=True)
