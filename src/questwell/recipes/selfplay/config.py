"""The config of `selfplay`: its keys with their defaults, the presets, and the keys that a resume may change."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from questwell.errors import ConfigError
from questwell.games.pool import EmptySlots, Pool
from questwell.games.ssp import DistractorUnit, Rules
from questwell.games.ssp_rewards import Payment, Payments
from questwell.recipes.corpus.index import IndexConfig
from questwell.recipes.runs.agents import MaybeModel, Model
from questwell.recipes.runs.config import Renamed, Values, nearest, settle_unset
from questwell.recipes.runs.learning import LearningConfig
from questwell.recipes.runs.spending import SPENDING_MAY_CHANGE, SpendingConfig
from questwell.text.lists import parse_fractions, parse_range, split_commas
from questwell.training.update import default_learning_rate
from questwell.types.game import AnswerType

TOY = "toy"
"""Name of the toy corpus (a made-up world) and of a tiny model that is trained on demonstrations of it."""


class Trained(StrEnum):
    """Roles whose trajectories are trained on. Both roles share one policy, so its weights change either way."""

    BOTH = "both"
    SOLVER = "solver"
    PROPOSER = "proposer"


class Order(StrEnum):
    """Order of a step's updates."""

    SOLVER_FIRST = "solver-first"
    """Two updates, first the solver's (paper)."""
    PROPOSER_FIRST = "proposer-first"
    JOINT = "joint"
    """One update on the trajectories of both roles."""


