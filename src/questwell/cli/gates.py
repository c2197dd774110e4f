"""`questwell gates`: runs gates on the accepted items of a run, and reports which they would reject."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from questwell.cli import screen
from questwell.cli.assembly import ConfigFile, PrintConfig, assemble, configured, limit_flag
from questwell.cli.checked import print_counts, print_question
from questwell.cli.ending import CODES, print_unfinished
from questwell.cli.flags import config_flags
from questwell.cli.index import index_progress
from questwell.errors import ConfigError
from questwell.recipes.generate import gates as recipe
from questwell.recipes.generate.gates_config import GatesConfig
from questwell.recipes.generate.gates_results import FOLDER
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.checking import refuse_shared_folder


@config_flags(
    GatesConfig,
    {
        "key_env": "Endpoints",
        "max_cost": "Limits",
        "of": "What to check",
        "shard": "Speed",
        "batch": "Speed",
        "gates": "What to check",
        "concurrency": "Speed",
    },
)
def gates(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Same as --of.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to save the calls in; by default RUN/gates.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the check in --out, with the same settings.")
    ] = False,
    config_file: ConfigFile = None,
    print_only: PrintConfig = False,
    limit: Annotated[int | None, limit_flag("questions to check")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    **given: object,
) -> None:
    """Run each gate on each accepted item, and report which items it would reject and why. The run is not changed.

    You can stop it at any time. The same command continues, and nothing is paid twice.
    """
    values = assemble("gates", given, config_file, of=run)
    of = values.get("of")
    folder = out or (Path(str(of)) / FOLDER if of is not None else None)
    if folder is None:
        raise ConfigError("say which run to check: questwell gates RUN")
    config = configured("gates", recipe.configure, folder, values, resume=resume, print_only=print_only)
    refuse_shared_folder(config, out)
    tell = screen.counting("questions")
    with index_progress("") as index:
        report = recipe.check_run(config, folder, Caller(limit=limit, on_progress=tell, index_progress=index))
    if json:
        screen.print_json(recipe.GatesReport, report)
    else:
        print_gates(screen.out(), report)
        print_unfinished(screen.out(), report.ended)
    raise typer.Exit(CODES[report.ended.ending])


def print_gates(console: Console, report: recipe.GatesReport) -> None:
    """Print each question with its gate results, then the counts."""
    for one in report.checked:
        print_question(console, one)
    print_counts(console, report.gates)
    unchecked = f" {report.of - report.questions:,} are not checked yet." if report.of > report.questions else ""
    console.print(f"{report.stopped:,} of {report.questions:,} questions are rejected by at least one gate.{unchecked}")
