"""`questwell compare`: compares evaluations on the questions that they share."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from questwell.cli import screen
from questwell.cli.numbers import percent
from questwell.cli.text import one_line
from questwell.recipes.reports.scores import Versus, compare_runs


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of evaluate runs.")],
    metric: Annotated[
        str,
        typer.Option("--metric", help="What to compare: em, f1, searches, or the name of a judge."),
    ] = "em",
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compare pairs of evaluations on the questions they share: difference, interval, exact or permutation test."""
    found = compare_runs(runs, metric)
    if json:
        screen.print_json(list[Versus], found)
        return
    console = screen.out()
    unit = "search steps" if metric == "searches" else "points"
    title = f"{one_line(metric)}: second minus first, {unit}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("questions", "first", "second", "n", "difference", "better", "worse", "p", "p (Holm)", "detectable"):
        table.add_column(name, justify="left" if name in ("questions", "first", "second") else "right")
    scale = 1 if metric == "searches" else 100
    for row in found:
        if row.comparison is None or row.p_adjusted is None:
            table.add_row(one_line(row.group), one_line(row.first), one_line(row.second), "0", *["-"] * 6)
            continue
        test = row.comparison
        mean = test.difference.mean or 0.0
        shown = percent(test.difference) if scale == 100 else f"{mean:.2f}"
        detectable = "-" if test.detectable is None else f"{scale * test.detectable:.1f}"
        table.add_row(
            *(one_line(row.group), one_line(row.first), one_line(row.second), f"{test.difference.n:,}", shown),
            *(f"{test.better:,}", f"{test.worse:,}", f"{test.p_value:.3g}", f"{row.p_adjusted:.3g}", detectable),
        )
    console.print(table)
    console.print(
        "n: questions on which both runs were scored. better, worse: those on which the second run scores higher or "
        "lower. detectable: the smallest true difference that such a comparison finds 4 times in 5.",
        soft_wrap=True,
    )
