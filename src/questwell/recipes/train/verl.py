"""Implements `questwell train --engine verl`: turns the keys of `train` into a verl run, and writes its data."""

import random
from collections.abc import Sequence
from pathlib import Path

from questwell.agents.prompts import Prompts
from questwell.agents.rollout import RolloutLimits
from questwell.errors import ConfigError
from questwell.llm.connect import ConnectOptions
from questwell.recipes.corpus.index import open_index
from questwell.recipes.runs.caller import IndexProgress
from questwell.recipes.runs.judging import make_judge
from questwell.recipes.runs.models import ModelConfig
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.data import read_held_out, read_questions
from questwell.training.engines.verl.launch import VerlRun, prepare
from questwell.training.engines.verl.reward import JudgeOptions
from questwell.types.evaluation import Question
from questwell.types.trajectory import Role

_SAME = {
    *("data", "held_out", "model", "corpus", "index", "analyzer", "licence", "skip_bad", "retriever", "prompts"),
    *("algorithm", "steps", "seed", "reward", "judge", "turns", "searches", "top_k", "turn_tokens"),
    *(ModelConfig.model_fields.keys() - {"reader_tokens"}),  # of the judge
}
"""Keys that have the same meaning in verl."""
_ACTOR = "actor_rollout_ref.actor"
_THERE = {
    "group": "actor_rollout_ref.rollout.n",
    "temperature": "actor_rollout_ref.rollout.temperature",
    "response_limit": "data.max_response_length",
    "learning_rate": f"{_ACTOR}.optim.lr",
    "critic_learning_rate": "critic.optim.lr",
    "lr_warmup_steps": f"{_ACTOR}.optim.lr_warmup_steps",
    "critic_warmup_steps": "trainer.critic_warmup",
    "epochs": f"{_ACTOR}.ppo_epochs",
    "clip_low": f"{_ACTOR}.clip_ratio_low",
    "clip_high": f"{_ACTOR}.clip_ratio_high",
    "value_clip": "critic.cliprange_value",
    "gradient_clip": f"{_ACTOR}.grad_clip",
    "entropy_coefficient": f"{_ACTOR}.entropy_coeff",
    "gamma": "algorithm.gamma",
    "gae_lambda": "algorithm.lam",
    "scale": "algorithm.norm_adv_by_std_in_grpo",
    "lora_rank": "actor_rollout_ref.model.lora_rank",
    "checkpointing": "actor_rollout_ref.model.enable_gradient_checkpointing",
    "save_every": "trainer.save_freq",
    "eval_every": "trainer.test_freq",
    "batch": "data.train_batch_size",
}
"""Keys that have another name in verl."""
HELD_OUT = 20
"""One question in this many is used for verl's validation; at least one."""


def verl_run(config: TrainConfig, folder: Path, *, nodes: int = 1, gpus: int = 8, more: Sequence[str] = ()) -> VerlRun:
    """Return the verl run that `config` describes. Keys that were not given take the values of the paper's preset.

    Args:
        config: config of `train`.
        folder: folder of the run.
        nodes: number of machines.
        gpus: number of GPUs per machine.
        more: verl's own `key=value` settings; they override everything else.

    Raises:
        ConfigError: a key was given that verl does not have, or the model is one that verl cannot load.
    """
    given = config.model_fields_set
    if config.toy:
        raise ConfigError("the toy world trains with the local engine only: leave --engine verl out")
    if lost := sorted(given - _SAME - _THERE.keys()):
        raise ConfigError(f"verl does not support {', '.join(lost)}: leave it out, or set verl's own key with --verl")
    if config.model in ("local", "local-small") or config.model.endswith(".gguf"):
        raise ConfigError(f"verl cannot load {config.model!r}: name a Hugging Face model or a folder of one")
    unset = VerlRun(folder, "", "")
    overrides = [f"{_THERE[key]}={getattr(config, key)}" for key in sorted(given & _THERE.keys())]
    if "batch" in given:
        overrides.append(f"{_ACTOR}.ppo_mini_batch_size={config.batch}")  # it may not be larger than the batch
    limits = RolloutLimits(
        turns=config.turns if "turns" in given else unset.limits.turns,
        searches=config.searches if "searches" in given else unset.limits.searches,
        top_k=config.top_k,
    )
    return VerlRun(
        folder=folder,
        model=config.model,
        retriever=config.retriever if config.searches_elsewhere else str(config.folder.resolve()),
        algorithm=config.algorithm,
        reward=config.reward.value,
        judge=config.judge,
        judge_options=_judge_options(config) if config.judge else "",
        nodes=nodes,
        gpus=gpus,
        steps=config.steps if "steps" in given else None,
        limits=limits,
        turn_tokens=config.turn_tokens if "turn_tokens" in given else unset.turn_tokens,
        random_seed=config.seed,
        prompts=config.prompts,
        overrides=(*overrides, *more),
    )


def _judge_options(config: TrainConfig) -> str:
    """Return the judge's non-default options for verl's workers."""
    reached = config.connect_options(Role.JUDGE, ConnectOptions().max_in_flight, None)
    asked, endpoint = make_judge(config, Prompts(config.prompts), config.judge), reached.endpoint
    options = JudgeOptions(
        prompts=config.prompts.resolve() if config.prompts else None,
        structured=asked.structured,
        max_tokens=asked.max_tokens,
        temperature=asked.temperature,
        key_env=reached.api_key_env,
        base_url=reached.base_url,
        omit=tuple(sorted(endpoint.omit)),
        extra=dict(endpoint.extra),
        headers=dict(endpoint.headers),
        query=dict(endpoint.query),
        reasoning_effort=endpoint.reasoning_effort,
        timeout_s=endpoint.timeout_s,
        stream=endpoint.stream,
    )
    changed = options.model_dump_json(exclude_defaults=True)
    return "" if changed == "{}" else changed


def write(run: VerlRun, config: TrainConfig, index_progress: IndexProgress | None = None) -> None:
    """Write the files that the run's command reads; builds the index of the corpus if it does not exist.

    Raises:
        AssetError, BenchmarkError, ConfigError, CorpusError, RetrievalError, StoreError: an input is missing.
    """
    if not config.searches_elsewhere:
        open_index(config, index_progress)
    questions = read_questions(config.data)
    if config.held_out is not None:
        prepare(run, questions, read_held_out(config.held_out, questions))
    else:
        prepare(run, *parted(questions, config.seed))


def parted(questions: Sequence[Question], seed: int) -> tuple[list[Question], list[Question]]:
    """Split into (questions to train on, questions to validate on), each in its old order.

    Raises:
        ConfigError: there are fewer than two questions.
    """
    if len(questions) < 2:
        raise ConfigError("verl needs at least two questions: one to train on and one to validate on")
    held_out = set(random.Random(seed).sample(range(len(questions)), max(1, len(questions) // HELD_OUT)))
    train = [question for at, question in enumerate(questions) if at not in held_out]
    return train, [question for at, question in enumerate(questions) if at in held_out]
