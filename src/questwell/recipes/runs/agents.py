"""How agents are driven, and by which kind of model."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

from questwell.llm.fingerprint import hash_of
from questwell.llm.gallery.mock import NAME as MOCK
from questwell.llm.hub import hub_folder, is_hub_name
from questwell.llm.weights import EMBEDDED
from questwell.recipes.runs.config import MayBePath

Model: TypeAlias = Annotated[str, MayBePath(tuple(EMBEDDED))]
"""A model as the user names it: local, a file, a folder, or one behind an endpoint."""
MaybeModel: TypeAlias = Annotated[str | None, MayBePath(tuple(EMBEDDED))]
"""A model, if one is named."""


class StyleChoice(StrEnum):
    """How the agents are driven."""

    AUTO = "auto"
    FREE = "free"
    STAGED = "staged"


def policy_weights(model: str) -> dict[str, str]:
    """The hash of the weights of a policy that is files of the user's, or its hub commit, by `policy weights`."""
    if is_hub_name(model):
        return {"policy weights": hub_folder(model, fetch=False).name}
    path = Path(model).expanduser()
    return {"policy weights": hash_of(path)} if model not in EMBEDDED and path.exists() else {}


def is_embedded(model: str) -> bool:
    """Whether a model, as the user names it, runs in this process."""
    return model in EMBEDDED or model.endswith(".gguf")


def is_free(model: str) -> bool:
    """Whether a model, as the user names it, costs nothing: it is embedded, or no model at all."""
    return is_embedded(model) or model == MOCK
