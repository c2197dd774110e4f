"""How agents are driven (as text or through tool calls), and which kind of model is behind a name."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

from questwell.llm.fingerprint import hash_of
from questwell.llm.gallery.mock import NAME as MOCK
from questwell.llm.hub import hub_folder, is_hub_name
from questwell.llm.weights import EMBEDDED
from questwell.recipes.runs.config import MayBePath

Model: TypeAlias = Annotated[str, MayBePath(tuple(EMBEDDED))]
"""A model as the user names it: local, a file, a folder, or a model at an endpoint."""
MaybeModel: TypeAlias = Annotated[str | None, MayBePath(tuple(EMBEDDED))]
"""A model name, or None for no model."""


class StyleChoice(StrEnum):
    """The `style` values: how the agents are driven."""

    AUTO = "auto"
    FREE = "free"
    STAGED = "staged"


def policy_weights(model: str) -> dict[str, str]:
    """Return `{"policy weights": hash}` for a policy made of local files (hash) or from the hub (commit)."""
    if is_hub_name(model):
        return {"policy weights": hub_folder(model, fetch=False).name}
    path = Path(model).expanduser()
    return {"policy weights": hash_of(path)} if model not in EMBEDDED and path.exists() else {}


def is_embedded(model: str) -> bool:
    """Return whether the named model runs in this process."""
    return model in EMBEDDED or model.endswith(".gguf")


def is_free(model: str) -> bool:
    """Return whether the named model costs nothing: it runs in this process, or it is not a language model."""
    return is_embedded(model) or model == MOCK
