"""Curves of training count steps whole, on the page and in the picture."""

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from questwell.recipes.reports.training import training_run
from questwell.training.charts import draw

ROWS = [{"step": float(step), "reward": 0.1 * step} for step in (1, 2, 3)]


def test_the_page_names_whole_steps(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("".join(f'{{"step": {row["step"]}, "reward": 0.5}}\n' for row in ROWS))
    (chart,) = (one for one in training_run(tmp_path).charts if "Reward" in one.svg)
    assert re.findall(r'text-anchor="middle">([\d.]+)</text>', chart.svg) == ["1", "2", "3"]


def test_the_picture_names_whole_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []

    def keep(figure: Figure, path: Path, **_: object) -> None:
        drawn.append(figure)
        path.touch()

    monkeypatch.setattr(Figure, "savefig", keep)
    draw({"a": ROWS}, tmp_path / "charts.png", "t")
    assert all(tick == round(tick) for tick in drawn[0].axes[0].get_xticks())
