"""How agents are driven, and by which kind of model."""

from enum import StrEnum
from typing import Annotated, TypeAlias

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


def is_embedded(model: str) -> bool:
    """Whether a model, as the user names it, runs in this process."""
    return model in EMBEDDED or model.endswith(".gguf")
