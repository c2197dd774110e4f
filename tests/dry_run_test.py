"""`generate --dry-run`: what the models may write and what it costs, and a forecast once seeds are played."""

import asyncio
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import world
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.llm.client import Completion, Request
from questwell.llm.weights import Weights
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.loop import generate
from questwell.recipes.generate.preview import Preview, preview
from questwell.recipes.generate.reading import Reading, _request_tokens, dialogue
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending
from questwell.types.trajectory import Role

SMALL: dict[str, Any] = {
    "seeds": 3,
    "llm": "gpt-99@http://localhost:1/v1",
    "style": "free",
    "variant": "initial",
    "attempts": 2,
    "proposer_turns": 4,
    "solver_turns": 3,
    "turn_tokens": 100,
    "judge_tokens": 50,
    "reader_tokens": 10,
}
WRITTEN = 5 * 100 + 2 * 3 * 100 + 2 * 2 * 50
"""Four turns and the forced one; two attempts of three turns; each judged, and the judge may be asked twice."""


def shown(library: Path, run: Path, **keys: Any) -> Preview:
    return preview(resolve(Config, {**world.values(library), **SMALL, **keys}), run)


def test_what_models_may_write_is_bounded_by_their_caps(library: Path, tmp_path: Path) -> None:
    assert shown(library, tmp_path / "run").most_written_per_seed == WRITTEN
    gated = shown(library, tmp_path / "run", gates="evidence")
    assert gated.most_written_per_seed == WRITTEN + 10 + 2 * 50
    weak = shown(library, tmp_path / "run", weak="closed-book", weak_attempts=1)
    assert weak.most_written_per_seed == WRITTEN + 100 + 2 * 50
    assert shown(library, tmp_path / "run", style="staged").most_written_per_seed is None


def test_its_cost_is_known_when_the_price_is(library: Path, tmp_path: Path) -> None:
    assert shown(library, tmp_path / "run").most_written_usd_per_seed is None
    priced = shown(library, tmp_path / "run", price_in=1.0, price_out=10.0)
    assert priced.most_written_usd_per_seed == pytest.approx(WRITTEN * 10 / 1e6)
    listed = shown(library, tmp_path / "run", llm="openai:gpt-4o", key_env="HOME")
    assert listed.most_written_usd_per_seed == pytest.approx(WRITTEN * 10 / 1e6)  # the list price of gpt-4o


def test_it_is_printed_and_an_unknown_price_is_said(library: Path, tmp_path: Path) -> None:
    given = {**world.values(library), **SMALL}
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in given.items()]
    told = CliRunner().invoke(app, ["generate", *flags, "--out", str(tmp_path / "run"), "--dry-run"])
    assert told.exit_code == 0, told.output
    assert f"at most {WRITTEN:,} tokens a seed, price unknown" in told.stdout
    assert "Most seeds take a small part of this: --pilot 20" in told.stdout
    priced = [*flags, "--price-in", "1", "--price-out", "10", "--dry-run"]  # it needs no folder
    assert "$0.0130 at most" in CliRunner().invoke(app, ["generate", *priced]).stdout


def read_by(library: Path, run: Path, **keys: Any) -> Reading:
    found = shown(library, run, **keys).reading
    assert found is not None
    return found


def test_what_models_read_grows_with_the_square_of_their_turns() -> None:
    """Every turn reads again what was said before: counted turn by turn."""
    for turns in range(6):
        assert dialogue(100, turns, 30) == sum(100 + 30 * before for before in range(turns))


