"""A recheck in parts: the questions of one file, tried apart and joined, are what one process would find."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from world import rows

from questwell.cli.app import app
from questwell.errors import ConfigError
from questwell.recipes.generate import loop as generating
from questwell.recipes.generate.recheck import RecheckReport, configure, merge, run
from questwell.recipes.reports.items import items
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Ending
from questwell.recipes.runs.processes import folders
from questwell.text.whole import write_whole

ISLANDS = {"corpus": "islands", "llm": "mock"}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of questions; one stands in it twice."""
    import json

    folder = tmp_path_factory.mktemp("asked")
    values = {**ISLANDS, "index": folder / "index", "seeds": 6, "steps": "2"}
    generating.run(generating.configure(folder / "run", values, resume=False), folder / "run")
    found = [{"question": one.question, "answer": one.answer, "target": 2} for one in items(folder / "run")]
    assert len(found) > 3
    write_whole(folder / "asked.jsonl", "".join(f"{json.dumps(row)}\n" for row in [*found, found[0]]))
    return folder / "asked.jsonl"


def recheck(asked: Path, out: Path, limit: int | None = None, **given: object) -> RecheckReport:
    values = {**ISLANDS, "index": asked.parent / "index", "source": str(asked), "attempts": 2, **given}
    return run(configure(out, values), out, Caller(limit=limit))


def test_joined_parts_equal_one_recheck_row_by_row(asked: Path, tmp_path: Path) -> None:
    parts = [tmp_path / f"part{part}" for part in range(2)]
    found = [recheck(asked, out, shard=f"{part}/2") for part, out in enumerate(parts)]
    whole = recheck(asked, tmp_path / "one")
    assert [one.ending for one in (*found, whole)] == [Ending.COMPLETE] * 3
    assert (sum(one.tried for one in found), sum(one.accepted for one in found)) == (whole.tried, whole.accepted)
    assert whole.tried == len(asked.read_text().splitlines()) and whole.accepted > 2
    assert merge(tmp_path / "joined", parts[::-1]) == whole.tried
    assert rows(tmp_path / "joined") == rows(tmp_path / "one")
    config = configure(tmp_path / "joined", {}, resume=True)
    again = run(config, tmp_path / "joined")
    assert config.shard is None and (again.tried, again.accepted, again.left) == (whole.tried, whole.accepted, 0)
    with pytest.raises(ConfigError, match="missing: 1/2"):
        merge(tmp_path / "half", parts[:1])


def test_a_part_needs_a_folder_of_its_own(asked: Path) -> None:
    refused = CliRunner().invoke(app, ["recheck", str(asked), "--corpus", "islands", "--llm", "mock", "--shard", "0/2"])
    assert refused.exit_code == 2 and "--out" in refused.output


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_processes_find_what_one_process_finds_and_the_command_goes_on(asked: Path, tmp_path: Path) -> None:
    def call(*words: object) -> Result:
        return CliRunner().invoke(app, list(map(str, words)))

    apart, given = tmp_path / "apart", ["--corpus", "islands", "--llm", "mock", "--index", asked.parent / "index"]
    few = call("recheck", asked, *given, "--shards", 2, "--limit", 3, "--out", apart)
    assert few.exit_code == 3 and "Tried 3" in few.output, few.output
    assert call("resume", apart).exit_code == 0
    assert call("recheck", asked, *given, "--out", tmp_path / "one").exit_code == 0
    assert rows(apart) == rows(tmp_path / "one")
    assert [shard.name for shard in folders(apart)] == ["000", "001"]
    assert call("merge", apart).exit_code == 0
