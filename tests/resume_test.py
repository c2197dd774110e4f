"""`questwell resume RUN` goes on with a run of any verb."""

from pathlib import Path

import pytest
from opening_test import GIVEN, KINDS, begin
from typer.testing import CliRunner

from questwell.cli import app as command
from questwell.cli.kinds import PAGES
from questwell.cli.resume import arguments
from questwell.cli.verbs import load
from questwell.recipes.runs.config import RecipeConfig
from questwell.recipes.runs.opening import Kind, Run, configure


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_its_command_is_that_of_the_runs_verb(kind: Kind[RecipeConfig], tmp_path: Path) -> None:
    run = tmp_path / "my run"
    await begin(kind, run)
    assert arguments(run, ["--max-cost", "3"]) == [kind.name, "--resume", "--out", str(run), "--max-cost", "3"]
    assert PAGES[kind.name].resumes
    assert {"resume", "out"} <= {option.name for option in load(kind.name).params}
    with Run(kind, configure(kind, run, {}, resume=True), run, resume=True) as opened:
        assert opened.go_on == f"questwell resume '{run}'"
    assert kind.name in GIVEN


def test_where_there_is_no_run_it_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(command.app, ["resume", str(tmp_path)])
    assert result.exit_code == 1
    assert "there is no run in" in result.output
