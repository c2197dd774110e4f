"""`questwell gates`: what the gates would have thrown out of a run."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from questwell.cli import screen
from questwell.cli.index import index_progress
from questwell.cli.text import one_line
from questwell.recipes.generate import gates as recipe
from questwell.types.game import Gate, GateOutcome

_ALL = ",".join(gate.value for gate in Gate)


def gates(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of the run; it is only read, and may still be running.")
    ],
    names: Annotated[
        str, typer.Option("--gates", help=f"Gates to run, separated by commas: {_ALL}.", show_default=False)
    ] = _ALL,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to keep the calls in; by default RUN/gates.")
    ] = None,
    llm: Annotated[
        str | None, typer.Option(help="Model that reads and judges; by default the run's own models.")
    ] = None,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Also check the last questions of rejected plays.")
    ] = False,
    any_index: Annotated[
        bool, typer.Option("--any-index", help="Allow an index that has changed since the run.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Run each gate on each accepted item: which items would it reject, and why? The run itself is not changed.

    You can stop it at any time; the same command continues, and nothing is paid twice.
    """
    chosen = recipe.parse_gates(names)
    console = screen.err()

    def tell(done: int, of: int) -> None:
        console.print(f"questions {done:,}/{of:,}", soft_wrap=True)

    with index_progress("") as index:
        report = recipe.check_run(
            run,
            chosen,
            out or run / "gates",
            llm=llm,
            rejected=rejected,
            any_index=any_index,
            on_progress=tell,
            index_progress=index,
        )
    if json:
        screen.print_json(recipe.GatesReport, report)
    else:
        print_gates(screen.out(), report)


def print_gates(console: Console, report: recipe.GatesReport) -> None:
    """Each question with what was found, then the counts."""
    for one in report.checked:
        state = Text("stopped" if one.stopped else "passed ", style="yellow" if one.stopped else "green")
        pair = f"  {one_line(one.question, 300)} -> {one_line(one.answer)}"
        console.print(Text.assemble(f"{one.id}  ", state, pair), soft_wrap=True)
        for result in one.results:
            line = f"    {result.gate.value:<12} {result.outcome.value:<9} {one_line(result.reason, 200)}"
            console.print(line, soft_wrap=True)
    table = Table(title="Gates", title_justify="left", box=None, pad_edge=False)
    table.add_column("gate")
    for name in (*(outcome.value for outcome in GateOutcome), "stops alone"):
        table.add_column(name, justify="right")
    for row in report.gates:
        table.add_row(row.gate.value, *(str(row.outcomes.get(outcome, 0)) for outcome in GateOutcome), str(row.alone))
    console.print(table)
    console.print(f"{report.stopped:,} of {report.questions:,} questions are stopped by at least one gate.")
