"""Prints a forecast of the yield and cost of the rest of a run."""

from collections.abc import Callable

from rich.console import Console

from questwell.recipes.generate.forecast import Forecast, Range
from questwell.text.money import dollars


def print_forecast(console: Console, found: Forecast | None, takes: Range | None = None) -> None:
    """Print the forecast; `takes` is its duration in hours, if this invocation has measured how long plays take."""
    if found is None:
        console.print("Forecast: not enough seeds have been played yet; at least 5 are needed, 20 are better.")
        return
    console.print(f"Forecast for the rest, from {found.played:,} seeds ({found.accepted:,} accepted):", soft_wrap=True)
    rows: list[tuple[str, Range | None, Callable[[float], str]]] = [
        ("seeds", found.seeds, _whole),
        ("items", found.items, _whole),
        ("tokens", found.tokens, _whole),
        ("cost", found.cost_usd, dollars),
        ("model calls", found.calls, _whole),
    ]
    if takes is not None:
        rows.append(("hours", takes, _hours))
    for name, figure, write in rows:
        console.print(f"  {name:<12} {_written(figure, write)}", soft_wrap=True)
    for row in found.by_target:
        target = "any" if row.target is None else str(row.target)
        share = f"{100 * row.low:.0f} to {100 * row.high:.0f} %"
        console.print(f"  target {target:<5} {row.accepted:,} of {row.played:,} accepted ({share})", soft_wrap=True)


def _written(figure: Range | None, write: Callable[[float], str]) -> str:
    if figure is None:
        return "unknown"
    return f"{write(figure.expected)} ({write(figure.low)} to {write(figure.high)})"


def _whole(number: float) -> str:
    return f"{number:,.0f}"


def _hours(hours: float) -> str:
    return f"{hours:.2g}"
