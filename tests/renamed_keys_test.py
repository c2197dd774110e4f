"""Keys that were renamed: old runs open, old flags say their new name."""

import logging
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.errors import ConfigError
from questwell.recipes.generate.config import Config as Generate
from questwell.recipes.runs.config import RecipeConfig, resolve, resolve_saved
from questwell.recipes.selfplay.config import Config
from questwell.recipes.train.config import TrainConfig
from questwell.store.records import RunInfo

OLD = {"corpus": "factbook", "two_legs": True}
OLD_TRAIN = {
    "data": "q.jsonl",
    "corpus": "factbook",
    "two_legs": True,
    "lam": 0.9,
    "lora": 8,
    "half": True,
    "warmup_steps": 3,
}
OLD_SELFPLAY = {
    **{"model": "m", "corpus": "factbook", "two_legs": False, "kl": 0.02, "half": None, "warmup_steps": 4},
    **{"filling": "full-reuse", "noise": 2, "noise_unit": "trajectories"},
}


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["evaluate", "--engine", "ray", "--shards", "2"], "--engine: Ray places the plays of generate only"),
        (["harden", "q.jsonl", "--engine", "ray"], "--engine: Ray places the plays of generate only"),
        (["gates", "run", "--players", "3"], "--players: Ray places the plays of generate only"),
        (["rejudge", "run", "--engine", "ray"], "questwell merge"),
        (["recheck", "q.jsonl", "--engine", "ray"], "--shard 0/2 on the first"),
    ],
)
def test_a_key_of_other_commands_is_refused_with_the_reason(command: list[str], why: str) -> None:
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, [*command, "--print-config"])
    assert done.exit_code == 2 and why in " ".join(done.output.split()), done.output


def test_a_run_saved_under_old_keys_opens_and_says_what_was_renamed(caplog: pytest.LogCaptureFixture) -> None:
    info = RunInfo("old-train", "2026-01-01", "0.1", OLD_TRAIN, {})
    with caplog.at_level(logging.WARNING, "questwell"):
        config = resolve_saved(TrainConfig, info, {"steps": 7})
        resolve_saved(TrainConfig, info)  # says it once
    assert (config.gae_lambda, config.lora_rank, config.dtype, config.lr_warmup_steps) == (0.9, 8, "bfloat16", 3)
    (line,) = caplog.messages
    assert "lam is called gae_lambda now" in line and "half is called dtype now" in line

    played = resolve_saved(Config, replace(info, run_id="old-play", config=OLD_SELFPLAY))
    assert (played.kl_coefficient, played.dtype, played.empty_slots) == (0.02, None, "full-reuse")
    assert (played.distractors, played.distractor_unit, played.lr_warmup_steps) == (2, "trajectories", 4)
    made = resolve_saved(
        Generate, replace(info, run_id="old-made", config={"corpus": "c", "seeds": 1, "two_legs": True})
    )
    assert made.dense_candidates


@pytest.mark.parametrize("kind", [TrainConfig, Config])
def test_an_old_key_is_told_its_new_name(kind: type[RecipeConfig]) -> None:
    old = OLD_TRAIN if kind is TrainConfig else OLD_SELFPLAY
    assert set(kind.renames()) <= set(old)
    with pytest.raises(ConfigError) as told:
        resolve(kind, old)
    for key, now in kind.renames().items():
        assert now.key in kind.model_fields
        assert f"{key} is called {now.key} now (--{now.key.replace('_', '-')})" in str(told.value)


@pytest.mark.parametrize(
    ("given", "now"), [(["train", "toy", "--lam", "0.9"], "--gae-lambda"), (["selfplay", "--kl", "1"], "--kl-coeff")]
)
def test_an_old_flag_says_its_new_name(given: list[str], now: str, tmp_path) -> None:
    result = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "run")])
    assert result.exit_code != 0
    assert now in result.output
