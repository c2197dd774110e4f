"""What `show` and `status` print of a run: folded or in full, readable in every script, safe in every terminal."""

import json
from pathlib import Path

import typer
import view_world
from typer.testing import CliRunner

from questwell.cli import screen
from questwell.cli.app import app
from questwell.cli.text import UNSAFE
from questwell.store.reader import RunReader
from questwell.types.game import Accepted


async def test_full_shows_every_thought_and_passage(library: Path, tmp_path: Path) -> None:
    await view_world.generated(library, tmp_path / "run", steps="2..2")
    with RunReader(tmp_path / "run") as run:
        outcome = next(one for n in range(24) if isinstance(one := run.outcome(n), Accepted))
    short = CliRunner().invoke(app, ["show", str(tmp_path / "run"), outcome.seed.id]).output
    full = CliRunner().invoke(app, ["show", str(tmp_path / "run"), outcome.seed.id, "--full"]).output
    words = " ".join(full.split())
    for attempt in outcome.rounds[-1].attempts:
        for turn in attempt.trajectory.turns:
            assert " ".join(turn.text.split()) in words
            assert all(hit.passage.id in full for hit in turn.hits)
    assert "river guild" in full
    assert full.count("river guild") > short.count("river guild")
    assert "search “" in short


async def test_json_keeps_other_scripts_readable_and_terminals_safe(library: Path, tmp_path: Path) -> None:
    await view_world.hostile(library, tmp_path / "run")
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "run"), "s00006", "--json"])
    assert not UNSAFE.search(shown.output)
    assert json.loads(shown.output)["seed"]["passage"]["title"] == view_world.HOSTILE[6]


def test_other_scripts_are_printed_as_they_are() -> None:
    small = typer.Typer()

    @small.command()
    def tell() -> None:
        screen.print_json(list[str], ["橋は", "\u202e", "😀", "\x7f"])

    shown = CliRunner().invoke(small, [])
    assert "橋は" in shown.output
    assert "😀" in shown.output
    assert "\\u202e" in shown.output
    assert "\\u007f" in shown.output
    assert json.loads(shown.output) == ["橋は", "\u202e", "😀", "\x7f"]


async def test_a_run_that_nobody_writes_is_watched_once(library: Path, tmp_path: Path) -> None:
    await view_world.generated(library, tmp_path / "run")
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "run"), "--watch"])
    assert "seeds 24/24" in shown.output
    assert "per accepted item, complete" in shown.output
    assert "Nobody writes the run now" in shown.output
