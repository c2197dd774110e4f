"""Draws the metrics of runs as one picture."""

# matplotlib is only partly typed; this file exports nothing untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from questwell.text.whole import whole
from questwell.training.metrics import PANELS, Metrics, Panel, series

_COLUMNS = 4


def draw(runs: Mapping[str, Sequence[Metrics]], path: Path, title: str, panels: Sequence[Panel] = PANELS) -> None:
    """Write a picture of the metrics of one or more runs to `path`, atomically.

    `runs` maps a run's name to its metrics. Legends are below their panels. A metric that no run has gets no panel.
    """
    shown = [
        panel for panel in panels if any(name in row for rows in runs.values() for row in rows for name in panel.names)
    ]
    shown = shown or list(panels[:1])
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(3.5 * columns, 3.2 * rows), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, panel in zip(grid, shown, strict=False):
        for run, steps in runs.items():
            for name in panel.names:
                at, values = series(steps, name)
                if at:
                    parts = ([run] if len(runs) > 1 else []) + (
                        [name.replace("_", " ")] if len(panel.names) > 1 else []
                    )
                    axes.plot(at, values, label=", ".join(parts), linewidth=1, marker="." if len(at) < 30 else None)
        axes.set_title(panel.title)
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel(panel.unit)
        if len(panel.names) > 1 and len(runs) == 1:
            axes.legend(fontsize="small", frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    if len(runs) > 1:
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(runs))
    figure.suptitle(title)
    with whole(path, keep_suffix=True) as fresh:
        figure.savefig(fresh, dpi=80)
