"""Fixtures of what crosses layers: a small corpus, and the whole game played by a script."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import world

WARM_START = (100, 20, 10)
"""Steps of the warm starts: enough for some valid questions and some right answers."""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with corpus, index and prompts of the scripted world."""
    folder = tmp_path_factory.mktemp("world")
    world.build(folder)
    return folder


@pytest.fixture
def blank_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings draw no charts."""
    from blank_charts import blank

    monkeypatch.setattr("questwell.training.charts.draw", blank)


@pytest.fixture
def drawn_charts(blank_charts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """They do, in a file where others do not."""
    from blank_charts import drawn

    monkeypatch.setattr("questwell.training.charts.draw", drawn)


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy policy of self-play after a short warm start, in a folder."""
    import torch

    from questwell.agents.prompts import Prompts
    from questwell.recipes.selfplay import toy
    from questwell.toy.world import PROMPTS

    torch.set_num_threads(1)  # a model this small is no faster on two, and much slower where others use the cores
    folder = tmp_path_factory.mktemp("started") / "start"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy, "_DEMONSTRATIONS", {"solver": {2: 150}, "proposer": {2: 150}, "reader": {}})
        toy.make_start(0, Prompts(PROMPTS), WARM_START, rounds=1).save(folder)
    return folder
