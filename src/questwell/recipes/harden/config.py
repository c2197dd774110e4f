"""The config of `harden`: its keys with their defaults, and the keys that a resume may change."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from questwell.games.rules import Rules, Variant
from questwell.games.seeds import Shard
from questwell.recipes.generate.playing import PLAY_MAY_CHANGE, PlayConfig
from questwell.recipes.runs.config import MayBePath
from questwell.recipes.runs.parts import checked_shard, part_of, refuse_both


class HardenConfig(PlayConfig):
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
    shard: str | None = None
    """Take only a part of the questions: 0/8 is the first of eight parts, 7/8 the last; questwell merge joins them."""
    shards: int | None = Field(default=None, ge=2, le=256)
    """Number of processes that share the run; each takes its part of the questions in a folder of its own below
    --out."""

    @field_validator("shard")
    @classmethod
    def _shard(cls, shard: str | None) -> str | None:
        return checked_shard(shard)

    @model_validator(mode="after")
    def _one_part_or_all(self) -> Self:
        refuse_both(self.shard, self.shards)
        return self

    @property
    def part(self) -> Shard:
        """The part of the questions that this run takes."""
        return part_of(self.shard)

    def rules(self) -> Rules:
        """The rules of the game."""
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
"""Keys that a resume may change, with the reason why they change no result. Other changes are refused."""
