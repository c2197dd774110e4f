"""Implements `--fit`: picks memory-saving options in a fixed order until training fits; keys you set are kept."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from questwell.errors import ConfigError
from questwell.recipes.runs import description
from questwell.recipes.runs.config import settle
from questwell.recipes.runs.extras import check_extra
from questwell.recipes.runs.learning import LearningConfig, place

if TYPE_CHECKING:
    from questwell.llm.pretrained import Size
    from questwell.training.memory import Need

_C = TypeVar("_C", bound=LearningConfig)
LORA_RANK = 16
_FEWEST = 1024
"""Tokens per pass below which fewer tokens save little memory."""
_KEYS = ("checkpointing", "micro_tokens", "lora_rank")


def fit(config: LearningConfig, need: Callable[[], "Need"]) -> None:
    """Set in `config` the first option that fits: checkpointing, then fewer micro_tokens, then an adapter.

    With an adapter, micro_tokens is again as large as fits. A chosen key does not count as given.

    Args:
        config: config of a new run, while it is built.
        need: returns the memory that `config` needs with its current values.

    Raises:
        ConfigError: no option fits; the message says how much memory is missing.
    """
    from questwell.training.memory import check_fits, free_bytes

    device, _ = place(config)
    if config.memory is not None:
        free = int(config.memory * 2**30)
    elif device.startswith("cuda") and not _has_gpu():
        raise ConfigError("fit: there is no GPU here to ask; say how much memory it has, with --memory GIB")
    else:
        free = free_bytes(device)
    for choice in _choices(config):
        for key, value in choice.items():
            settle(config, key, value)
        config.settle_defaults()
        if need().total <= free:
            return
    kept = ", ".join(key for key in _KEYS if key in config.model_fields_set)
    check_fits(need(), free, [f"leaving {kept} to --fit"] if kept else [])


def fit_new(
    config: _C, folder: Path | None, size: Callable[[_C], "Size"], needed: Callable[[_C, "Size"], "Need"]
) -> _C:
    """Return `config` after `--fit`, which applies only to a new run: a resumed one keeps what it began with.

    Args:
        config: config of the run in `folder`.
        folder: folder of the run; None if it has none yet.
        size: returns the size of the model that `config` names.
        needed: returns the memory that training it needs.
    """
    if config.fit and (folder is None or description.read(folder) is None):
        check_extra()
        found = size(config)
        fit(config, lambda: needed(config, found))
    return config


def chosen(config: LearningConfig) -> dict[str, object]:
    """Return the keys that `fit` chose for `config`, with their values."""
    defaults = type(config).model_fields
    return {
        key: value
        for key in _KEYS
        if key not in config.model_fields_set and (value := getattr(config, key)) != defaults[key].default
    }


def _choices(config: LearningConfig) -> Iterator[Mapping[str, object]]:
    """Yield no change first, and then each choice in order."""
    free = [key for key in _KEYS if key not in config.model_fields_set]
    always: dict[str, object] = {}
    yield always
    if "checkpointing" in free:
        always["checkpointing"] = True
        yield always
    fewer = [] if "micro_tokens" not in free else list(_halves(config.micro_tokens))
    yield from ({**always, "micro_tokens": tokens} for tokens in fewer)
    if "lora_rank" in free:
        always["lora_rank"] = LORA_RANK
        whole = {"micro_tokens": type(config).model_fields["micro_tokens"].default} if fewer else {}
        yield {**always, **whole}
        yield from ({**always, "micro_tokens": tokens} for tokens in fewer)


def _halves(tokens: int) -> Iterator[int]:
    while tokens // 2 >= _FEWEST:
        tokens //= 2
        yield tokens


def _has_gpu() -> bool:
    from questwell.llm.pretrained import best_device

    return best_device() != "cpu"
