"""Progress of long steps on standard error: a bar on a terminal, elsewhere a plain line per tenth."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

Progress = Callable[[int, int], None]
"""Called with (done, total), in any unit; total 0 means that it is not known."""

LINES = 10
"""Number of plain lines per step."""
UNKNOWN_TOTAL_EVERY = 10_000
"""Units between two plain lines when the total is not known."""


def silent(done: int, total: int) -> None:
    """Ignore the progress."""


@contextmanager
def console_progress(
    title: str, unit: Literal["bytes", "passages"] = "bytes", console: Console | None = None
) -> Generator[Progress]:
    """Yield a `Progress` callback that shows a bar or lines while the context is open."""
    console = console or Console(stderr=True)
    if console.is_terminal:
        amount = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
        bar = Bar(*columns, console=console)
        task = bar.add_task(title, total=None)

        def move(done: int, total: int) -> None:
            bar.start()  # created on the first call, so a step with nothing to do shows nothing
            bar.update(task, completed=done, total=total or None)

        try:
            yield move
        finally:
            bar.stop()
    else:
        yield _plain_lines(title, unit, console)


def _plain_lines(title: str, unit: str, console: Console) -> Progress:
    shown = -1

    def line(done: int, total: int) -> None:
        nonlocal shown
        step = LINES * done // total if total else done // UNKNOWN_TOTAL_EVERY
        if step != shown:
            shown = step
            amount = f"{done / 1e6:.0f} MB" if unit == "bytes" else f"{done:,} {unit}"
            share = f" ({100 * done // total} %)" if total else ""
            console.print(f"{title}: {amount}{share}", highlight=False, soft_wrap=True, markup=False)

    return line
