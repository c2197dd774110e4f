"""The config of `harden`: every key with its meaning and default, and what a resume may change."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from questwell.games.rules import Rules, Variant
from questwell.recipes.generate.playing import PLAY_MAY_CHANGE, PlayConfig
from questwell.recipes.runs.config import MayBePath


class HardenConfig(PlayConfig):
    """What a run of `harden` does."""

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
        """The game's rules."""
        return Rules(
            variant=Variant.FEEDBACK,
            attempts=self.attempts,
            rounds=self.rounds,
            early_stop=self.early_stop,
            acceptance=self.acceptance(),
            unscored_is_wrong=self.unscored_is_wrong,
            gates=self.gates or (),
            weak=self.weak_rules(),
        )


MAY_CHANGE: Mapping[str, str] = {
    "source": "its content is compared instead, so that it may move",
    "seeds": "may be raised, to extend the run",
    **PLAY_MAY_CHANGE,
}
"""Keys that a resume may give another value, and why: they change no result. Any other change is refused."""
