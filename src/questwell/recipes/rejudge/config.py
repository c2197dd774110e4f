"""The config of `rejudge`: its keys with their defaults, and the keys that a later call may change."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from questwell.recipes.evaluate.config import JudgeConfig
from questwell.recipes.runs.checking import CheckConfig
from questwell.recipes.runs.opening import Kind
from questwell.recipes.runs.spending import SPENDING_MAY_CHANGE


class RejudgeConfig(CheckConfig, JudgeConfig):
    """Config keys of `rejudge`."""

    of: Path | None = None
    """Run whose answers are judged again. It is only read, and may still be running."""
    rejected: bool = False
    """Also judge the last question of each rejected play."""
    concurrency: int | None = Field(default=None, ge=1)
    """Number of questions judged at the same time; by default 16, or 2 if a model runs in this process."""


MAY_CHANGE: Mapping[str, str] = {
    **SPENDING_MAY_CHANGE,
    "of": "the run's id is compared instead, so that its folder may move",
    "judge": "its name is compared instead, so that an endpoint may move",
    "prompts": "their hash is compared instead",
    "rejected": "what is judged is compared call by call: an answered call is not made again",
    "batch": "changes speed and price only: an answered call is not made again",
    "concurrency": "changes speed only",
    "max_errors": "a limit of patience",
}
"""Keys that a later call may change, with the reason."""
KIND = Kind("rejudge", RejudgeConfig, MAY_CHANGE)
