"""Shows the progress of a run on standard error: a live panel on a terminal, plain lines elsewhere."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from questwell.cli import screen
from questwell.cli.numbers import UNKNOWN
from questwell.recipes.reports.status import tokens
from questwell.recipes.runs.progress import OnProgress, Progress
from questwell.text.money import dollars

_LINE_EVERY_S = 1.0
"""Minimum seconds between two plain lines about ended plays."""
_LINE_AT_LEAST_EVERY_S = 10.0


@contextmanager
def index_progress() -> Generator[OnProgress]:
    """Show the progress of a run within the context; yields the callback that takes it."""
    console = screen.err()
    if not console.is_terminal:
        yield _Lines(console)
        return
    live = Live(console=console, refresh_per_second=4, transient=True)

    def draw(progress: Progress) -> None:
        if progress.spent.calls or progress.calls_replayed:  # a model download before it has its own bar
            live.start()
            live.update(_panel(progress))

    try:
        yield draw
    finally:
        live.stop()


class _Lines:
    """Prints a line when plays end, at most one per second, and one every ten seconds while calls go on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: Progress | None = None
        self._at = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if self._told == progress:
            return
        since = time.monotonic() - self._at
        ended = self._told is None or progress.done != self._told.done
        finished = progress.done == progress.total
        asked = self._told is not None and progress.stopping != self._told.stopping
        if (ended and (since >= _LINE_EVERY_S or finished)) or asked or since >= _LINE_AT_LEAST_EVERY_S:
            self._told, self._at = progress, time.monotonic()
            self._console.print(f"{_counts(progress)}; {_pace(progress)}", soft_wrap=True)


def _panel(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 1))
    share = progress.wanted and progress.accepted / progress.wanted
    if progress.total:
        share = max(share or 0.0, progress.done / progress.total)
    table.add_row(ProgressBar(total=1.0, completed=min(share or 0.0, 1.0), width=40))
    table.add_row(Text(_counts(progress)))
    table.add_row(Text(_pace(progress), style="dim"))
    return table


def _counts(progress: Progress) -> str:
    total = "" if progress.total is None else f"/{progress.total:,}"
    wanted = "" if progress.wanted is None else f"/{progress.wanted:,}"
    reasons = sorted(progress.rejected.items(), key=lambda pair: (-pair[1], pair[0]))
    rejected = ", ".join(f"{count:,} {reason.value}" for reason, count in reasons)
    return f"seeds {progress.done:,}{total}, accepted {progress.accepted:,}{wanted}" + (
        f", rejected {rejected}" if rejected else ""
    )


def _pace(progress: Progress) -> str:
    if progress.stopping:
        return "stopping: calls in flight end and are kept; Ctrl-C again ends at once"
    used = tokens(progress.spent)
    parts = [
        f"{progress.spent.calls:,} model calls",
        f"{UNKNOWN if used is None else f'{used:,}'} tokens",
        dollars(progress.spent.cost_usd),
        f"{progress.calls_per_s:.1f} calls/s",
        f"{_duration(progress.elapsed_s)} so far",
    ]
    if progress.left_s is not None:
        parts.append(f"about {_duration(progress.left_s)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
