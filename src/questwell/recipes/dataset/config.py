"""The config of `dataset`: which items, which splits, which exports."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from questwell.datasets.filters import Wanted
from questwell.datasets.split import parse_counts, parse_shares
from questwell.errors import ConfigError
from questwell.recipes.reports.items import Edited, ReviewedBy
from questwell.recipes.runs.config import RecipeConfig
from questwell.text.lists import parse_range, split_commas
from questwell.types.game import AnswerType
from questwell.types.gates import Gate


class Export(StrEnum):
    """A layout that can be written in addition to the Hugging Face folder."""

    VERL = "verl"
    TRL = "trl"
    SHAREGPT = "sharegpt"
    SFT = "sft"
    BEIR = "beir"
    GRPO = "grpo"
    SEARCH_R1 = "search-r1"
    SLIME = "slime"
    ALPACA = "alpaca"


class DatasetConfig(RecipeConfig):
    """Config keys of `dataset`."""

    split: str = "train:80,dev:10,test:10"
    """Splits and their shares. Items that share an evidence document go to the same split."""
    seed: int = 0
    """Random seed of the splits."""
    at_most: str | None = None
    """Maximum number of items per split, such as train:1000,test:200, drawn at random; by default all."""
    apart_from: Annotated[tuple[Path, ...], BeforeValidator(split_commas)] = ()
    """Files of items, such as the test split of another dataset, that must share no evidence with this dataset."""
    difficulty: str | None = None
    """Range of search steps of the items to include, such as 2..7; by default any."""
    solve_rate: str | None = None
    """Range of solve rates of the items to include, such as 0.2..0.8; by default any."""
    answer_types: Annotated[tuple[AnswerType, ...], BeforeValidator(split_commas)] = ()
    """Answer types to include, separated by commas; by default all."""
    gates: Annotated[tuple[Gate, ...], BeforeValidator(split_commas)] = ()
    """Gates that an item must have passed, separated by commas; by default none."""
    reviewed: ReviewedBy = ReviewedBy.ANY
    """Items to include by review: any, or accepted (by a person). Rejected items are never included."""
    edited: Edited = Edited.RECHECKED
    """Edited items to include: rechecked (only those tried again and accepted), or as-is (all)."""
    near_duplicates: float = Field(default=0.7, ge=0, le=1)
    """Similarity above which two questions with the same answer count as duplicates; 0 removes only exact ones."""
    benchmarks: Annotated[tuple[str, ...], BeforeValidator(split_commas)] = ()
    """Benchmarks to check for overlap, as NAME=FILE, separated by commas."""
    ngram: int = Field(default=8, ge=3)
    """Number of consecutive words shared with a benchmark question that counts as overlap."""
    meaning: float | None = Field(default=None, gt=0, le=1)
    """Cosine of two questions' vectors that counts as overlap with a benchmark, such as 0.85; by default only words are
    compared (extra dense)."""
    embedder: str = "minilm"
    """Embedding model for --meaning: minilm, wordllama (fast), onnx:FOLDER, openai:MODEL or MODEL@BASE_URL."""
    drop_overlaps: bool = False
    """Leave out items that overlap with a benchmark; by default overlaps are only reported."""
    exports: Annotated[tuple[Export, ...], BeforeValidator(split_commas)] = tuple(Export)
    """Additional file layouts to write, separated by commas."""
    sealed: Annotated[tuple[str, ...], BeforeValidator(split_commas)] = ()
    """Splits to write only obfuscated under a canary, as BrowseComp's questions are, separated by commas; no other file
    holds their questions."""
    language: Annotated[tuple[str, ...], BeforeValidator(split_commas)] = ()
    """ISO 639-1 codes of the questions' languages for the card, separated by commas; by default detected."""
    turns: int = Field(default=10, ge=1)
    """Maximum number of messages that the exported prompts state to the solver."""
    prompts: Path | None = None
    """Folder of prompt files for the exported dialogues; they replace the packaged ones of the same name."""

    @field_validator("split")
    @classmethod
    def _split(cls, text: str) -> str:
        try:
            parse_shares(text)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return text

    @field_validator("at_most")
    @classmethod
    def _at_most(cls, text: str | None) -> str | None:
        try:
            return text if text is None or parse_counts(text) else None
        except ConfigError as error:
            raise ValueError(str(error)) from None

    @field_validator("difficulty", "solve_rate")
    @classmethod
    def _range(cls, text: str | None) -> str | None:
        if text is not None:
            bounds(text)
        return text

    @field_validator("language")
    @classmethod
    def _language(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [code for code in codes if not re.fullmatch("[a-z]{2,3}", code)]:
            raise ValueError(f"expected ISO 639 codes like en or zh, not {wrong[0]!r}")
        return codes

    @field_validator("benchmarks")
    @classmethod
    def _named(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [name for name in names if not all(name.partition("=")[::2])]:
            raise ValueError(f"expected NAME=FILE, not {wrong[0]!r}")
        return names

    @property
    def counts(self) -> dict[str, int]:
        """Return `at_most` by split."""
        return parse_counts(self.at_most) if self.at_most else {}

    def wanted(self) -> Wanted:
        """Return the filters."""
        low, high = bounds(self.difficulty) if self.difficulty else (0.0, 0.0)
        return Wanted(
            difficulty=(int(low), int(high)) if self.difficulty else None,
            solve_rate=bounds(self.solve_rate) if self.solve_rate else None,
            answer_types=tuple(kind.value for kind in self.answer_types),
            gates=tuple(gate.value for gate in self.gates),
        )


def bounds(text: str) -> tuple[float, float]:
    """Parse the two numbers of `low..high`; a single number counts for both. Raises ValueError for other text."""
    found = parse_range(text, float)
    if found is None or found[0] < 0:
        raise ValueError("expected a range like 2..7")
    return found
