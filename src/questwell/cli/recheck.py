"""`questwell recheck`: tries edited items again, or questions from elsewhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from questwell.cli import screen
from questwell.cli.assembly import ConfigFile, PrintConfig, assemble, configured, limit_flag
from questwell.cli.ending import CODES, print_unfinished
from questwell.cli.flags import config_flags
from questwell.cli.index import index_progress
from questwell.cli.show import show_play
from questwell.cli.text import one_line
from questwell.errors import ConfigError
from questwell.recipes.generate import recheck as recipe
from questwell.recipes.generate.recheck import RecheckConfig
from questwell.recipes.reports.certified import found_lines, unchecked
from questwell.recipes.reports.rechecked import Rechecked, rechecked
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.checking import refuse_shared_folder
from questwell.types.gates import Gate

_PANELS = {
    "corpus": "Corpus",
    "retriever": "Search",
    "key_env": "Endpoints",
    "max_cost": "Limits",
    "llm": "Models",
    "seed": "The game",
    "proposer_turns": "Agents",
    "concurrency": "Speed",
    "source": "What to try",
}


@config_flags(RecheckConfig, _PANELS)
def recheck(
    questions: Annotated[
        Path | None, typer.Argument(metavar="RUN|FILE", help="Same as --source.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the new run; by default RUN/recheck, or next to FILE.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the recheck in --out, with the same settings.")
    ] = False,
    config_file: ConfigFile = None,
    print_only: PrintConfig = False,
    limit: Annotated[int | None, limit_flag("questions to try")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")] = False,
    **given: object,
) -> None:
    """Try existing questions again: K attempts, the judge and the gates give a verdict, a difficulty and a solve rate.

    From a RUN, this takes the items that were edited in questwell view, with the settings of that run. From a FILE
    (JSONL or parquet), it takes every row with question and answer; aliases and target are optional. The result is a
    run that show, status, view and export can read. You can stop it at any time; the same command continues, and
    nothing is paid twice.
    """
    values = assemble("recheck", given, config_file, source=questions)
    folder = out or _folder(values.get("source"))
    config = configured("recheck", recipe.configure, folder, values, resume=resume, print_only=print_only)
    refuse_shared_folder(config, out)
    with index_progress(config.corpus) as progress:
        report = recipe.run(config, folder, Caller(limit=limit, index_progress=progress))
    rows = rechecked(folder)
    if json:
        screen.print_json(Rows, Rows(rows), ended=report)
        raise typer.Exit(CODES[report.ending])
    console = screen.out()
    print_rechecked(console, rows)
    if missing := _unchecked(rows):
        more = " --rejected" if any(not row.accepted for row in rows) else ""
        console.print(f"Not checked: {missing} (questwell gates {folder}{more} checks them)", soft_wrap=True)
    console.print(f"Tried {report.tried:,}, accepted {report.accepted:,}", soft_wrap=True)
    print_unfinished(console, report)
    console.print(f"Read: questwell show {folder}    Export: questwell export {folder} -o items.jsonl", soft_wrap=True)
    raise typer.Exit(CODES[report.ending])


@dataclass(frozen=True, slots=True)
class Rows:
    """The JSON output of `--json`."""

    questions: list[Rechecked]


def _folder(source: object) -> Path:
    """Return the default folder of a recheck."""
    if source is None:
        raise ConfigError("say what to try again: questwell recheck RUN, or FILE with questions")
    path = Path(str(source)).expanduser()
    return path / recipe.FOLDER if path.is_dir() else path.with_suffix(".recheck")


def show_recheck(run: Path, item: str | None, *, full: bool, json: bool) -> None:
    """Print `questwell show` for a recheck: all questions with their results, or one in full."""
    if item is not None:
        show_play(run, item, full=full, json=json)
        return
    rows = rechecked(run)
    if json:
        screen.print_json(list[Rechecked], rows)
        return
    console = screen.out()
    print_rechecked(console, rows)
    if not rows:
        console.print("No question was tried yet.")


def print_rechecked(console: Console, rows: list[Rechecked]) -> None:
    """Print each question with its verdict, difficulty, solve rate and certificate."""
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
    """Return the names of the gates that did not run on all questions, in the order in which gates run."""
    missing = {gate for row in rows if row.certificate for gate in unchecked(row.certificate)}
    return ", ".join(gate.value for gate in Gate if gate.value in missing)
