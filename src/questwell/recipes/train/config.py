"""The config of `train`: its keys with their defaults, and the keys that a resume may change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from questwell.recipes.corpus.index import Corpus
from questwell.recipes.corpus.search import SearchConfig
from questwell.recipes.runs.agents import Model
from questwell.recipes.runs.config import MayBePath, Renamed, Values, settle_unset
from questwell.recipes.runs.learning import LearningConfig
from questwell.recipes.runs.spending import SPENDING_MAY_CHANGE, SpendingConfig
from questwell.scoring.rewards import RewardKind
from questwell.training.update import default_critic_learning_rate, default_learning_rate


class TrainConfig(LearningConfig, SearchConfig, SpendingConfig):
    """Config keys of `train`."""

    older: ClassVar[Values] = {}
    renamed: ClassVar[Mapping[str, Renamed]] = {
        "lam": Renamed("gae_lambda"),
        "lora": Renamed("lora_rank"),
        "half": Renamed("dtype", {True: "bfloat16", False: "float32"}),
        "warmup_steps": Renamed("lr_warmup_steps"),
    }

    data: Annotated[Path, MayBePath()]
    """Questions to train on: a generate run, a file of a dataset, JSONL (question, answer), verl's parquet, or toy."""
    model: Model = "local-small"
    """Model to train: local, local-small, FILE.gguf, a Hugging Face folder, or a name on the hub (OWNER/NAME)."""
    corpus: Corpus = ""
    """Corpus to search: islands, factbook, foldoc, hf:NAME, or a file or folder of documents; or give --retriever."""
    prompts: Path | None = None
    """Folder of prompt files that replace the packaged ones of the same name."""

    algorithm: Literal["ppo", "grpo", "reinforce"] = "ppo"
    """Algorithm: ppo (critic and GAE), grpo (compares attempts of a group) or reinforce (compares with a mean)."""
    steps: int = Field(default=100, ge=1)
    """Number of updates."""
    batch: int = Field(default=16, ge=1)
    """Questions per step."""
    group: int = Field(default=4, ge=1)
    """Attempts per question."""
    seed: int = 0
    """Random seed of the run."""

    reward: RewardKind = RewardKind.EM
    """Reward of an answer: em, f1, judge, or chain (the judge decides only when there is no exact match)."""
    judge: Model = ""
    """Judge model for --reward judge and chain, named like --llm of generate."""
    turns: int = Field(default=4, ge=1)
    """Maximum number of messages per attempt."""
    searches: int = Field(default=4, ge=0)
    """Maximum number of searches per attempt."""
    top_k: int = Field(default=3, ge=1)
    """Number of passages that a search returns to the agent."""
    turn_tokens: int = Field(default=256, ge=1)
    """Maximum tokens of one message."""
    response_limit: int = Field(default=2048, ge=1)
    """Maximum tokens of an attempt, after its prompt, to train on; longer attempts are cut."""
    temperature: float = Field(default=1.0, gt=0, le=2)
    """Sampling temperature."""

    learning_rate: float | None = Field(default=None, gt=0)
    """Learning rate of the actor; by default 1e-6 for all weights and 1e-4 for an adapter."""
    critic_learning_rate: float | None = Field(default=None, gt=0)
    """Learning rate of the critic (ppo); by default 1e-5 for all weights and 1e-4 for an adapter."""
    lr_warmup_steps: int = Field(default=0, ge=0)
    """Number of steps over which the learning rates rise linearly from 0."""
    critic_warmup_steps: int = Field(default=0, ge=0)
    """Number of steps at the start in which only the critic learns."""
    epochs: int = Field(default=1, ge=1)
    """Number of passes over the attempts of a step."""
    minibatches: int = Field(default=1, ge=1)
    """Number of optimizer steps per pass over the attempts."""
    clip_low: float = Field(default=0.2, gt=0, lt=1)
    """Lower clip range of the probability ratio."""
    clip_high: float = Field(default=0.2, gt=0)
    """Upper clip range of the probability ratio."""
    value_clip: float | None = Field(default=0.5, gt=0)
    """Clip range of the critic's values per step (ppo)."""
    gradient_clip: float = Field(default=1.0, gt=0)
    """Maximum gradient norm; larger gradients are scaled down to it."""
    kl_coefficient: float = Field(default=0.001, ge=0)
    """Weight of the KL divergence from the initial policy; with 0, no reference model is kept."""
    kl_in: Literal["reward", "loss"] | None = None
    """Where the KL penalty goes: reward or loss; by default loss for grpo and reward for the others."""
    sampler_ratio_cap: float | None = Field(default=2.0, ge=1)
    """Cap on a token's weight when the sampler's lower precision is corrected (truncated importance sampling)."""
    entropy_coefficient: float = Field(default=0.0, ge=0)
    """Weight of the entropy bonus."""
    gamma: float = Field(default=1.0, gt=0, le=1)
    """Discount per token (ppo)."""
    gae_lambda: float = Field(default=1.0, ge=0, le=1)
    """Lambda of GAE (ppo)."""
    scale: bool = True
    """Divide advantages by the group's standard deviation (grpo)."""
    baseline: Literal["none", "batch", "stratum"] = "batch"
    """Baseline to subtract from rewards (reinforce): none, the mean of the batch, or of questions of the same kind."""

    warm_start_steps: int = Field(default=0, ge=0)
    """Number of supervised steps (SFT) before the first update."""
    demonstrations: Path | None = None
    """Demonstrations for the warm start: a generate run, or JSONL with messages; by default the run given as --data."""
    warm_start_batch: int = Field(default=16, ge=1)
    """Demonstrations per step of the warm start."""
    warm_start_learning_rate: float = Field(default=1e-5, gt=0)
    """Learning rate of the warm start."""

    rollouts: str = "here"
    """What samples attempts: here (this process), vllm (a server started for the run) or the URL of a vLLM server."""
    rollout_python: Path | None = None
    """Python of the environment that vLLM is installed in (--rollouts vllm); by default this one."""
    rollout_memory: float = Field(default=0.4, gt=0, lt=1)
    """Fraction of the GPU's memory for the vLLM server that --rollouts vllm starts."""

    held_out: Path | None = None
    """Held-out questions to evaluate on while training, in any form that --data takes; never trained on."""
    eval_every: int = Field(default=10, ge=0)
    """Number of steps between evaluations on held-out questions, starting before the first step; 0 means none."""
    eval_temperature: float = Field(default=0.0, ge=0, le=2)
    """Sampling temperature of the held-out evaluation, one attempt per question; 0 is greedy."""

    save_every: int = Field(default=10, ge=1)
    """Number of steps between checkpoints; --resume continues from the latest one."""
    keep: int = Field(default=2, ge=1)
    """Number of newest checkpoints to keep."""
    show: int = Field(default=4, ge=0)
    """Number of attempts per step to save in full, for reading."""
    tensorboard: bool = False
    """Also write TensorBoard events (extra tensorboard)."""
    stop_on_alarm: bool = True
    """Stop when an alarm goes off, which is a sign that the policy is collapsing."""
    min_finished: float | None = Field(default=0.1, ge=0, le=1)
    """Alarm when the share of attempts that end on their own falls below this fraction."""
    min_entropy: float | None = Field(default=0.001, ge=0)
    """Alarm when the entropy, in nats, falls below this."""
    max_truncated: float | None = Field(default=0.5, ge=0, le=1)
    """Alarm when the share of attempts cut at --response-limit rises above this fraction."""
    max_kl: float | None = Field(default=1.0, gt=0)
    """Alarm when the divergence from the initial policy, in nats per token, rises above this."""
    max_sampling_gap: float | None = Field(default=0.5, gt=0)
    """Alarm when sampler and trainer differ by more than this, in nats per token: they then have other weights."""

    @model_validator(mode="after")
    def _defaults(self) -> Self:
        self.settle_defaults()
        return self

    def settle_defaults(self) -> None:
        """Set defaults that depend on other keys, so that the run saves them."""
        defaults = {
            "learning_rate": default_learning_rate(self.lora_rank),
            "critic_learning_rate": default_critic_learning_rate(self.lora_rank),
            "kl_in": "loss" if self.algorithm == "grpo" else "reward",
        }
        settle_unset(self, defaults)

    @property
    def toy(self) -> bool:
        """Whether to train a small model in a made-up world, to try everything in minutes."""
        return self.data == Path("toy") and not self.data.exists()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.corpus and not self.searches_elsewhere and not self.toy:
            raise ValueError("say what to search: --corpus, or --retriever with an address")
        if self.reward in (RewardKind.JUDGE, RewardKind.CHAIN) and not self.judge:
            raise ValueError(f"reward = {self.reward.value} needs a judge model: --judge")
        if self.rollouts not in ("here", "vllm") and not self.rollouts.startswith(("http://", "https://")):
            raise ValueError(f"rollouts = {self.rollouts!r}: say here, vllm, or the URL of a vLLM server")
        if self.algorithm == "grpo" and self.group == 1:
            raise ValueError("grpo compares attempts at one question: --group must be 2 or more")
        return self


