"""The picture of `peers.py`: three panels with a row per peer and a bar per number of calls in flight."""

# matplotlib is typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

COLOURS = ("#9ecae1", "#4292c6", "#08306b")
_PANELS = (
    ("steady_share_of_ideal", "Share of the ideal rate in percent, steady state", 100.0, "{:.0f}"),
    ("cpu_ms_per_call", "CPU time per call in ms", 1.0, "{:.2f}"),
    ("peak_memory_mb", "Peak memory in MB", 1.0, "{:.0f}"),
)
"""(field, title, factor, form of a value)"""
_WHOLE = 100.0
"""Percent: the axis of a share reaches at least this far."""


def picture(report: Mapping[str, Any], path: Path) -> None:
    """Draw the results of a report of `peers.py`."""
    rows: Sequence[Mapping[str, Any]] = report["results"]
    names = list(dict.fromkeys(row["peer"] for row in rows))
    levels = sorted({row["in_flight"] for row in rows})
    figure, panels = plt.subplots(1, 3, figsize=(15, 1.2 + 0.75 * len(names)), sharey=True, layout="constrained")
    for axes, panel in zip(panels, _PANELS, strict=True):
        _draw(axes, rows, names, levels, panel)
    titles = [f"{report['peers'][name]['title']} {report['peers'][name]['version']}".strip() for name in names]
    panels[0].set_yticks(range(len(names)), titles)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(levels), frameon=False)
    machine = report["machine"]
    figure.suptitle(
        f"One call per prompt against an endpoint of {report['latency_s']:.0f} s; {machine['cores']} cores shared with "
        f"it, load before {machine['load_before']}",
        fontsize="medium",
    )
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _draw(
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    levels: Sequence[int],
    panel: tuple[str, str, float, str],
) -> None:
    field, title, factor, form = panel
    height = 0.8 / len(levels)
    most = max((row[field] or 0.0) * factor for row in rows) or 1.0
    most = max(most, _WHOLE) if field.endswith("ideal") else most
    for at, level in enumerate(levels):
        values = [_value(rows, name, level, field) for name in names]
        places = [place + (at - (len(levels) - 1) / 2) * height for place in range(len(names))]
        colour = COLOURS[at % len(COLOURS)]
        widths = [(value or 0.0) * factor for value in values]
        axes.barh(places, widths, height * 0.92, color=colour, label=f"{level:,} calls in flight")
        for place, value, width in zip(places, values, widths, strict=True):
            said = form.format(width) if value is not None else "stopped"
            axes.text(width + most * 0.01, place, said, va="center", fontsize="x-small")
    axes.set_title(title, fontsize="medium")
    axes.set_xlim(0, most * 1.15)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _value(rows: Sequence[Mapping[str, Any]], name: str, level: int, field: str) -> float | None:
    return next((row[field] for row in rows if (row["peer"], row["in_flight"]) == (name, level)), None)
