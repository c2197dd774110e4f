"""The lines under what a run took: calls that failed and were paid for all the same, and how requests were changed."""

from collections.abc import Mapping

from rich.console import Console

from questwell.cli.numbers import money
from questwell.cli.text import one_line
from questwell.store.records import ADAPTED, FailedUsage, RunInfo


def print_failures(console: Console, failures: Mapping[str, int], failed: FailedUsage) -> None:
    """Failed calls by class of error, and what their rejected replies took; nothing where none failed."""
    if not failures:
        return
    text = ", ".join(f"{number:,} {error}" for error, number in failures.items())
    console.print(f"Failed calls (never kept as answers): {text}", soft_wrap=True)
    tokens = failed.prompt_tokens + failed.completion_tokens
    if tokens or failed.cost_usd:
        console.print(
            f"  paid for and rejected: {tokens:,} tokens, {money(failed.cost_usd)}; the totals include them",
            soft_wrap=True,
        )


def print_adapted(console: Console, info: RunInfo) -> None:
    """How requests were changed, by model and endpoint; nothing where each was taken as it was."""
    for name, changes in info.fingerprint.items():
        if name.startswith(ADAPTED):
            console.print(f"Requests {one_line(name)} are changed: {one_line(changes)}", soft_wrap=True)