TOY: Values = {
    "batch": 16,
    "group": 8,
    "turns": 4,
    "top_k": 1,
    "turn_tokens": 8,
    "response_limit": 64,
    "steps": 60,
    "learning_rate": 1e-3,
    "critic_learning_rate": 3e-3,
    "minibatches": 2,
    "gae_lambda": 0.95,
    "warm_start_steps": 280,
    "warm_start_batch": 32,
    "warm_start_learning_rate": 4e-3,
    "min_entropy": None,
    "max_kl": None,
}
"""Defaults for `data = "toy"`: the policy starts half right and ends nearly always right."""

MAY_CHANGE: Mapping[str, str] = {
    "steps": "may be raised, to go on longer",
    "save_every": "changes no result",
    "keep": "changes no result",
    "show": "changes no result",
    "tensorboard": "changes no result",
    "micro_tokens": "changes memory and speed; results to rounding",
    "checkpointing": "changes memory and speed",
    "rollout_rows": "changes memory and speed; results to rounding",
    "device": "results to rounding",
    "stop_on_alarm": "whether to stop",
    "min_finished": "an alarm",
    "min_entropy": "an alarm",
    "max_truncated": "an alarm",
    "max_kl": "an alarm",
    "max_sampling_gap": "an alarm",
    "fit": "chooses for a new run only",
    "memory": "as fit",
    "rollouts": "changes speed; other attempts are sampled, from the same policy",
    "rollout_python": "changes no result",
    "rollout_memory": "changes no result",
    "model": "its weights are compared instead, so that a folder may move",
    "data": "its questions are compared instead",
    "held_out": "its questions are compared instead",
    "eval_every": "changes no step: more or fewer evaluations",
    "corpus": "its snapshot is compared instead",
    "index": "its snapshot is compared instead",
    "prompts": "their hash is compared instead",
    "demonstrations": "read only once, before the first step",
    **SPENDING_MAY_CHANGE,
}
"""Keys that a resume may change, with the reason. Other changes are refused."""
