"""`questwell recheck`: try edited items again, or questions that others wrote."""

from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.cli.assembly import ConfigFile, assemble
from questwell.cli.codes import ExitCode
from questwell.cli.flags import config_flags
from questwell.cli.index import index_progress
from questwell.recipes.generate import recheck as recipe
from questwell.recipes.generate.config import Config
from questwell.recipes.runs.opening import config_of, info_of
from questwell.store.reader import RunReader


@config_flags(Config, {"corpus": "Config: of a run, what is given goes over what the run has"})
def recheck(
    source: Annotated[
        Path, typer.Argument(metavar="RUN|FILE", help="A run with edited items, or a file of questions.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the new run; by default next to it.")
    ] = None,
    config_file: ConfigFile = None,
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
    console.print(f"Tried {found.tried:,}, accepted {found.accepted:,}", soft_wrap=True)
    console.print(f"Read: questwell show {folder}    Export: questwell export {folder} -o items.jsonl", soft_wrap=True)
    if found.left:
        console.print(f"{found.left:,} are left: {found.message or 'calls failed'}; the same command goes on")
        raise typer.Exit(ExitCode.PARTIAL)
