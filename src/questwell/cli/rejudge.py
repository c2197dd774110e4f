"""`questwell rejudge`: judges the stored answers of a run again, with another judge."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from questwell.cli import screen
from questwell.cli.assembly import ConfigFile, PrintConfig, assemble, configured, limit_flag
from questwell.cli.ending import CODES, print_unfinished
from questwell.cli.flags import config_flags
from questwell.cli.ledger import print_ledger
from questwell.cli.text import one_line
from questwell.errors import ConfigError
from questwell.recipes.rejudge import loop as recipe
from questwell.recipes.rejudge.config import RejudgeConfig
from questwell.recipes.rejudge.results import Rejudged, Sums, folder_of
from questwell.recipes.reports import rejudged as stands
from questwell.recipes.reports.certified import share
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.checking import refuse_shared_folder
from questwell.types.game import Label

_STYLE = {Label.RIGHT: "green", Label.WRONG: "red", Label.UNSCORED: "yellow", Label.ERRORED: "yellow"}


@config_flags(
    RejudgeConfig,
    {"key_env": "Endpoints", "max_cost": "Limits", "judge": "Judge and speed", "of": "What to judge"},
)
def rejudge(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Same as --of.", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to save the calls in; by default RUN/rejudge/JUDGE."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the rejudging in --out, with the same settings.")
    ] = False,
    config_file: ConfigFile = None,
    print_only: PrintConfig = False,
    limit: Annotated[int | None, limit_flag("questions to judge")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    **given: object,
) -> None:
    """Judge the stored answers of a run again with another judge, and compare the verdicts of both.

    No new questions or answers are made, so only the judge is paid. The run itself is not changed; its items'
    certificates report how far the judges agree. You can stop it at any time; the same command continues, and
    nothing is paid twice.
    """
    values = assemble("rejudge", given, config_file, of=run)
    of, judge = values.get("of"), str(values.get("judge", "exact_match"))
    folder = out or (folder_of(Path(str(of)), judge) if of is not None else None)
    if folder is None:
        raise ConfigError("say which run's answers are judged again: questwell rejudge RUN --judge MODEL")
    config = configured("rejudge", recipe.configure, folder, values, resume=resume, print_only=print_only)
    refuse_shared_folder(config, out)
    report = recipe.rejudge(config, folder, Caller(limit=limit, on_progress=screen.counting("questions")))
    if json:
        screen.print_json(recipe.RejudgeReport, report)
    else:
        for one in report.questions:
            print_question(screen.out(), one)
        print_sums(screen.out(), report.judge, report.sums)
        print_unfinished(screen.out(), report.ended)
    raise typer.Exit(CODES[report.ended.ending])


def status_rejudge(run: Path, *, json: bool) -> None:
    """Print `questwell status` for a run of `rejudge`."""
    found = stands.rejudge_status(run)
    if json:
        screen.print_json(stands.RejudgeStatus, found)
        return
    console, judge = screen.out(), found.info.fingerprint.get("judge", "")
    source = found.info.fingerprint.get("of run", "")
    console.print(f"Run {found.info.run_id}: {one_line(judge)} judges the run {source} again", soft_wrap=True)
    print_sums(console, judge, found.sums)
    if not found.sums.questions:
        console.print("Results are written when an invocation ends; answered calls are kept at once.")
    print_ledger(console, found.ledger)


def show_rejudge(run: Path, item: str | None, *, full: bool, json: bool) -> None:
    """Print `questwell show` for a run of `rejudge`: all questions, or one, with both judges' labels."""
    questions = stands.rejudged(run, item)
    if json:
        screen.print_json(list[Rejudged], questions)
        return
    for one in questions:
        print_question(screen.out(), one, most=4_000 if full else 200)
    if not questions:
        screen.out().print("No results yet: they are written when an invocation ends.")


def print_question(console: Console, one: Rejudged, most: int = 200) -> None:
    """Print a question with both verdicts, and each answer with both labels."""
    after = one.after.outcome.value if one.decided else "undecided"
    verdict = f"{one.before.outcome.value} -> {after}"
    style = "yellow" if one.changed or not one.decided else "green"
    pair = f"  {one_line(one.question, 300)} -> {one_line(one.answer)}"
    console.print(Text.assemble(f"{one.id}  ", (verdict, style), pair), soft_wrap=True)
    for each in one.answers:
        said = "no answer" if each.answer is None else one_line(each.answer, most)
        both = f"{each.before.value:<8} -> "
        line = Text.assemble(f"    {each.attempt}  {both}", (f"{each.after.value:<8}", _STYLE[each.after]), f"  {said}")
        console.print(line, soft_wrap=True)
        if each.before is not each.after and each.reason:
            console.print(f"       judge: {one_line(each.reason, most)}", soft_wrap=True)


def print_sums(console: Console, judge: str, found: Sums) -> None:
    """Print how far the judges agree, and how many verdicts would change."""
    console.print(f"Judge {one_line(judge)}: agrees on answers: {share(found.agreement)}", soft_wrap=True)
    console.print(f"Right only by the run's judge: {found.only_before:,}; only by this one: {found.only_after:,}")
    if found.unscored:
        console.print(f"Answers that this judge could not score: {found.unscored:,}")
    table = Table(title="Verdicts", title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in found.outcomes.items():
        table.add_row(name, f"{count:,}")
    console.print(table)
    console.print(f"Of {found.accepted:,} accepted questions this judge would accept {found.kept:,}.")