def test_what_models_read_is_a_range_between_the_easiest_seed_and_the_longest(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    usual = read_by(library, run, steps="2")
    opening, passage = usual.opening_tokens, usual.passage_tokens
    assert usual.sampled == 50 and 20 < passage < 45  # "[1] Bridge 7: Bridge Number 7 was opened in 1807 by ..."
    found = 50 + 3 * passage
    proposer, solver, judge = opening[Role.PROPOSER], opening[Role.SOLVER], opening[Role.JUDGE]
    assert usual.least == dialogue(proposer, 3, found) + dialogue(solver, 2, found)
    found = 400 + 3 * passage
    assert usual.most == dialogue(proposer, 5, found) + 2 * dialogue(solver, 3, found) + 2 * 2 * judge
    both = read_by(library, run, steps="2", early_stop=False)
    assert both.least == usual.least + dialogue(solver, 2, 50 + 3 * passage)
    feedback, resample = {"variant": "feedback"}, {"variant": "resample"}
    for longer in ({"top_k": 5}, feedback, resample, {"gates": "evidence"}, {"weak": "closed-book"}):
        assert read_by(library, run, steps="2", **longer).most > usual.most, longer
    assert read_by(library, run, steps="4..5").least > usual.least
    assert shown(library, run, style="staged").reading is None


def test_the_prompts_are_read_as_they_will_be_sent(library: Path, tmp_path: Path) -> None:
    usual = read_by(library, tmp_path / "run")
    prompts = tmp_path / "prompts"
    shutil.copytree(library / "prompts", prompts)
    (prompts / "solver.md").write_text(f"--- system\nROLE solver {'x' * 4000}\n--- user\n$question", encoding="utf-8")
    own = read_by(library, tmp_path / "run", prompts=prompts)
    assert own.opening_tokens[Role.SOLVER] == pytest.approx(usual.opening_tokens[Role.SOLVER] + 1000, abs=1)
    assert own.opening_tokens[Role.PROPOSER] == usual.opening_tokens[Role.PROPOSER]
    tools = read_by(library, tmp_path / "run", protocol="functions")
    assert tools.opening_tokens[Role.SOLVER] > 100  # the functions are part of what is read


def test_the_price_of_reading_is_that_of_prompts(library: Path, tmp_path: Path) -> None:
    assert read_by(library, tmp_path / "run").least_usd is None
    free = shown(library, tmp_path / "run", llm="mock")
    assert free.reading is not None and free.reading.most > free.reading.least
    assert free.most_written_usd_per_seed == free.reading.least_usd == free.reading.most_usd == 0
    priced = read_by(library, tmp_path / "run", price_in=2.0, price_out=10.0)
    assert priced.least_usd == pytest.approx(priced.least * 2 / 1e6)
    assert priced.most_usd == pytest.approx(priced.most * 2 / 1e6)


@pytest.mark.parametrize("keys", [{}, {"protocol": "functions"}, {"gates": "evidence,shortcut", "top_k": 5}])
def test_what_a_played_run_read_lies_in_the_range(tmp_path: Path, keys: dict[str, Any]) -> None:
    """Seeds that were played to an end by the mock, their requests measured as the estimate measures them."""
    given = {"corpus": "islands", "llm": "mock", "seeds": 8, "index": tmp_path / "index", **keys}
    config = resolve(Config, given)
    found = preview(config, tmp_path / "run").reading
    assert found is not None
    sent: Counter[str] = Counter()
    setup = open_setup(config)
    for llm in set(setup.llms.values()):
        real = llm.complete

        async def complete(request: Request, real: Any = real) -> Completion:
            sent["all"] += _request_tokens(request)
            return await real(request)

        llm.complete = complete  # type: ignore[method-assign]
    report = asyncio.run(generate(config, tmp_path / "run", setup))
    assert report.ending is Ending.COMPLETE
    assert found.least < sent["all"] / 8 < found.most


async def test_a_forecast_takes_its_place_once_seeds_are_played(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = world.config(library, seeds=6)
    await generate(config, run, world.setup(config))
    more = resolve(Config, {**config.model_dump(), "seeds": 30})
    found = preview(more, run).forecast
    assert found is not None and found.played == 6
    told = CliRunner().invoke(app, ["generate", "--resume", "--out", str(run), "--dry-run", "--json"])
    assert json.loads(told.stdout)["forecast"]["played"] == 6


def test_no_model_is_fetched(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Weights) -> Path:
        raise AssertionError("491 MB")

    monkeypatch.setattr(Weights, "fetch", never)
    monkeypatch.setattr(Weights, "cached", lambda self: None)
    given = {**world.values(library), "seeds": 2, "llm": "local-small"}
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in given.items()]
    told = CliRunner().invoke(app, ["generate", *flags, "--dry-run"])
    assert told.exit_code == 0, told.output
