"""Hardening in parts: the questions of one source, played apart and joined, are what one process would make."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from world import rows

from questwell.cli.app import app
from questwell.errors import ConfigError
from questwell.recipes.generate import loop as generating
from questwell.recipes.harden.config import HardenConfig
from questwell.recipes.harden.loop import configure, run
from questwell.recipes.harden.shards import merge
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending
from questwell.recipes.runs.processes import folders

ISLANDS = {"corpus": "islands", "llm": "mock"}


@pytest.fixture(scope="module")
def easy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with items that need two searches."""
    folder = tmp_path_factory.mktemp("easy") / "run"
    values = {**ISLANDS, "index": folder.parent / "index", "seeds": 7, "steps": "2", "early_stop": False}
    generating.run(generating.configure(folder, values, resume=False), folder)
    return folder


def harden(easy: Path, out: Path, limit: int | None = None, **given: object) -> Ending:
    values = {**ISLANDS, "index": easy.parent / "index", "source": str(easy), "steps": 4, **given}
    return run(configure(out, values, resume=out.exists()), out, Caller(limit=limit, resume=out.exists())).ending


def test_joined_parts_equal_one_run_row_by_row_and_go_on(easy: Path, tmp_path: Path) -> None:
    parts = [tmp_path / f"part{part}" for part in range(2)]
    for part, out in enumerate(parts):
        assert harden(easy, out, seeds=5, shard=f"{part}/2") is Ending.COMPLETE
    assert harden(easy, tmp_path / "one", seeds=5) is Ending.COMPLETE
    assert merge(tmp_path / "joined", parts[::-1]) == 5
    assert rows(tmp_path / "joined") == rows(tmp_path / "one")
    for folder in (tmp_path / "joined", tmp_path / "one"):
        config = configure(folder, {"seeds": 6}, resume=True)
        assert config.shard is None and run(config, folder, Caller(resume=True)).ending is Ending.COMPLETE
    assert rows(tmp_path / "joined") == rows(tmp_path / "one")


def test_what_is_no_whole_is_refused(easy: Path, tmp_path: Path) -> None:
    part = tmp_path / "part0"
    assert harden(easy, part, seeds=5, shard="0/2") is Ending.COMPLETE
    with pytest.raises(ConfigError, match="missing: 1/2"):
        merge(tmp_path / "joined", [part])
    with pytest.raises(ConfigError, match="3 questions have been taken"):
        configured = configure(part, {"seeds": 3}, resume=True)
        run(configured, part, Caller(resume=True))
    with pytest.raises(ConfigError, match="one of them"):
        resolve(HardenConfig, {**ISLANDS, "source": "q.jsonl", "shard": "0/2", "shards": 2})
    with pytest.raises(ConfigError, match="PART/PARTS"):
        resolve(HardenConfig, {**ISLANDS, "source": "q.jsonl", "shard": "2/2"})


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_processes_make_what_one_process_makes_and_the_command_goes_on(easy: Path, tmp_path: Path) -> None:
    def call(*words: object) -> Result:
        return CliRunner().invoke(app, list(map(str, words)))

    apart, given = tmp_path / "apart", ["--corpus", "islands", "--llm", "mock", "--index", easy.parent / "index"]
    few = call("harden", easy, *given, "--steps", 4, "--shards", 2, "--limit", 3, "--out", apart)
    assert few.exit_code == 3, few.output
    assert call("resume", apart).exit_code == 0
    assert call("harden", easy, *given, "--steps", 4, "--out", tmp_path / "one").exit_code == 0
    assert rows(apart) == rows(tmp_path / "one")
    assert [shard.name for shard in folders(apart)] == ["000", "001"]
    assert call("merge", apart).exit_code == 0
