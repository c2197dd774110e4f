"""`questwell recheck`: try edited items again, or questions that others wrote."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from questwell.cli import screen
from questwell.cli.assembly import ConfigFile, assemble
from questwell.cli.codes import ExitCode
from questwell.cli.flags import config_flags
from questwell.cli.index import index_progress
from questwell.cli.text import one_line
from questwell.recipes.generate import recheck as recipe
from questwell.recipes.generate.config import Config
from questwell.recipes.reports.certified import found_lines, unchecked
from questwell.recipes.reports.rechecked import Rechecked, rechecked
from questwell.recipes.runs.opening import config_of, info_of
from questwell.store.reader import RunReader
from questwell.types.gates import Gate


@config_flags(Config, {"corpus": "Config: of a run, what is given goes over what the run has"})
def recheck(
    source: Annotated[
        Path, typer.Argument(metavar="RUN|FILE", help="A run with edited items, or a file of questions.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the new run; by default next to it.")
    ] = None,
    config_file: ConfigFile = None,
    json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    **given: object,
) -> None:
    """Try questions that are there already: K attempts, judge and gates give verdict, difficulty and solve rate.

    Of a RUN the items that were edited in questwell view; of a FILE (JSONL or parquet) every row with question and
    answer, perhaps aliases and target. The result is a run: show, status, view and export read it.
    """
    values = assemble("recheck", given, config_file)
    if source.is_dir():
        folder = out or source / recipe.FOLDER
        with RunReader(source) as run:
            corpus = str(config_of(info_of(run))["corpus"])
        with index_progress(corpus) as progress:
            found = recipe.recheck_run(source, folder, values, progress)
    else:
        folder = out or source.with_suffix(".recheck")
        with index_progress(str(values.get("corpus", ""))) as progress:
            found = recipe.recheck_file(source, folder, values, progress)
    console = screen.out()
    rows = rechecked(folder)
    if json:
        screen.print_json(list[Rechecked], rows)
        raise typer.Exit(ExitCode.PARTIAL if found.left else ExitCode.OK)
    print_rechecked(console, rows)
    if missing := _unchecked(rows):
        more = " --rejected" if any(not row.accepted for row in rows) else ""
        console.print(f"Not checked: {missing} (questwell gates {folder}{more} checks them)", soft_wrap=True)
    console.print(f"Tried {found.tried:,}, accepted {found.accepted:,}", soft_wrap=True)
    console.print(f"Read: questwell show {folder}    Export: questwell export {folder} -o items.jsonl", soft_wrap=True)
    if found.left:
        console.print(f"{found.left:,} are left: {found.message or 'calls failed'}; the same command goes on")
        raise typer.Exit(ExitCode.PARTIAL)


def print_rechecked(console: Console, rows: list[Rechecked]) -> None:
    """Each question with its verdict, difficulty, solve rate and certificate."""
    for row in rows:
        state = "accepted" if row.accepted else row.reason.value if row.reason else "rejected"
        console.print(
            Text.assemble(
                f"{row.id}  ",
                (f"{state:<12}", "bold green" if row.accepted else "yellow"),
                f"  {one_line(row.question, 300)} -> {one_line(row.answer)}",
            ),
            soft_wrap=True,
        )
        rate = row.solve_rate
        if rate.fraction is not None and rate.low is not None and rate.high is not None:
            hard = "never solved" if row.difficulty is None else f"difficulty {row.difficulty} search steps"
            share = f"{100 * rate.fraction:.0f} % [{100 * rate.low:.0f}, {100 * rate.high:.0f}]"
            console.print(f"    {hard}, solve rate {share}: {rate.count} of {rate.of} attempts", soft_wrap=True)
        for name, value in found_lines(row.certificate) if row.certificate else ():
            console.print(Text(f"    {one_line(name)}: {one_line(value, 200)}"), soft_wrap=True)


def _unchecked(rows: list[Rechecked]) -> str:
    """The gates that some question was never asked, in the order in which they are asked."""
    missing = {gate for row in rows if row.certificate for gate in unchecked(row.certificate)}
    return ", ".join(gate.value for gate in Gate if gate.value in missing)