class Config(LearningConfig, SpendingConfig, IndexConfig):
    """Config keys of `selfplay`. The defaults are the paper's rules at a size for one machine."""

    renamed: ClassVar[Mapping[str, Renamed]] = {
        "kl": Renamed("kl_coefficient"),
        "half": Renamed("dtype", {True: "bfloat16", False: "float32"}),
        "warmup_steps": Renamed("lr_warmup_steps"),
        "filling": Renamed("empty_slots"),
        "noise": Renamed("distractors"),
        "noise_unit": Renamed("distractor_unit"),
    }

    model: Model
    """Model that plays both roles: a Hugging Face folder or hub name, FILE.gguf, local, local-small, or toy."""
    judge_llm: MaybeModel = None
    """Separate model that judges answers; without one, only an exact match counts as right."""
    verifier_llm: MaybeModel = None
    """Model that verifies questions; by default the policy itself."""
    prompts: Path | None = None
    """Folder of prompt files that replace the packaged ones of the same name."""

    answers: Path | None = None
    """JSONL of known answers (answer; optionally aliases, hops, and the passage_id of a passage that contains it, which
    the proposer is shown); by default answers are drawn from the corpus."""
    answer_types: Annotated[tuple[AnswerType, ...], BeforeValidator(split_commas), Field(min_length=1)] = tuple(
        AnswerType
    )
    """Answer types to draw from the corpus, separated by commas."""
    hops: str = "2..4"
    """Target number of searches per question, drawn from this range unless --answers gives it."""
    held_out: Path | None = None
    """JSONL of questions to evaluate on (question, answer; optionally aliases and hops); never trained on."""
    steps: int = Field(default=150, ge=1)
    """Training steps."""
    batch: int = Field(default=32, ge=1)
    """Answers per step."""
    attempts: int = Field(default=5, ge=1, le=100)
    """Solver attempts per problem."""
    seed: int = 0
    """Random seed of the run."""

    min_searches: int = Field(default=1, ge=0)
    """Minimum number of searches that a proposer must make (the paper's release: 2)."""
    min_words: int = Field(default=0, ge=0)
    """Minimum number of words in a question (the paper's release: 10); scripts without spaces count characters."""
    distinct_queries: bool = False
    """Reject proposals that search for the same query twice, as the paper's release does."""
    verify: bool = True
    """Keep only questions that can be answered from their own documents with distractors mixed in."""
    distractors: int = Field(default=4, ge=0)
    """Number of unrelated passages (or trajectories) to mix in when a question is verified."""
    distractor_unit: DistractorUnit = DistractorUnit.PASSAGES
    """Unit of --distractors: passages (the paper), or trajectories (all documents of one proposer; its release)."""
    payment: Payment = Payment.DIFFICULTY
    """Reward of a valid question: difficulty (1 - accuracy), learnability (0 also when unsolved), or band (0 or 1)."""
    band: str = "0.2..0.8"
    """Range of solver accuracy that --payment band rewards, as fractions."""
    invalid_reward: float = 0.0
    """Reward of an invalid proposal; negative values made the paper's proposer collapse."""
    repetition_penalty: float = Field(default=0.0, ge=0)
    """Weight of the penalty for questions that are similar to others in the batch."""
    empty_slots: EmptySlots = EmptySlots.PERIODIC_RESET
    """How to fill slots without a valid question: periodic-reset, full-reuse, dynamic-resampling or dummy."""
    reset_every: int = Field(default=10, ge=1)
    """Number of steps between resets of the question pool."""
    resamples: int = Field(default=3, ge=0)
    """Maximum number of further proposals per slot with --empty-slots dynamic-resampling."""

    train: Trained = Trained.BOTH
    """Role whose trajectories are trained on: both, solver or proposer (the paper's ablations)."""
    order: Order = Order.SOLVER_FIRST
    """Order of the updates: solver-first (paper), proposer-first, or joint."""
    solver_algorithm: Literal["grpo", "reinforce"] = "grpo"
    """Algorithm that turns the solver's rewards into advantages."""
    proposer_baseline: Literal["none", "batch", "hops", "group"] = "none"
    """Baseline of the proposer's reward: none (the paper), batch, hops (same number), or group (same answer; GRPO)."""
    proposals: int = Field(default=1, ge=1)
    """Number of proposals per answer; --batch counts all proposals."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Learning rate of the policy; by default 1e-6 for all weights and 1e-4 for an adapter."""
    lr_warmup_steps: int = Field(default=5, ge=0)
    """Number of steps over which the learning rate rises linearly from 0."""
    clip_low: float = Field(default=0.2, gt=0)
    """Lower clip range of the probability ratio."""
    clip_high: float = Field(default=0.285, gt=0)
    """Upper clip range of the probability ratio."""
    kl_coefficient: float = Field(default=0.01, ge=0)
    """Weight of the KL divergence from the initial policy, in the loss (low-variance estimator)."""
    minibatches: int = Field(default=2, ge=1)
    """Number of optimizer steps per update."""
    response_limit: int = Field(default=8192, ge=1)
    """Maximum tokens of a trajectory to train on."""

    turns: int = Field(default=10, ge=1)
    """Maximum number of messages of an agent."""
    top_k: int = Field(default=3, ge=1)
    """Number of passages that a search returns to the agent."""
    temperature: float = Field(default=1.0, gt=0, le=2)
    """Sampling temperature of both roles in training; verification is greedy."""
    turn_tokens: int = Field(default=1024, ge=1)
    """Maximum tokens of one model message."""

    eval_every: int = Field(default=10, ge=0)
    """Number of steps between evaluations on held-out questions, starting before the first step; 0 means none."""
    eval_temperature: float = Field(default=0.0, ge=0, le=2)
    """Sampling temperature of the held-out evaluation, one attempt per question; 0 is greedy."""
    save_every: int = Field(default=10, ge=1)
    """Number of steps between checkpoints; --resume continues from the latest one."""
    keep: int = Field(default=2, ge=1)
    """Number of newest checkpoints to keep."""
    stop_on_alarm: bool = False
    """Stop when an alarm of collapse goes off."""

    @model_validator(mode="after")
    def _defaults(self) -> Self:
        self.settle_defaults()
        return self

    def settle_defaults(self) -> None:
        """Set a default that depends on another key, so that the run saves it."""
        settle_unset(self, {"learning_rate": default_learning_rate(self.lora_rank)})

    @field_validator("hops")
    @classmethod
    def _hops(cls, hops: str) -> str:
        _range(hops)
        return hops

    @field_validator("band")
    @classmethod
    def _band(cls, band: str) -> str:
        parse_fractions(band)
        return band

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.model == TOY) != (self.corpus == TOY):
            raise ValueError(
                "--model toy and --corpus toy go together: the tiny model knows only the words of the toy world"
            )
        if self.batch % self.proposals:
            raise ValueError(f"--batch {self.batch} must be a multiple of --proposals {self.proposals}")
        if self.proposer_baseline == "group" and self.proposals == 1:
            raise ValueError(
                "--proposer-baseline group compares proposals for one answer: --proposals must be 2 or more"
            )
        if self.empty_slots is EmptySlots.RESAMPLING and self.proposals > 1:
            raise ValueError("--empty-slots dynamic-resampling mixes different answers: --proposals must be 1")
        if self.corpus == TOY and (self.judge_llm or self.verifier_llm or self.held_out or self.answers):
            raise ValueError(
                "the toy world has its own answers, judge, verifier and held-out questions: leave out their flags"
            )
        return self

    @property
    def hop_range(self) -> tuple[int, int]:
        """Minimum and maximum number of searches that a question should need."""
        return _range(self.hops)

    @property
    def updates(self) -> int:
        """Number of updates per step."""
        return 2 if self.train is Trained.BOTH and self.order is not Order.JOINT else 1

    def rules(self) -> Rules:
        """The rules of the game."""
        return Rules(
            attempts=self.attempts,
            searches=self.min_searches,
            words=self.min_words,
            distinct_queries=self.distinct_queries,
            verify=self.verify,
            noise=self.distractors,
            distractor_unit=self.distractor_unit,
            payments=Payments(self.payment, parse_fractions(self.band), self.invalid_reward, self.repetition_penalty),
            proposals=self.proposals,
            resamples=self.resamples,
        )

    def pool(self) -> Pool:
        """Return an empty pool."""
        return Pool(self.empty_slots, self.reset_every)


