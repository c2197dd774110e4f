"""The config of `evaluate`: its keys with their defaults, and the keys that a resume may change."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from questwell.errors import ConfigError
from questwell.evaluation.benchmarks import SAMPLES, parse_benchmark
from questwell.llm.batches import MOST_CALLS
from questwell.recipes.corpus.index import Corpus
from questwell.recipes.corpus.search import SearchConfig, Tools
from questwell.recipes.runs.agents import Model, StyleChoice, is_embedded
from questwell.recipes.runs.config import MayBePath
from questwell.recipes.runs.parts import PartsConfig
from questwell.recipes.runs.spending import SPENDING_MAY_CHANGE, SpendingConfig
from questwell.text.lists import split_commas

EXACT_MATCH = "exact_match"
"""Name of the judge that compares answers without a model."""


class Mode(StrEnum):
    """How the model answers."""

    AGENT = "agent"
    """An agent that searches as often as it wants: the same solver as in the games."""
    RAG = "rag"
    """One search with the question itself, then one answer."""
    CLOSED_BOOK = "closed-book"
    """One answer from memory, without a search."""


class JudgeConfig(SpendingConfig):
    """Config keys that an evaluation and its rescoring share."""

    judge: Model = EXACT_MATCH
    """Judge whose scores are reported next to EM and F1: exact_match (no model), or a model as in --llm."""
    prompts: Path | None = None
    """Folder of prompt files that replace the packaged ones of the same name."""
    batch: bool = False
    """Send calls in batches, at half the list price; each may take a day. Needs an endpoint with a batch API."""
    seed: int = 0
    """Random seed of the sample and of every other random choice."""
    concurrency: int | None = Field(default=None, ge=1)
    """Number of attempts made at the same time; by default 16, or 2 if a model runs in this process."""
    max_errors: int = Field(default=20, ge=1)
    """Stop after this many failed attempts in a row."""


class RescoreConfig(JudgeConfig):
    """Config keys of `evaluate --rescore`."""

    sample: int | None = Field(default=None, ge=1)
    """Number of answers to judge, drawn at random; by default all."""


class EvalConfig(PartsConfig, JudgeConfig, SearchConfig):
    """Config keys of `evaluate`."""

    corpus: Corpus = ""
    """Corpus to search: islands, factbook, foldoc, hf:NAME, or a file or folder of documents."""
    llm: Model = "local"
    """Model: local, local-small, FILE.gguf, a folder of a trained checkpoint, openai:MODEL or MODEL@BASE_URL."""
    mode: Mode = Mode.AGENT
    """How to answer: agent (searches freely), rag (one search with the question) or closed-book (from memory)."""
    style: StyleChoice = StyleChoice.AUTO
    """How the agent works: free (the model decides each move), staged (small constrained calls), or auto (by model)."""
    protocol: Literal["tags", "functions"] = "tags"
    """How a free agent writes its moves: tags (in plain text) or functions (function calls)."""
    tools: Tools = ("search",)
    """Tools of a free agent, separated by commas: search, open (read a document), find (search inside a document)."""

    benchmarks: Annotated[tuple[str, ...], BeforeValidator(split_commas), Field(min_length=1), MayBePath(after="=")]
    """Benchmarks as NAME=FILE, separated by commas; a FILE without NAME has plain questions and answers."""
    where: Annotated[tuple[str, ...], BeforeValidator(split_commas)] = ()
    """Use only the records with these values: FIELD=VALUE, separated by commas."""
    sample: str = "full"
    """Number of questions per benchmark, or full (all), ircot (500), quick (50)."""
    per_group: bool = False
    """Draw a sample of this size from each group (hops, level, difficulty) instead of from the whole benchmark."""

    attempts: int = Field(default=1, ge=1, le=100)
    """Attempts per question (K)."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """Sampling temperature; with --attempts above 1 it must be above 0."""
    turns: int = Field(default=10, ge=1)
    """Maximum number of messages of an agent."""
    searches: int = Field(default=10, ge=0)
    """Maximum number of searches of an agent."""
    top_k: int = Field(default=3, ge=1)
    """Number of passages that a search returns to the agent."""
    turn_tokens: int | None = Field(default=None, ge=1)
    """Maximum tokens of one model message, thoughts included; by default 8192, or 1024 for a model in this process."""

    @field_validator("benchmarks")
    @classmethod
    def _benchmarks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            found = [parse_benchmark(name) for name in names]
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return tuple(f"{one.benchmark}={one.path}" for one in found)

    @field_validator("where")
    @classmethod
    def _where(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [pair for pair in pairs if not pair.partition("=")[1]]:
            raise ValueError(f"expected FIELD=VALUE, not {wrong[0]!r}")
        return pairs

    @field_validator("sample")
    @classmethod
    def _sample(cls, sample: str) -> str:
        if sample not in SAMPLES and not (sample.isdecimal() and int(sample)):
            raise ValueError(f"expected a number or one of {', '.join(SAMPLES)}")
        return sample

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.attempts > 1 and not self.temperature:
            raise ValueError(
                "several attempts (--attempts) at temperature 0 would all be the same: set --temperature 1"
            )
        if self.batch and self.mode is Mode.AGENT:
            raise ValueError(
                "--batch needs --mode closed-book or rag: an agent needs each answer before its next search; judge its "
                "answers in batches afterwards, with --rescore RUN --judge MODEL --batch"
            )
        if self.mode is Mode.CLOSED_BOOK:
            return self
        if not self.corpus and not self.searches_elsewhere:
            raise ValueError("say what to search: --corpus, --retriever with an address, or --mode closed-book")
        return self

    @property
    def size(self) -> int | None:
        """Number of questions per benchmark (or group); None means all."""
        return SAMPLES[self.sample] if self.sample in SAMPLES else int(self.sample)

    @property
    def conditions(self) -> dict[str, str]:
        """The conditions of `where` by field."""
        return {name: value for name, _, value in (pair.partition("=") for pair in self.where)}

    @property
    def at_once(self) -> int:
        """Number of attempts at the same time; few for a model in this process, which answers calls one by one."""
        return MOST_CALLS if self.batch else at_once(self.concurrency, self.llm, self.judge)

    @property
    def staged(self) -> bool:
        """Whether the model is driven by small constrained calls; auto does so for embedded models and GGUF files."""
        return is_embedded(self.llm) if self.style is StyleChoice.AUTO else self.style is StyleChoice.STAGED


def at_once(concurrency: int | None, *models: str) -> int:
    """Return the number of attempts at the same time for these models."""
    if concurrency is not None:
        return concurrency
    return 2 if any(is_embedded(model) for model in models) else 16


MAY_CHANGE: Mapping[str, str] = {
    "sample": "may be raised, to extend the run",
    "attempts": "may be raised, to extend the run",
    "concurrency": "changes speed only",
    "batch": "changes speed and price only: an answered call is not made again",
    **SPENDING_MAY_CHANGE,
    "max_errors": "a limit of patience",
    "benchmarks": "the questions are compared instead, so that files may move",
    "corpus": "its snapshot is compared instead",
    "index": "its snapshot is compared instead",
    "skip_bad": "the index snapshot is compared instead",
    "embedder": "its model's name is compared instead",
    "retriever": "its name is compared instead, so that a server may move",
    "retriever_key_env": "says where the key is; the requests do not change",
    "retriever_headers": "as retriever_key_env",
    "price_search": "as price_in",
    "reranker": "its model's name is compared instead, so that an endpoint may move",
    "price_rerank": "as price_in",
    "prompts": "their hash is compared instead",
    "llm": "the model's name is compared instead, so that an endpoint may move",
    "judge": "as llm",
}
"""Keys that a resume may change, with the reason why they change no result. Other changes are refused."""
