from dataclasses import replace
from pathlib import Path

import pytest

from questwell.errors import ConfigError, StoreError
from questwell.games.rules import Variant
from questwell.games.verdict import PassRateBand
from questwell.recipes.generate.config import MAY_CHANGE, PRESETS, Config, preset
from questwell.recipes.runs.config import Change, differences, read_toml, resolve, resolve_saved
from questwell.store.records import RunInfo

WHOLE = {"corpus": "foldoc", "seeds": 3}


def test_later_layers_go_over_earlier_ones() -> None:
    config = resolve(Config, preset("sage-paper"), WHOLE, {"rounds": 1, "answer_types": "date, number"})
    assert (config.rounds, config.steps, config.early_stop) == (1, "3..7", False)
    assert [kind.value for kind in config.answer_types] == ["date", "number"]


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as told:
        resolve(Config, {"attemps": 1, "rounds": -1, "steps": "x", "band": "1..0"})
    for part in (
        "unknown key 'attemps' (did you mean 'attempts'?)",
        "corpus is missing",
        "rounds = -1",
        "'x'",
        "'1..0'",
    ):
        assert part in str(told.value)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_resolve_and_are_what_the_paper_says(name: str) -> None:
    config = resolve(Config, preset(name), WHOLE)
    rules = config.rules()
    assert (rules.variant, rules.attempts, rules.unscored_is_wrong, config.top_k) == (Variant.FEEDBACK, 4, True, 3)
    assert config.proposer_turns == 20


def test_a_saved_config_resolves_to_itself() -> None:
    config = resolve(Config, preset("sage-paper-data"), WHOLE, {"prompts": "x", "mix": "2-3:1"})
    assert resolve(Config, config.model_dump(mode="json")) == config


def test_a_config_that_another_version_saved_is_told_as_such() -> None:
    kept = RunInfo("abc", "2026-11-20", "0.0.9", {**resolve(Config, WHOLE).model_dump(mode="json"), "sear": None}, {})
    with pytest.raises(StoreError, match=r"run abc has saved a config \(of Questwell 0\.0\.9\).*'sear'"):
        resolve_saved(Config, kept, {"rounds": 1})
    known = replace(kept, config=resolve(Config, WHOLE).model_dump(mode="json"))
    assert resolve_saved(Config, known, {"rounds": 1}).rounds == 1
    with pytest.raises(ConfigError, match="rounds"):
        resolve_saved(Config, known, {"rounds": -1})


def test_the_band_is_a_policy() -> None:
    assert resolve(Config, WHOLE, {"accept": "band", "band": "0.25..0.75"}).rules().acceptance == PassRateBand(
        0.25, 0.75
    )


def test_any_leaves_the_target_open() -> None:
    assert resolve(Config, WHOLE, {"steps": "any"}).targets is None


def test_differences_name_old_and_new() -> None:
    assert differences({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "c": 4}, ["c"]) == (Change("b", 2, 5),)


def test_keys_that_may_change_are_keys() -> None:
    assert set(MAY_CHANGE) <= set(Config.model_fields)


def test_toml_keys_may_have_dashes_and_bad_files_say_where(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("max-cost = 1.5")
    assert read_toml(path) == {"max_cost": 1.5}
    path.write_text("max-cost = ")
    with pytest.raises(ConfigError, match="not TOML"):
        read_toml(path)
