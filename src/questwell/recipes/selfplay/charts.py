"""Draws the metrics of a self-play run as one image. Needs matplotlib (extra plots)."""

from collections.abc import Sequence
from pathlib import Path

from questwell.errors import ConfigError
from questwell.recipes.selfplay.record import PANELS, StepRow


def draw(rows: Sequence[StepRow], path: Path, title: str) -> None:
    """Write the charts of `rows` to `path` atomically.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from questwell.training.charts import draw as draw_panels
    except ImportError as error:
        raise ConfigError("charts need the extra 'plots': pip install 'questwell[plots]'") from error
    known = [
        {"step": float(row.step), **{name: value for name, value in row.values.items() if value is not None}}
        for row in rows
    ]
    draw_panels({"self-play": known}, path, title, PANELS)
