"""A model by its name on the hub: found in the hub's cache, told apart from a folder, and explained when missing."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from questwell.errors import ConfigError
from questwell.llm.hub import hub_folder, is_hub_name
from questwell.llm.pretrained import Pretrained, load, size_of
from questwell.toy.model import toy_model, toy_tokenizer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache with the model some/toy in it, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("QUESTWELL_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "hub" / "models--some--toy"
    tokenizer = toy_tokenizer(["e1", "r0"])
    Pretrained("toy", toy_model(tokenizer, width=16, layers=1), tokenizer).save(model / "snapshots" / COMMIT)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT)
    return model


def test_a_name_on_the_hub_is_loaded_from_its_cache(cache: Path) -> None:
    assert hub_folder("some/toy") == cache / "snapshots" / COMMIT
    found = load("some/toy")
    assert (found.name, found.model.config.hidden_size) == ("some/toy", 16)
    assert size_of("some/toy").hidden == 16


def test_a_name_that_is_not_in_the_cache_says_how_to_fetch_it(cache: Path) -> None:
    with pytest.raises(ConfigError, match="hf download some/other"):
        load("some/other")


def test_what_lies_here_is_no_name_on_the_hub(cache: Path, tmp_path: Path) -> None:
    assert is_hub_name("some/toy") and is_hub_name("Qwen/Qwen2.5-3B-Instruct")
    for other in ("toy", "./some/toy", "some/toy.gguf", "a/b/c", "some/", "m@http://h/v1", "/some/toy"):
        assert not is_hub_name(other), other
    (tmp_path / "some" / "toy").mkdir(parents=True)
    assert not is_hub_name("some/toy")
