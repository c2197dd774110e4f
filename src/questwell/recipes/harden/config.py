"""The config of `harden`: its keys with their defaults, and the keys that a resume may change."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from questwell.games.rules import Rules, Variant
from questwell.recipes.generate.playing import PLAY_MAY_CHANGE, PlayConfig
from questwell.recipes.runs.config import MayBePath
from questwell.recipes.runs.parts import PartsConfig


class HardenConfig(PartsConfig, PlayConfig):
    """Config keys of `harden`."""

    source: Annotated[str | None, MayBePath(after="=")] = None
    """Questions and answers to start from: a file (JSON, JSON lines, CSV, parquet), a benchmark as NAME=FILE, or a run
    with accepted items."""
    seeds: int | None = Field(default=None, ge=1)
    """Number of questions to take, in the order of the file; by default all."""
    steps: int = Field(default=3, ge=1, le=100)
    """Minimum number of search steps that a rewritten question must need."""
    rounds: int = Field(default=3, ge=0, le=20)
    """Maximum number of rewrites per question."""

    def rules(self) -> Rules:
        """The rules of the game."""
        return replace(super().rules(), variant=Variant.FEEDBACK, rounds=self.rounds)


MAY_CHANGE: Mapping[str, str] = {
    "source": "its content is compared instead, so that it may move",
    "seeds": "may be raised, to extend the run",
    **PLAY_MAY_CHANGE,
}
"""Keys that a resume may change, with the reason why they change no result. Other changes are refused."""
