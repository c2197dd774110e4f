"""Config keys for how questions are tried, shared by every recipe with solver attempts."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self, cast

from pydantic import BeforeValidator, Field, field_validator, model_validator

from questwell.games.rules import Rules, WeakRules
from questwell.games.verdict import Acceptance, PassRateBand, StepTarget
from questwell.recipes.corpus.search import SearchConfig, Tools
from questwell.recipes.runs.agents import MaybeModel, Model, StyleChoice, is_embedded
from questwell.recipes.runs.config import Values, resolve_saved
from questwell.recipes.runs.spending import SPENDING_MAY_CHANGE, SpendingConfig
from questwell.store.passage_refs import Json
from questwell.store.records import RunInfo
from questwell.text.lists import parse_fractions, split_commas
from questwell.types.gates import Gate
from questwell.types.trajectory import Role


class PlayConfig(SpendingConfig, SearchConfig):
    """Config keys for which models play, and when a question is accepted."""

    llm: Model = "local"
    """Model for all roles: local, local-small, FILE.gguf, openai:MODEL or MODEL@BASE_URL (or several: URL,URL)."""
    proposer_llm: MaybeModel = None
    """Model of the proposer, if not the one given by --llm."""
    solver_llm: MaybeModel = None
    """Model of the solver, if not the one given by --llm."""
    judge_llm: MaybeModel = None
    """Model of the judge, if not the one given by --llm."""
    weak_llm: MaybeModel = None
    """Model of a second, weaker solver, which must not solve an accepted question; none by default."""
    style: StyleChoice = StyleChoice.AUTO
    """How agents work: free (the model decides each move), staged (small constrained calls), or auto (by model)."""
    protocol: Literal["tags", "functions"] = "tags"
    """How a free agent writes its moves: tags (in plain text) or functions (function calls)."""
    tools: Tools = ("search",)
    """Tools of a free agent, separated by commas: search, open (read a document), find (search inside a document)."""
    prompts: Path | None = None
    """Folder of prompt files that replace the packaged ones of the same name."""

    seed: int = 0
    """Random seed of the run."""

    attempts: int = Field(default=4, ge=1, le=100)
    """Solver attempts per question (K)."""
    early_stop: bool = True
    """Stop a question's attempts once the verdict is decided; switch it off to measure Avg@K."""
    accept: Literal["steps", "band"] = "steps"
    """Acceptance rule: steps (solved, and never in fewer steps than the target) or band (solve rate within --band)."""
    band: str = "0.2..0.8"
    """Range of solve rates to accept with --accept band, as fractions."""
    min_difficulty: int = Field(default=0, ge=0)
    """Minimum number of search steps of an accepted question; also with --accept band."""
    unscored_is_wrong: bool = False
    """Count an unreadable judgement as wrong, as in the paper, instead of rejecting the question."""
    gates: Annotated[tuple[Gate, ...] | None, BeforeValidator(split_commas)] = None
    """Checks to run on each accepted question, separated by commas: closed-book, evidence, shortcut, unique,
    single-document, leave-one-out, findable, dated."""
    closed_book_attempts: int = Field(default=1, ge=1, le=20)
    """Number of times the closed-book gate asks: first at temperature 0, then at 1."""
    weak: Literal["search", "closed-book", "one-search"] | None = None
    """How the weak solver plays: search (as the solver does; with --weak-llm), closed-book, or one-search (answers from
    one search with the question). Without --weak-llm it is the solver's model."""
    weak_attempts: int = Field(default=4, ge=1, le=100)
    """Attempts of the weak solver per question that met its target."""
    weak_most: float = Field(default=0.0, ge=0, le=1)
    """Highest solve rate of the weak solver that passes, a fraction; 1 only measures it."""

    proposer_turns: int = Field(default=20, ge=1)
    """Maximum number of messages of a free proposer."""
    proposer_searches: int | None = Field(default=None, ge=0)
    """Maximum number of searches of a proposer; 20 by default, 10 per step if a staged one writes new questions."""
    solver_turns: int = Field(default=10, ge=1)
    """Maximum number of messages of a free solver."""
    solver_searches: int = Field(default=10, ge=0)
    """Maximum number of searches of a solver."""
    top_k: int = Field(default=3, ge=1)
    """Number of passages that a search returns to the agent."""
    temperature: float = Field(default=1.0, ge=0, le=2)
    """Sampling temperature of proposer and solver; the judge's is 0."""
    turn_tokens: int | None = Field(default=None, ge=1)
    """Maximum tokens of one model message, thoughts included; by default 8192, or 1024 for a model in this process."""

    concurrency: int | None = Field(default=None, ge=1)
    """Number of seeds played at the same time; by default 16, or 2 if a model runs in this process."""
    max_errors: int = Field(default=20, ge=1)
    """Stop after this many failed plays in a row."""

    @field_validator("band")
    @classmethod
    def _band(cls, band: str) -> str:
        parse_fractions(band)
        return band

    @model_validator(mode="after")
    def _weaker(self) -> Self:
        if self.weak == "search" and self.weak_llm is None:
            raise ValueError("weak = search without weak_llm is the solver itself: name a weaker model (--weak-llm)")
        return self

    def model_of(self, role: Role) -> str:
        """Return the model of `role`, as the user named it."""
        named = {
            Role.PROPOSER: self.proposer_llm,
            Role.SOLVER: self.solver_llm,
            Role.JUDGE: self.judge_llm,
            Role.WEAK: self.weak_llm or self.solver_llm,
        }
        return named[role] or self.llm

    @property
    def weak_mode(self) -> str | None:
        """How the weak solver plays; None if there is none."""
        return self.weak or ("search" if self.weak_llm is not None else None)

    @property
    def playing(self) -> tuple[Role, ...]:
        """The roles that have a model."""
        return tuple(role for role in Role if role is not Role.WEAK or self.weak_mode is not None)

    def rules(self) -> Rules:
        """The rules by which all plays try a question."""
        return Rules(
            attempts=self.attempts,
            early_stop=self.early_stop,
            acceptance=self.acceptance(),
            unscored_is_wrong=self.unscored_is_wrong,
            minimum_difficulty=self.min_difficulty,
            gates=self.gates or (),
            weak=None if self.weak_mode is None else WeakRules(self.weak_attempts, self.weak_most),
        )

    @property
    def plays_at_once(self) -> int:
        """Number of seeds played at the same time; few for a model in this process, which answers calls one by one."""
        if self.concurrency is not None:
            return self.concurrency
        return 2 if any(is_embedded(self.model_of(role)) for role in self.playing) else 16

    def acceptance(self) -> Acceptance:
        """The acceptance rule."""
        low, high = parse_fractions(self.band)
        if self.accept == "band":
            return PassRateBand(low, high, self.min_difficulty)
        return StepTarget(self.min_difficulty)