MAY_CHANGE: Mapping[str, str] = {
    "model": "its weights are compared instead, so that a folder may move",
    "answers": "their content is compared instead",
    "held_out": "its content is compared instead",
    "steps": "may be raised, to extend the run",
    "save_every": "changes only how much work a kill loses",
    "keep": "changes disk space only",
    "stop_on_alarm": "changes only when the run stops",
    "fit": "chooses for a new run only",
    "memory": "as fit",
    "micro_tokens": "changes memory and speed; results to rounding",
    "checkpointing": "changes memory and speed",
    "rollout_rows": "changes memory and speed; results to rounding",
    "device": "results to rounding",
    **SPENDING_MAY_CHANGE,
    "corpus": "its snapshot is compared instead",
    "index": "its snapshot is compared instead",
    "skip_bad": "the index snapshot is compared instead",
    "prompts": "their hash is compared instead",
    "judge_llm": "the model's name is compared instead, so that an endpoint may move",
    "verifier_llm": "as judge_llm",
}
"""Keys that a resume may change, with the reason why they change no step. Other changes are refused."""

# arXiv 2510.18821: a step of 256 answers in two minibatches, and the policy as its own verifier.
_PAPER: Values = {
    "batch": 256,
    "attempts": 5,
    "min_searches": 1,
    "min_words": 0,
    "distinct_queries": False,
    "verify": True,
    "distractors": 4,
    "distractor_unit": "passages",
    "payment": "difficulty",
    "invalid_reward": 0.0,
    "repetition_penalty": 0.0,
    "empty_slots": "periodic-reset",
    "reset_every": 10,
    "train": "both",
    "order": "solver-first",
    "solver_algorithm": "grpo",
    "proposer_baseline": "none",
    "learning_rate": 1e-6,
    "lr_warmup_steps": 5,
    "clip_low": 0.2,
    "clip_high": 0.285,
    "kl_coefficient": 0.01,
    "minibatches": 2,
    "lora_rank": 0,
    "response_limit": 8192,
    "turns": 10,
    "top_k": 3,
    "temperature": 1.0,
    "steps": 150,
}

PRESETS: Mapping[str, Values] = {
    "ssp-paper": _PAPER,
    # Where the authors' code differs from the paper. It accepts questions that its verifier fails on; we do not.
    "ssp-release": {
        **_PAPER,
        "min_searches": 2,
        "min_words": 10,
        "distinct_queries": True,
        "distractor_unit": "trajectories",
    },
}


def preset(name: str) -> Values:
    """Return the keys of a preset."""
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}{nearest(name, PRESETS)}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]


def _range(text: str) -> tuple[int, int]:
    bounds = parse_range(text, int)
    if bounds is None or not 1 <= bounds[0] <= bounds[1] <= 20:
        raise ValueError("expected a range like 2..4, between 1 and 20")
    return bounds
