"""A run's metrics as one picture."""

# matplotlib is typed in part only; nothing comes out of this file.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from questwell.training.metrics import Metrics, series

PANELS = ("reward", "accuracy", "finished", "searches", "kl", "entropy", "model_tokens", "explained_variance")


def draw(runs: Mapping[str, Sequence[Metrics]], path: Path, title: str, panels: Sequence[str] = PANELS) -> None:
    """Write the picture of one or more runs, by name; it appears whole or not at all."""
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.5 * columns, 3 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes, panel in zip(grid, panels, strict=False):
        for name, steps in runs.items():
            at, values = series(steps, panel)
            if at:
                axes.plot(at, values, label=name, linewidth=1)
        axes.set_title(panel)
        axes.set_xlabel("step")
    if len(runs) > 1:
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(runs))
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.png")
    figure.savefig(fresh, dpi=80)
    fresh.replace(path)
