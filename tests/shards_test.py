"""Shards: the seeds of one run, played apart and joined, are what one process would have made, row by row."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import world
from typer.testing import CliRunner
from world import rows

import questwell
from questwell.cli.app import app
from questwell.errors import ConfigChanged, ConfigError, RunLocked, StoreError
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.dataset.export import read_items
from questwell.recipes.generate import gates
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.generate.merge import merge
from questwell.recipes.reports.status import status
from questwell.recipes.runs import processes
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.parts import divided
from questwell.recipes.runs.processes import folders
from questwell.store.reader import RunReader
from questwell.types.game import Reason

PARTS = 3


def play(library: Path, run: Path, *, limit: int | None = None, resume: bool = False, **given: object) -> Ending:
    config = configure(run, {} if resume else world.values(library, **given), resume=resume)
    played = generate(config, run, world.setup(config, ScriptedLLM(world.play)), Caller(limit=limit, resume=resume))
    return asyncio.run(played).ending


@pytest.fixture
def parts(library: Path, tmp_path: Path) -> list[Path]:
    """All shards of a run of 25 seeds, played in this process."""
    runs = [tmp_path / f"part{part}" for part in range(PARTS)]
    for part, run in enumerate(runs):
        assert play(library, run, seeds=25, shard=f"{part}/{PARTS}") is Ending.COMPLETE
    return runs


@pytest.mark.parametrize(("of", "seeds", "twice"), [(3, 25, 2), (4, 100, 12)])
def test_joined_shards_equal_one_run_row_by_row(library: Path, tmp_path: Path, of: int, seeds: int, twice: int) -> None:
    parts = [tmp_path / f"part{part}" for part in range(of)]
    for part, run in enumerate(parts):
        assert play(library, run, seeds=seeds, shard=f"{part}/{of}") is Ending.COMPLETE
    assert play(library, tmp_path / "one", seeds=seeds) is Ending.COMPLETE
    assert merge(tmp_path / "joined", [*parts[2:], *parts[:2]]) == seeds
    assert rows(tmp_path / "joined") == rows(tmp_path / "one")
    funnel = status(tmp_path / "joined").funnel
    assert funnel == status(tmp_path / "one").funnel
    alone = [status(part).funnel.rejected.get(Reason.DUPLICATE, 0) for part in parts]
    assert (
        funnel.rejected[Reason.DUPLICATE] == twice > sum(alone)
    )  # of seeds in different shards: none of them could know


def test_a_joined_run_goes_on_like_any_other(library: Path, tmp_path: Path, parts: list[Path]) -> None:
    joined = tmp_path / "joined"
    merge(joined, parts)
    config = configure(joined, {"seeds": 31}, resume=True)
    assert config.shard is None
    report = asyncio.run(generate(config, joined, world.setup(config), Caller(resume=True)))
    assert report.ending is Ending.COMPLETE
    play(library, tmp_path / "one", seeds=31)
    assert rows(joined) == rows(tmp_path / "one")


def test_a_shard_counts_its_own_seeds(library: Path, tmp_path: Path, parts: list[Path]) -> None:
    with RunReader(parts[1]) as run:
        assert [play.index for play in run.plays()] == list(range(1, 25, PARTS))
    config = configure(parts[1], {"seeds": 26}, resume=True)  # the 26th seed is part 1's
    again = asyncio.run(generate(config, parts[1], world.setup(config), Caller(resume=True)))
    assert again.progress.total == again.progress.done == 9
    with pytest.raises(ConfigError, match="9 have been drawn already"):
        configure_and_play = configure(parts[1], {"seeds": 3}, resume=True)
        asyncio.run(generate(configure_and_play, parts[1], world.setup(configure_and_play), Caller(resume=True)))


def test_what_is_no_whole_is_refused(library: Path, tmp_path: Path, parts: list[Path]) -> None:
    out = tmp_path / "joined"
    with pytest.raises(ConfigError, match="missing: 1/3"):
        merge(out, [parts[0], parts[2]])
    with pytest.raises(ConfigError, match="the same shard, 0/3"):
        merge(out, [*parts, parts[0]])
    play(library, tmp_path / "half", seeds=25, shard="1/2")
    with pytest.raises(ConfigError, match="a part of 2"):
        merge(out, [parts[0], tmp_path / "half"])
    play(library, tmp_path / "whole", seeds=25)
    with pytest.raises(ConfigError, match="--shard"):
        merge(out, [*parts, tmp_path / "whole"])
    play(library, tmp_path / "other", seeds=25, shard="1/3", seed=5)
    with pytest.raises(ConfigChanged, match="seed"):
        merge(out, [parts[0], tmp_path / "other", parts[2]])
    with pytest.raises(StoreError, match="no run"):
        merge(out, [*parts, tmp_path / "nowhere"])
    with pytest.raises(ConfigError, match="--shards"):
        merge(parts[0], [])
    assert not out.exists()


def test_a_shard_that_has_not_drawn_all_its_seeds_is_refused(library: Path, tmp_path: Path) -> None:
    runs = [tmp_path / f"part{part}" for part in range(2)]
    play(library, runs[0], seeds=10, shard="0/2")
    play(library, runs[1], seeds=4, shard="1/2")  # a lower number, which may be raised later
    with pytest.raises(StoreError, match=r"part1.* drawn only 2 seeds"):
        merge(tmp_path / "joined", runs)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shard": "3/3", "seeds": 5}, "PART/PARTS"),
        ({"shard": "1", "seeds": 5}, "PART/PARTS"),
        ({"shard": "0/2", "items": 5}, "--items"),
        ({"shards": 2, "items": 5}, "--items"),
        ({"shards": 2, "seeds": 5, "mix": "2-3:1,4-5:1"}, "--mix"),
        ({"shard": "0/2", "seeds": 5, "mix": "2-3:1,4-5:1"}, "--mix"),
        ({"shards": 2, "seeds": 5, "kinds": "bridge", "style": "free"}, "--kinds"),
        ({"shards": 2, "seeds": 5, "near_duplicates": "refuse"}, "--near-duplicates"),
        ({"shard": "0/2", "shards": 2, "seeds": 5}, "one of them"),
    ],
)
def test_what_cannot_be_divided_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve(Config, {"corpus": "islands", **given})


def test_a_part_does_not_become_steered_later(library: Path, parts: list[Path]) -> None:
    for given in ({"items": 5}, {"mix": "2-3:1,4-5:1"}):
        with pytest.raises(ConfigError, match="decides the next seeds by what all seeds gave"):
            configure(parts[0], given, resume=True)


def test_gates_over_a_joined_run_are_those_over_the_run_of_one_process(
    library: Path, tmp_path: Path, parts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = ScriptedLLM(world.play)
    monkeypatch.setattr(gates, "open_setup", lambda config, progress=None: world.setup(config, scripted))
    play(library, tmp_path / "one", seeds=25)
    merge(tmp_path / "joined", parts)

    def check(run: Path) -> gates.GatesReport:
        config = gates.configure(run / "gates", {"of": run, "gates": "closed-book,evidence,shortcut,unique"})
        return gates.check_run(config, run / "gates")

    one, joined = check(tmp_path / "one"), check(tmp_path / "joined")
    assert joined.questions == joined.of > 5 and joined.stopped > 0
    assert (joined.checked, joined.gates) == (one.checked, one.gates)
    asked = len(scripted.requests)
    assert check(tmp_path / "joined") == joined and len(scripted.requests) == asked
    by_part = {one.id: one for part in parts for one in check(part).checked}
    assert all(by_part[one.id] == one for one in joined.checked)


def test_limits_are_divided() -> None:
    config = resolve(
        Config, {"corpus": "islands", "seeds": 5, "shards": 4, "max_cost": 2, "max_tokens": 10, "concurrency": 6}
    )
    found = list(divided(config, config.plays_at_once))
    assert [one.shard for one in found] == ["0/4", "1/4", "2/4", "3/4"]
    assert {(one.shards, one.max_cost, one.max_tokens, one.concurrency) for one in found} == {(None, 0.5, 2, 2)}


GENERATE = ["generate", "--corpus", "islands", "--llm", "mock", "-n", "12", "--steps", "2"]


@pytest.mark.timeout(240)
def test_processes_make_what_one_process_makes_and_the_command_goes_on(tmp_path: Path) -> None:
    apart, one = tmp_path / "apart", tmp_path / "one"
    stopped = CliRunner().invoke(app, [*GENERATE, "--shards", "2", "--limit", "5", "--out", str(apart), "--json"])
    assert stopped.exit_code == 3
    told = json.loads(stopped.stdout)
    assert told["ended"]["ending"] == "limit" and told["funnel"]["candidates"] == 5
    assert told["ended"]["go_on"].split()[:2] == ["questwell", "resume"]
    assert CliRunner().invoke(app, ["resume", str(apart)]).exit_code == 0
    assert CliRunner().invoke(app, [*GENERATE, "--out", str(one)]).exit_code == 0
    assert rows(apart) == rows(one)
    assert [shard.name for shard in folders(apart)] == ["000", "001"]
    exported = tmp_path / "items.jsonl"
    assert CliRunner().invoke(app, ["export", str(apart), "--out", str(exported)]).exit_code == 0
    assert len(read_items(exported)) == 12


@pytest.mark.timeout(240)
async def test_python_plays_in_processes_too_and_lends_them_no_objects(tmp_path: Path) -> None:
    given = {"corpus": "islands", "seeds": 4, "steps": "2", "shards": 2}
    made = await questwell.generate_async(llm="mock", out=tmp_path / "run", **given)
    assert made.report is not None and made.report.ending is Ending.COMPLETE
    assert [shard.name for shard in folders(tmp_path / "run")] == ["000", "001"]
    assert len(made.items()) == 4
    with pytest.raises(ConfigError, match="other processes"):
        await questwell.generate_async(llm=ScriptedLLM(world.play), out=tmp_path / "other", **given)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_killed_shard_is_started_again_and_a_killed_parent_takes_its_shards_along(
    library: Path, tmp_path: Path
) -> None:
    apart, one = tmp_path / "apart", tmp_path / "one"
    given = [
        "--corpus",
        str(library / "bridges.jsonl"),
        "--seed-words",
        "0",
        "--llm",
        "mock",
        "-n",
        "100",
        "--steps",
        "2",
    ]
    command = [sys.executable, "-m", "questwell", "generate", *given, "--out"]
    parent = subprocess.Popen([*command, str(apart), "--shards", "2"], stderr=subprocess.DEVNULL)
    files = [apart / "shards" / name / "run.sqlite" for name in ("000", "001")]
    _until(lambda: all(_calls(file) > 20 for file in files))
    children = [int(pid) for pid in _children(parent.pid)]
    os.kill(children[-1], signal.SIGKILL)
    _until(lambda: set(_children(parent.pid)) - set(map(str, children)))  # a new one in its place
    parent.kill()
    parent.wait()
    _until(lambda: not any(_alive(child) for child in children))
    paid = sum(map(_calls, files))
    assert subprocess.run([*command, str(apart), "--shards", "2", "--resume"], check=False).returncode == 0
    assert sum(map(_calls, files)) > paid
    subprocess.run([*command, str(one)], check=True)
    assert rows(apart) == rows(one)


def _until(true: object, seconds: float = 90.0) -> None:
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def _calls(file: Path) -> int:
    try:
        with sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM calls").fetchone()[0]
    except sqlite3.Error:
        return 0


def _children(pid: int) -> list[str]:
    """The processes that play, oldest first, without multiprocessing's helper."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for child in found if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_benchmark_of_shards_and_kills_in_small(tmp_path: Path) -> None:
    script = Path(__file__).parent.parent / "benchmarks" / "shards.py"
    small = ["--seeds", "100", "--shards", "4", "--kills", "5", "--kill-seeds", "40", "--kill-shards", "2"]
    out = tmp_path / "shards.json"
    assert subprocess.run([sys.executable, str(script), *small, "--out", str(out)], check=False).returncode == 0
    found = json.loads(out.read_text())
    assert found["equality"]["rows_compared"] > 2_500 and found["equality"]["different"] == 0
    assert found["kills"]["killed"] == {"parents": 1, "shards": 4} and found["kills"]["same_accepted_set"]


def test_a_shard_waits_for_the_one_that_a_killed_parent_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def play_once_free() -> Report:
        told.append("tried")
        if len(told) < 3:
            raise RunLocked("being written")
        return Report(Ending.COMPLETE)

    monkeypatch.setattr(processes, "_WAIT_S", 0.0)
    assert processes._once_unlocked(play_once_free) == Report(Ending.COMPLETE)
    assert len(told) == 3
    monkeypatch.setattr(processes, "_LOCKED_S", 0.0)
    told.clear()
    with pytest.raises(RunLocked):
        processes._once_unlocked(play_once_free)
