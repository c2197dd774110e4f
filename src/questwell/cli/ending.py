"""What is said at the end of a run that is not complete, and the exit code of each ending."""

from rich.console import Console

from questwell.cli.codes import ExitCode
from questwell.cli.text import one_line
from questwell.recipes.runs.ending import Ending

CODES = {
    Ending.COMPLETE: ExitCode.OK,
    Ending.ERRORED: ExitCode.PARTIAL,
    Ending.LIMIT: ExitCode.PARTIAL,
    Ending.STOPPED: ExitCode.PARTIAL,
    Ending.BUDGET: ExitCode.BUDGET,
    Ending.FAILING: ExitCode.PARTIAL,
    Ending.ALARM: ExitCode.ERROR,
}


def print_unfinished(console: Console, ending: Ending, message: str, go_on: str) -> None:
    """Why a run is not complete, and the command that goes on; nothing when it is."""
    if ending is Ending.COMPLETE:
        return
    more = " with a higher limit" if ending is Ending.BUDGET else ""
    console.print(f"Not complete: {one_line(message, 400)}.", soft_wrap=True)
    console.print(f"Go on{more}: questwell {go_on}", soft_wrap=True)
