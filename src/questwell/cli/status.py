"""`questwell status`: shows the progress and results of a run."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from questwell.cli import screen
from questwell.cli.ending import CODES, print_unfinished
from questwell.cli.kinds import status_of
from questwell.cli.ledger import print_ledger
from questwell.cli.numbers import count
from questwell.cli.text import one_line
from questwell.recipes.reports import status as recipe
from questwell.recipes.reports.funnel import Funnel, explain
from questwell.recipes.reports.intrinsic import Cell
from questwell.recipes.reports.status import Spending
from questwell.recipes.runs.description import PLAYED, config_of, kind_of
from questwell.recipes.runs.ending import Ending, Report
from questwell.text.money import dollars
from questwell.types.measures import Proportion

_EVERY_S = 2.0


def status(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run; it may still be running.")],
    report: Annotated[
        Path | None, typer.Option("--report", help="Write the paper's tables and charts of this run to this folder.")
    ] = None,
    others: Annotated[
        list[Path] | None, typer.Option("--with", help="Another run to include in the report; may be repeated.")
    ] = None,
    label_llm: Annotated[
        str | None, typer.Option("--label-llm", help="Model that classifies attempts and failures for the report.")
    ] = None,
    roles: Annotated[
        str | None,
        typer.Option(
            "--roles", help='Endpoint options of --label-llm, as in generate: "judge.key_env=KEY judge.omit=stop".'
        ),
    ] = None,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="Send the calls of --label-llm in batches, at half the list price; slow."),
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every two seconds while the run goes on.")] = False,
    max_cost: Annotated[float | None, typer.Option(help="Maximum cost of all labels in US dollars.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Maximum number of tokens for all labels.")] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Maximum duration of labelling in this invocation, in minutes.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show a run's results so far: how many seeds were accepted or rejected and why, by target and round, and the cost.

    For evaluate it shows scores, for gates and labels their results, for train and selfplay progress and metrics.
    """
    if report is not None:
        limits = {"max_cost": max_cost, "max_tokens": max_tokens, "max_minutes": max_minutes}
        labelling = {"llm": label_llm, "roles": roles, "batch": batch, **limits} if label_llm else None
        _write_report([run, *(others or ())], report, labelling, json=json)
        return
    if watch:
        _watch(run)
        return
    status_of(run, json=json)


def _write_report(runs: Sequence[Path], folder: Path, labelling: Mapping[str, object] | None, *, json: bool) -> None:
    """Write the report into `folder`; exit with the code of the first incomplete labelling."""
    import asyncio

    from questwell.recipes.reports.labels import LabelConfig  # imported here because these load models and indexes
    from questwell.recipes.reports.report import System
    from questwell.recipes.reports.report import report as write
    from questwell.recipes.runs.config import resolve

    label_by = resolve(LabelConfig, labelling) if labelling else None
    systems = asyncio.run(write(runs, folder, label_by))
    labelled = [one.labels.ended for one in systems if one.labels is not None]
    ended = next((one for one in labelled if one.ending is not Ending.COMPLETE), Report(Ending.COMPLETE))
    if json:
        screen.print_json(dict[str, list[System]], {"systems": systems}, ended=ended)
    else:
        screen.out().print(f"Wrote report.md, report.json and charts to {folder}", soft_wrap=True)
        print_unfinished(screen.out(), ended)
    raise typer.Exit(CODES[ended.ending])


def status_plays(run: Path, *, json: bool) -> None:
    """Print `questwell status` for a run with plays."""
    found = recipe.status(run)
    if json:
        screen.print_json(recipe.Status, found)
        return
    console = screen.out()
    corpus = one_line(str(config_of(found.info)["corpus"]), 300)
    console.print(f"Run {found.info.run_id} over {corpus}, started {found.info.created}", soft_wrap=True)
    print_funnel(console, found.funnel)
    print_kinds(console, found.kinds)
    print_intrinsic(console, found.intrinsic, early_stop=found.early_stop)
    print_spending(console, found.spending, accepted=found.funnel.accepted)


def _watch(run: Path) -> None:
    """Print one line every two seconds until no process writes the run."""
    from questwell.recipes.reports.runs import is_live  # as above

    line = _line_of_plays(run) if kind_of(run) in PLAYED else _headline(run)
    console = screen.out()
    while True:
        console.print(line(), soft_wrap=True)
        if not is_live(run):
            console.print("Nobody writes the run now.", soft_wrap=True)
            return
        time.sleep(_EVERY_S)


def _headline(run: Path) -> Callable[[], str]:
    """Return a function that returns the progress of a run in the words of `questwell runs`."""
    from questwell.recipes.reports.runs import FoundRun, Kind, card  # as above

    found = FoundRun(run.name, run, Kind(kind_of(run)))

    def line() -> str:
        now = card(found)
        cost = "" if now.cost_usd is None else f", cost {dollars(now.cost_usd)}"
        return now.problem or f"{now.headline}{cost}"

    return line


