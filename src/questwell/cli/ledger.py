"""Prints the usage of a run: calls, failed calls that were paid for, and changes to requests."""

from collections.abc import Mapping, Sequence

from rich.console import Console

from questwell.cli.numbers import count
from questwell.cli.text import one_line
from questwell.recipes.reports.ledger import Ledger
from questwell.recipes.reports.status import tokens
from questwell.store.records import FailedUsage
from questwell.text.money import dollars


def print_ledger(console: Console, ledger: Ledger) -> None:
    """Print tokens and cost: in total, by role, and of failed calls. Unknown values are printed as unknown."""
    total = ledger.total
    console.print(
        f"Model calls {total.calls:,}, searches {ledger.searches:,}, tokens {count(tokens(total))}, "
        f"cost {dollars(total.cost_usd)}",
        soft_wrap=True,
    )
    for row in ledger.by_role:
        console.print(
            f"  {row.role} ({one_line(row.model)}): {row.usage.calls:,} calls, "
            f"tokens {count(row.usage.prompt_tokens)} in, {count(row.usage.completion_tokens)} out, "
            f"cost {dollars(row.usage.cost_usd)}",
            soft_wrap=True,
        )
    if ledger.searches_cost_usd != 0:
        console.print(f"  searches: {ledger.searches:,}, cost {dollars(ledger.searches_cost_usd)}")
    print_failures(console, ledger.failures, ledger.failed)
    print_adapted(console, ledger.adapted)


def print_failures(console: Console, failures: Mapping[str, int], failed: FailedUsage) -> None:
    """Print failed calls by error class, and the usage of their rejected replies; nothing if none failed."""
    if not failures:
        return
    text = ", ".join(f"{number:,} {error}" for error, number in failures.items())
    console.print(f"Failed calls (never used as answers): {text}", soft_wrap=True)
    tokens = failed.prompt_tokens + failed.completion_tokens
    if tokens or failed.cost_usd:
        console.print(
            f"  paid for and rejected: {tokens:,} tokens, {dollars(failed.cost_usd)}; the totals include them",
            soft_wrap=True,
        )


def print_adapted(console: Console, adapted: Mapping[str, Sequence[str]]) -> None:
    """Print how requests were changed, by model and endpoint; nothing if none was changed."""
    for place, changes in adapted.items():
        said = one_line("; ".join(changes))
        console.print(f"Requests adapted for {one_line(place)} are changed: {said}", soft_wrap=True)
