"""Fixtures of what crosses layers: a small corpus, and the whole game played by a script."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import world


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with corpus, index and prompts of the scripted world."""
    folder = tmp_path_factory.mktemp("world")
    world.build(folder)
    return folder