def _line_of_plays(run: Path) -> Callable[[], str]:
    """Return a function that returns a line with progress, cost per accepted item and time left."""
    first, began = recipe.status(run), time.monotonic()

    def line() -> str:
        now = recipe.status(run)
        done, gained = now.funnel.candidates, now.funnel.candidates - first.funnel.candidates
        left = _left(now, gained, time.monotonic() - began)
        each = dollars(now.spending.cost_usd_per_item) if now.funnel.accepted else "-"
        wanted = "" if now.seeds_wanted is None else f"/{now.seeds_wanted:,}"
        return (
            f"seeds {done:,}{wanted}, accepted {now.funnel.accepted:,}, cost {dollars(now.spending.total.cost_usd)}, "
            f"{each} per accepted item, {left}"
        )

    return line


def _left(now: recipe.Status, gained: int, seconds: float) -> str:
    shares = [now.funnel.candidates / now.seeds_wanted] if now.seeds_wanted else []
    if now.items_wanted and now.funnel.accepted:
        shares.append(now.funnel.accepted / now.items_wanted)
    if shares and max(shares) >= 1:
        return "complete"
    if not gained:
        return "time left unknown yet"
    if not shares:
        return "time left unknown"
    plays = max(0.0, now.funnel.candidates / max(shares) - now.funnel.candidates)
    return f"about {timedelta(seconds=round(plays * seconds / gained))} left"


def print_funnel(console: Console, funnel: Funnel) -> None:
    """Print what happened to the seeds; the lines add up."""
    table = Table(title="Funnel", title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_row("seeds played", f"{funnel.candidates:,}")
    for reason, number in funnel.rejected.items():
        table.add_row(f"  rejected: {reason.value}", f"{number:,}", _percent(number / funnel.candidates))
    share = _percent(funnel.acceptance) if funnel.acceptance is not None else ""
    table.add_row("  accepted", f"{funnel.accepted:,}", share, style="bold")
    if funnel.unfinished:
        table.add_row("not finished", f"{funnel.unfinished:,}")
    console.print(table)
    if funnel.candidates and not funnel.accepted:
        console.print("Nothing was accepted. Why, and what to do:")
        for line in explain(funnel):
            console.print(f"  {line}", soft_wrap=True)


def print_kinds(console: Console, kinds: Sequence[recipe.KindRow]) -> None:
    """Print requested and accepted items by kind of question; nothing if the run requests no kinds."""
    if not kinds:
        return
    table = Table(title="Kinds", title_justify="left", box=None, pad_edge=False)
    for name in ("kind", "wanted", "got", "items", "seeds"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    items = sum(row.items for row in kinds)
    for row in kinds:
        got = _percent(row.items / items) if items else "-"
        table.add_row(row.kind.value, _percent(row.wanted), got, f"{row.items:,}", f"{row.seeds:,}")
    console.print(table)


def print_intrinsic(console: Console, cells: list[Cell], *, early_stop: bool) -> None:
    """Print the paper's table; shares have 95 % intervals."""
    if not cells:
        return
    table = Table(title="By target and round (cumulative)", title_justify="left", box=None, pad_edge=False)
    for name in ("target", "round", "seeds", "% correct", "% pass", "Avg@K on correct", "mean searches"):
        table.add_column(name, justify="right")
    for cell in cells:
        table.add_row(
            cell.target,
            str(cell.round),
            str(cell.seeds),
            _share(cell.correct),
            _share(cell.passed),
            "-" if cell.avg_at_k is None else f"{100 * cell.avg_at_k:.1f}",
            "-" if cell.mean_searches is None else f"{cell.mean_searches:.1f}",
        )
    console.print(table)
    console.print("Mean searches: of the correct questions' right attempts, the one with the fewest.")
    if early_stop:
        console.print(
            "With the early stop, not all attempts run: Avg@K is not shown, and mean searches may be a little high "
            "(--no-early-stop measures both).",
            soft_wrap=True,
        )


def print_spending(console: Console, spending: Spending, *, accepted: int) -> None:
    """Print tokens and cost; unknown values are printed as unknown."""
    print_ledger(console, spending)
    if accepted:
        each = f"tokens {count(spending.tokens_per_item)}, cost {dollars(spending.cost_usd_per_item)}"
        console.print(f"Per accepted item: {each}", soft_wrap=True)
    if spending.saved is not None and spending.saved.of:
        console.print(
            f"Early stop: {spending.saved.attempts:,} of {spending.saved.of:,} attempts not needed, "
            f"about {spending.saved.calls:,.0f} calls saved",
            soft_wrap=True,
        )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def _share(share: Proportion) -> str:
    if share.fraction is None or share.low is None or share.high is None:
        return "-"
    return f"{100 * share.fraction:.0f} [{100 * share.low:.0f}, {100 * share.high:.0f}]"
