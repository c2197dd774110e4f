"""Message at the end of an incomplete run, and the exit code of each ending."""

from rich.console import Console

from questwell.cli.codes import ExitCode
from questwell.cli.text import one_line
from questwell.recipes.runs.ending import Ending, Report

CODES = {
    Ending.COMPLETE: ExitCode.OK,
    Ending.ERRORED: ExitCode.PARTIAL,
    Ending.LIMIT: ExitCode.PARTIAL,
    Ending.STOPPED: ExitCode.PARTIAL,
    Ending.BUDGET: ExitCode.BUDGET,
    Ending.FAILING: ExitCode.PARTIAL,
    Ending.EXHAUSTED: ExitCode.PARTIAL,
    Ending.ALARM: ExitCode.ERROR,
}


def print_unfinished(console: Console, report: Report) -> None:
    """Print why a run is not complete and the command that continues it; print nothing if it is complete."""
    if report.ending is Ending.COMPLETE:
        return
    console.print(f"Not complete: {one_line(report.message, 400)}.", soft_wrap=True)
    if report.go_on:
        more = " with a higher limit" if report.ending is Ending.BUDGET else ""
        console.print(f"Go on{more}: {report.go_on}", soft_wrap=True)
