"""`generate --dry-run`: what the models may write and what it costs, and a forecast once seeds are played."""

import json
from pathlib import Path
from typing import Any

import pytest
import world
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.loop import generate
from questwell.recipes.generate.preview import Preview, preview
from questwell.recipes.runs.config import resolve

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
    priced = [*flags, "--price-in", "1", "--price-out", "10", "--out", str(tmp_path / "run"), "--dry-run"]
    assert "$0.0130 at most" in CliRunner().invoke(app, ["generate", *priced]).stdout


async def test_a_forecast_takes_its_place_once_seeds_are_played(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = world.config(library, seeds=6)
    await generate(config, run, world.setup(config))
    more = resolve(Config, {**config.model_dump(), "seeds": 30})
    found = preview(more, run).forecast
    assert found is not None and found.played == 6
    told = CliRunner().invoke(app, ["generate", "--resume", "--out", str(run), "--dry-run", "--json"])
    assert json.loads(told.stdout)["forecast"]["played"] == 6