def played_with(info: RunInfo, *layers: Values) -> PlayConfig:
    """Return the models and rules of a run of any command, with `layers` on top."""
    kept = {
        key: value
        for key, value in cast(Values, info.config).items()
        if key in PlayConfig.model_fields or key in PlayConfig.renames()
    }
    return resolve_saved(PlayConfig, replace(info, config=cast(Json, kept)), *layers)


PLAY_MAY_CHANGE: Mapping[str, str] = {
    "concurrency": "changes speed only",
    **SPENDING_MAY_CHANGE,
    "max_errors": "a limit of patience",
    "retriever_key_env": "says where the key is; the requests do not change",
    "retriever_headers": "as retriever_key_env",
    "price_search": "applies to later searches",
    "reranker": "its model's name is compared instead, so that an endpoint may move",
    "price_rerank": "applies to later calls",
    "corpus": "its snapshot is compared instead",
    "index": "its snapshot is compared instead",
    "skip_bad": "the index snapshot is compared instead",
    "embedder": "its model's name is compared instead, so that an endpoint may move",
    "prompts": "their hash is compared instead",
    "llm": "the models' names are compared instead, so that an endpoint may move",
    "proposer_llm": "as llm",
    "solver_llm": "as llm",
    "judge_llm": "as llm",
    "weak_llm": "as llm",
}
"""Keys that a resume may change, with the reason why they change no result. Other changes are refused."""
