"""Gates and rejudgings in parts: the questions of one run, checked apart and joined, give what one process finds."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest
import world
from killing import Model, model_was_asked, wait_for
from typer.testing import CliRunner, Result

from questwell.cli.app import app
from questwell.errors import ConfigChanged, ConfigError
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate import gates
from questwell.recipes.generate.gates_config import GatesConfig
from questwell.recipes.generate.gates_results import RESULTS
from questwell.recipes.generate.loop import generate
from questwell.recipes.rejudge import loop as rejudge
from questwell.recipes.rejudge.config import RejudgeConfig
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.parts import divided
from questwell.recipes.runs.processes import folders
from questwell.store.reader import RunReader

PARTS = 3
GATES = "closed-book,evidence,unique"
CALLS = (
    "SELECT seed, round, role, attempt, turn, digest, kind, model, prompt_tokens, completion_tokens, cost_usd, base, "
    "json_remove(response, '$.latency_s'), request FROM calls ORDER BY seed, round, role, attempt, turn, digest"
)


@pytest.fixture
async def run(library: Path, tmp_path: Path) -> Path:
    """A run without gates."""
    folder = tmp_path / "run"
    config = world.config(library, seeds=40)
    await generate(config, folder, world.setup(config))
    return folder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def kept(out: Path) -> tuple[bytes, list[object]]:
    """The results, and all calls."""
    with RunReader(out) as reader:
        return (out / RESULTS).read_bytes(), list(reader.rows(CALLS))


def check(run: Path, out: Path, **given: object) -> gates.GatesReport:
    return gates.check_run(gates.configure(out, {"of": run, "gates": GATES, "rejected": True, **given}), out)


def judge(run: Path, out: Path, **given: object) -> rejudge.RejudgeReport:
    values = {"of": run, "judge": "exact_match", "rejected": True, **given}
    return rejudge.rejudge(rejudge.configure(out, values), out, Caller(on_progress=lambda done, of: None))


def test_parts_of_a_check_are_joined_into_what_one_process_finds(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = ScriptedLLM(world.play)
    monkeypatch.setattr(gates, "open_setup", lambda config, progress=None: world.setup(config, llm))
    parts = [tmp_path / f"part{part}" for part in range(PARTS)]
    found = [check(run, out, shard=f"{part}/{PARTS}") for part, out in enumerate(parts)]
    whole = check(run, tmp_path / "one")
    assert sum(one.of for one in found) == whole.of == len(whole.checked) > 15 and all(one.of for one in found)
    assert sum(one.stopped for one in found) == whole.stopped > 0
    assert gates.merge(tmp_path / "joined", [parts[2], *parts[:2]]) == whole.of
    assert kept(tmp_path / "joined") == kept(tmp_path / "one")
    asked = len(llm.requests)
    joined = check(run, tmp_path / "joined")
    assert joined == whole and len(llm.requests) == asked  # it goes on as a whole, and pays for nothing
    shown = call("show", tmp_path / "joined", "--json")
    assert json.loads(shown.stdout) == json.loads(call("show", tmp_path / "one", "--json").stdout)


def test_parts_of_a_rejudging_are_joined_into_what_one_process_finds(run: Path, tmp_path: Path) -> None:
    parts = [tmp_path / f"part{part}" for part in range(PARTS)]
    found = [judge(run, out, shard=f"{part}/{PARTS}") for part, out in enumerate(parts)]
    whole = judge(run, tmp_path / "one")
    assert sum(one.of for one in found) == whole.of > 15 and all(one.of for one in found)
    joined = call("merge", tmp_path / "joined", *parts)
    assert joined.exit_code == 0 and f"Joined {whole.of} questions in" in joined.stdout, joined.output
    assert kept(tmp_path / "joined")[0] == kept(tmp_path / "one")[0]
    assert judge(run, tmp_path / "joined") == whole


def test_what_is_no_whole_is_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "open_setup", lambda config, progress=None: world.setup(config))
    parts = [tmp_path / f"part{part}" for part in range(2)]
    check(run, parts[0], shard="0/2")
    check(run, parts[1], shard="1/2", gates="evidence")
    with pytest.raises(ConfigChanged, match="gates"):
        gates.merge(tmp_path / "joined", parts)
    with pytest.raises(ConfigError, match="missing: 1/2"):
        gates.merge(tmp_path / "joined", parts[:1])
    with pytest.raises(ConfigError, match="not a run of --shards"):
        gates.merge(parts[0], [])
    with pytest.raises(ConfigChanged, match="shard"):
        check(run, parts[0], shard="1/2")
    with pytest.raises(ConfigChanged, match="shards"):
        check(run, parts[0], shards=2, shard=None)
    assert not (tmp_path / "joined").exists()
    for verb, more in (("gates", ["--gates", "evidence"]), ("rejudge", [])):
        refused = call(verb, run, *more, "--shard", "0/2")
        assert refused.exit_code == 2 and "--out" in refused.stderr and not (run / verb).exists(), refused.output
        both = call(verb, run, *more, "--shard", "0/2", "--shards", 2, "--out", tmp_path / "both")
        assert both.exit_code == 2 and "give only one of them" in both.stderr
        wrong = call(verb, run, *more, "--shard", "2/2", "--out", tmp_path / "both")
        assert wrong.exit_code == 2 and "PART/PARTS" in wrong.stderr


@pytest.mark.parametrize("kind", [GatesConfig, RejudgeConfig])
def test_limits_are_divided(kind: type[GatesConfig] | type[RejudgeConfig]) -> None:
    config = resolve(kind, {"of": "run", "shards": 4, "max_cost": 2, "max_tokens": 10})
    found = list(divided(config, 6))
    assert [one.shard for one in found] == ["0/4", "1/4", "2/4", "3/4"]
    assert {(one.shards, one.max_cost, one.max_tokens, one.concurrency) for one in found} == {(None, 0.5, 2, 2)}
    assert [[index for index in range(8) if one.part.holds(index)] for one in found] == [[n, n + 4] for n in range(4)]


@pytest.fixture
def model() -> Generator[Model]:
    opened = Model(lambda request: world.play(request).text)
    yield opened
    opened.close()


def asking(model: Model, run: Path, *more: object) -> list[object]:
    """The command that checks `run` by the endpoint."""
    prices = ["--price-in", 1, "--price-out", 2, "--concurrency", 4]
    return ["gates", run, "--gates", GATES, "--rejected", "--llm", f"scripted@{model.url}", *prices, *more]


@pytest.mark.timeout(240)
def test_processes_find_what_one_process_finds_and_the_command_goes_on(run: Path, tmp_path: Path, model: Model) -> None:
    apart, one = tmp_path / "apart", tmp_path / "one"
    whole = call(*asking(model, run, "--json", "--out", one))
    assert whole.exit_code == 0, whole.output
    paid = model.calls
    few = call(*asking(model, run, "--shards", 2, "--limit", 5, "--json", "--out", apart))
    assert few.exit_code == 3, few.output
    told = json.loads(few.stdout)
    assert (told["questions"], told["ended"]["ending"]) == (5, "limit") and told["of"] == json.loads(whole.stdout)["of"]
    assert told["ended"]["go_on"].split()[:2] == ["questwell", "resume"]
    spent = call(*asking(model, run, "--shards", 2, "--max-tokens", 2, "--out", apart))
    assert spent.exit_code == 4 and "max_tokens = 1 is used up" in spent.stdout
    rest = call("resume", apart, "--max-tokens", 10**9, "--json")
    assert rest.exit_code == 0, rest.output
    assert json.loads(rest.stdout) == {**json.loads(whole.stdout), "ended": json.loads(rest.stdout)["ended"]}
    assert kept(apart) == kept(one)
    assert [shard.name for shard in folders(apart)] == ["000", "001"]
    assert model.calls == 2 * paid  # each once
    assert call("status", apart).stdout.splitlines()[1:] == call("status", one).stdout.splitlines()[1:]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_rejudging_in_processes_finds_what_one_finds(run: Path, library: Path, tmp_path: Path, model: Model) -> None:
    given = ["--judge", f"scripted@{model.url}", "--prompts", library / "prompts", "--rejected", "--json"]
    one = call("rejudge", run, *given, "--out", tmp_path / "one")
    paid = model.calls
    apart = call("rejudge", run, *given, "--shards", 2, "--out", tmp_path / "apart")
    assert one.exit_code == apart.exit_code == 0, apart.output
    assert json.loads(apart.stdout) == json.loads(one.stdout)
    assert kept(tmp_path / "apart") == kept(tmp_path / "one") and model.calls == 2 * paid > 0


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("who", ["shard", "parent"])
def test_kills_lose_what_was_in_flight_at_most(run: Path, tmp_path: Path, model: Model, who: str) -> None:
    whole = call(*asking(model, run, "--json", "--out", tmp_path / "one"))
    assert whole.exit_code == 0
    once, total = model.bodies(), model.calls
    apart = tmp_path / "apart"
    command = [sys.executable, "-m", "questwell", *map(str, asking(model, run, "--shards", 2, "--out", apart))]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    kills = 4
    for number in range(kills):
        begun = model.calls
        goal = begun + total // (kills + 2)
        model.hold_from(goal + 1)
        parent = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        model_was_asked(model, goal)
        children = _players(parent.pid)
        if who == "shard":
            os.kill(children[number % len(children)], signal.SIGKILL)
            wait_for(lambda: set(_players(parent.pid)) - set(children), "a new process in place of the one killed")  # noqa: B023
        else:
            parent.kill()
        parent.kill()
        parent.wait()
        wait_for(lambda: not any(map(_alive, {*children, *_players(parent.pid)})), "the shards to stop")  # noqa: B023
        time.sleep(0.1)
        model.settle()
        model.hold_from(None)
    done = subprocess.run([*command, "--json"], env=env, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(whole.stdout)
    assert kept(apart) == kept(tmp_path / "one")
    paid = model.bodies(total)
    assert not once - paid and (paid - once).total() <= kills * 4


def _players(pid: int) -> list[int]:
    """The processes of shards, oldest first, without multiprocessing's helper."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(one) for one in found if "spawn_main" in Path(f"/proc/{one}/cmdline").read_text()]
    except OSError:
        return []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False
