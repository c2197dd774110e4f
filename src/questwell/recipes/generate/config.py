"""The config of `generate`: every key with its meaning and default, the presets, and what a resume may change."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from questwell.errors import ConfigError
from questwell.games.sage import Rules, Variant
from questwell.games.seeds import Mix, parse_mix, parse_steps
from questwell.games.verdict import Acceptance, PassRateBand, StepTarget
from questwell.recipes.corpus.search import SearchConfig, Tools
from questwell.recipes.runs.agents import MaybeModel, Model, StyleChoice, is_embedded
from questwell.recipes.runs.config import Values, nearest
from questwell.recipes.runs.spending import SPENDING_MAY_CHANGE, SpendingConfig
from questwell.text.lists import parse_range, split_commas
from questwell.types.game import AnswerType, Gate
from questwell.types.trajectory import Role


class Config(SpendingConfig, SearchConfig):
    """What a run of `generate` does."""

    llm: Model = "local"
    """Model for all roles: local, local-small, FILE.gguf, openai:MODEL or MODEL@BASE_URL."""
    proposer_llm: MaybeModel = None
    """Model of the proposer, if it is not the one of --llm."""
    solver_llm: MaybeModel = None
    """Model of the solver, if it is not the one of --llm."""
    judge_llm: MaybeModel = None
    """Model of the judge, if it is not the one of --llm."""
    style: StyleChoice = StyleChoice.AUTO
    """How agents are driven: free (the model decides each move), staged (small constrained calls), auto (by model)."""
    protocol: Literal["tags", "functions"] = "tags"
    """How a free agent writes its moves: tags in plain text, or function calls."""
    tools: Tools = ("search",)
    """What a free agent may call, separated by commas: search, open (whole documents), find (inside one)."""
    prompts: Path | None = None
    """Folder of prompt files that replace the packaged ones of the same name."""

    seeds: int | None = Field(default=None, ge=1)
    """Number of seed passages to play."""
    items: int | None = Field(default=None, ge=1)
    """Stop when this many items are accepted (checked after each wave)."""
    steps: str = "2..4"
    """Search steps to aim for, drawn uniformly from this range; any sets no target."""
    mix: str | None = None
    """Wanted mix of difficulties, instead of --steps: ranges of search steps with shares, 2-3:40,4-5:40,6-7:20."""
    answer_types: Annotated[tuple[AnswerType, ...], BeforeValidator(split_commas), Field(min_length=1)] = tuple(
        AnswerType
    )
    """Answer types to ask for, separated by commas."""
    seed_words: int = Field(default=20, ge=0)
    """Fewest words a passage must have to be a seed."""
    seed: int = 0
    """Random seed of the run."""
    wave: int = Field(default=32, ge=1)
    """Seeds played between two checks of what was accepted; matters only with --mix and --items."""

    variant: Variant = Variant.FEEDBACK
    """What happens after a question fails: initial (nothing), resample (a new question), feedback (a repair)."""
    attempts: int = Field(default=4, ge=1, le=100)
    """Solver attempts per question (K)."""
    rounds: int = Field(default=2, ge=0, le=20)
    """Rounds after the first one, in which a failed question is repaired or replaced."""
    early_stop: bool = True
    """Stop a question's attempts once the verdict is decided; switch it off to measure Avg@K."""
    accept: Literal["steps", "band"] = "steps"
    """What is accepted: steps (solved, never in fewer steps than the target) or band (solve rate within --band)."""
    band: str = "0.2..0.8"
    """Solve rates that pass under accept = band, fractions."""
    min_difficulty: int = Field(default=0, ge=0)
    """Minimum number of search steps; with accept = band too."""
    last_round_takes_correct: bool = False
    """Accept what is solved in the last round though too easy (the release's assembly of training data)."""
    unscored_is_wrong: bool = False
    """Count an unreadable judgement as wrong, as in the paper, instead of rejecting the question."""
    gates: Annotated[tuple[Gate, ...] | None, BeforeValidator(split_commas)] = None
    """Checks to run on each accepted question, separated by commas: closed-book, evidence, shortcut, unique."""

    proposer_turns: int = Field(default=20, ge=1)
    """Most messages a free proposer may write."""
    proposer_searches: int | None = Field(default=None, ge=0)
    """Searches of a proposer; 20, or 60 for a staged one, whose queries are picked by code."""
    solver_turns: int = Field(default=10, ge=1)
    """Most messages a free solver may write."""
    solver_searches: int = Field(default=10, ge=0)
    """Most searches a solver may make."""
    top_k: int = Field(default=3, ge=1)
    """Passages shown per search."""
    temperature: float = Field(default=1.0, ge=0, le=2)
    """Sampling temperature of proposer and solver; the judge's is 0."""
    turn_tokens: int | None = Field(default=None, ge=1)
    """Tokens of one model message, thoughts included; 8192, or 1024 for a model in this process."""

    concurrency: int | None = Field(default=None, ge=1)
    """Seeds played at the same time; 16, or 2 if a model runs in this process."""
    max_errors: int = Field(default=20, ge=1)
    """Stop after this many failed plays in a row."""

    @field_validator("steps")
    @classmethod
    def _steps(cls, steps: str) -> str:
        return steps if steps == "any" else _checked(steps, parse_steps)

    @field_validator("mix")
    @classmethod
    def _mix(cls, mix: str | None) -> str | None:
        return None if mix is None else _checked(mix, parse_mix)

    @field_validator("band")
    @classmethod
    def _band(cls, band: str) -> str:
        _bounds(band)
        return band

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.seeds is None and self.items is None:
            raise ValueError("say how much to make: seeds (-n 20) or items (--items 10)")
        return self

    @property
    def targets(self) -> Mix | None:
        """The difficulties to draw from; None leaves the target unspecified."""
        if self.mix is not None:
            return parse_mix(self.mix)
        return None if self.steps == "any" else parse_steps(self.steps)

    @property
    def steered(self) -> bool:
        """Whether what is drawn depends on what was accepted, so that waves must end before the next is drawn."""
        return self.mix is not None or self.items is not None

    def model_of(self, role: Role) -> str:
        """The model that plays `role`, as the user named it."""
        named = {Role.PROPOSER: self.proposer_llm, Role.SOLVER: self.solver_llm, Role.JUDGE: self.judge_llm}
        return named[role] or self.llm

    @property
    def plays_at_once(self) -> int:
        """Seeds in play at once. A model in this process answers one call at a time: more plays only make a queue."""
        if self.concurrency is not None:
            return self.concurrency
        return 2 if any(is_embedded(self.model_of(role)) for role in Role) else 16

    def rules(self) -> Rules:
        """The game's rules."""
        low, high = _bounds(self.band)
        acceptance: Acceptance = StepTarget(self.min_difficulty)
        if self.accept == "band":
            acceptance = PassRateBand(low, high, self.min_difficulty)
        return Rules(
            variant=self.variant,
            attempts=self.attempts,
            rounds=self.rounds,
            early_stop=self.early_stop,
            acceptance=acceptance,
            unscored_is_wrong=self.unscored_is_wrong,
            last_round_takes_correct=self.last_round_takes_correct,
            minimum_difficulty=self.min_difficulty,
            gates=self.gates or (),
        )


