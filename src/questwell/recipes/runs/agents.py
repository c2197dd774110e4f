"""How agents are driven, and by which kind of model."""

from enum import StrEnum

from questwell.llm.weights import EMBEDDED


class StyleChoice(StrEnum):
    """How the agents are driven."""

    AUTO = "auto"
    FREE = "free"
    STAGED = "staged"


def is_embedded(model: str) -> bool:
    """Whether a model, as the user names it, runs in this process."""
    return model in EMBEDDED or model.endswith(".gguf")