MAY_CHANGE: Mapping[str, str] = {
    "seeds": "may be raised, to extend the run",
    "items": "may be raised, to extend the run",
    "concurrency": "changes speed only",
    **SPENDING_MAY_CHANGE,
    "max_errors": "a limit of patience",
    "price_search": "applies to later searches",
    "corpus": "its snapshot is compared instead",
    "index": "its snapshot is compared instead",
    "skip_bad": "the index snapshot is compared instead",
    "embedder": "its model's name is compared instead, so that an endpoint may move",
    "prompts": "their hash is compared instead",
    "llm": "the models' names are compared instead, so that an endpoint may move",
    "proposer_llm": "as llm",
    "solver_llm": "as llm",
    "judge_llm": "as llm",
}
"""Keys that a resume may give another value, and why: they change no result. Any other change is refused."""

PRESETS: Mapping[str, Values] = {
    # The paper's intrinsic table (arXiv 2601.18202, section 4): all K attempts, targets 3..7, three rounds.
    "sage-paper": {
        "variant": "feedback",
        "style": "free",
        "protocol": "tags",
        "steps": "3..7",
        "attempts": 4,
        "rounds": 3,
        "early_stop": False,
        "accept": "steps",
        "unscored_is_wrong": True,
        "proposer_turns": 20,
        "solver_turns": 20,
        "solver_searches": 20,
        "top_k": 3,
        "temperature": 1.0,
    },
    # Its training data, as the release assembles them: two rounds, what is solved in the last one, difficulty >= 2.
    "sage-paper-data": {
        "variant": "feedback",
        "style": "free",
        "protocol": "tags",
        "steps": "2..10",
        "attempts": 4,
        "rounds": 2,
        "accept": "steps",
        "unscored_is_wrong": True,
        "last_round_takes_correct": True,
        "min_difficulty": 2,
        "proposer_turns": 20,
        "solver_turns": 10,
        "top_k": 3,
        "temperature": 1.0,
    },
}


def preset(name: str) -> Values:
    """The keys of a preset."""
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}{nearest(name, PRESETS)}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]


def _checked(text: str, parse: Callable[[str], Mix]) -> str:
    try:
        parse(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None  # pydantic gathers these, so that all problems are told at once
    return text


def _bounds(text: str) -> tuple[float, float]:
    bounds = parse_range(text, float) if ".." in text else None  # one fraction alone is no band
    if bounds is None or not 0 <= bounds[0] <= bounds[1] <= 1:
        raise ValueError("expected two fractions like 0.2..0.8")
    return bounds
