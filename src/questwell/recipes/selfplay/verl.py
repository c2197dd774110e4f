"""Implements `questwell selfplay --engine verl`: turns a self-play run into a verl run, and writes its rows.

Each answer gives two rows, for a slot's proposer and for its solver. verl plays the first once, and the second once per
attempt. A worker of verl plays the slots of its rows together (`verl_batch.py`). verl's GRPO compares the attempts of a
row, and gives a group of one its raw reward: REINFORCE without a baseline. This is the paper's choice for each role.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from questwell.agents.rollout import RolloutLimits
from questwell.errors import ConfigError
from questwell.games.answers import Position
from questwell.games.pool import EmptySlots
from questwell.recipes.runs.caller import IndexProgress
from questwell.recipes.runs.opening import Run
from questwell.recipes.selfplay.config import TOY, Config
from questwell.recipes.selfplay.record import KIND
from questwell.recipes.selfplay.setup import open_environment
from questwell.recipes.selfplay.verl_batch import Slot
from questwell.training.engines.verl.launch import VerlRun, solver_agent, write_agents
from questwell.training.engines.verl.rows import rows, write_rows
from questwell.types.evaluation import Question
from questwell.types.selfplay import AnswerSeed
from questwell.types.trajectory import Role

AGENT = "questwell_selfplay"
"""Name of the agent loop that plays a row."""
WORKERS = 8
"""Maximum number of verl workers that play (verl's own default)."""
_LEAST_SLOTS = 16
"""Minimum number of slots per worker: a question is verified among the documents of the worker's other slots."""
_SLOT = TypeAdapter(Slot)
_ACTOR = "actor_rollout_ref.actor"
_ROLLOUT = "actor_rollout_ref.rollout"


def verl_run(
    config: Config, folder: Path, *, nodes: int = 1, gpus: int = 8, more: Sequence[str] = (), model: str | None = None
) -> VerlRun:
    """Return the verl run that `config` describes.

    Args:
        config: config of `selfplay`.
        folder: folder of the run.
        nodes: number of machines.
        gpus: number of GPUs per machine.
        more: verl's own `key=value` settings; they override everything else.
        model: a folder to train instead of the config's model; for tests, in the toy world.

    Raises:
        ConfigError: a key has a value that verl does not support, or the model is one that verl cannot load.
    """
    _refuse(config)
    if model is None and (config.model in (TOY, "local", "local-small") or config.model.endswith(".gguf")):
        raise ConfigError(f"verl cannot load {config.model!r}: name a Hugging Face model or a folder of one")
    return VerlRun(
        folder=folder,
        model=model or config.model,
        retriever="" if config.corpus == TOY else str(config.folder.resolve()),
        algorithm="grpo",
        reward="judge" if config.judge_llm else "em",
        judge=config.judge_llm or "",
        nodes=nodes,
        gpus=gpus,
        steps=config.steps,
        limits=RolloutLimits(config.turns, config.turns, config.top_k),
        turn_tokens=config.turn_tokens,
        random_seed=config.seed,
        prompts=config.prompts,
        overrides=(*(f"{key}={value}" for key, value in _values(config).items()), *more),
    )


def batches_of(config: Config) -> int:
    """Return the number of verl workers that share a batch: equal shares, none too small to verify questions in."""
    return max(
        count
        for count in range(1, WORKERS + 1)
        if config.batch % count == 0 and (count == 1 or config.batch // count >= _LEAST_SLOTS)
    )


def write(run: VerlRun, config: Config, index_progress: IndexProgress | None = None) -> None:
    """Write the files that the run's command reads; builds the index of the corpus if it does not exist.

    Raises:
        ConfigChanged: the folder contains a run that was started with other settings.
        AssetError, ConfigError, CorpusError, IndexMismatch: an input is missing.
    """
    environment = open_environment(config, index_progress)
    everywhere = _everywhere(config)
    tables = batches_of(config)
    for table in range(tables):
        with Run(KIND, everywhere, run.folder / "tables" / str(table), resume=True) as opened:
            opened.write(opened.compare(environment.fingerprint))
    seeds = environment.world.answers(Position()).take(config.steps * config.batch)
    train = seed_rows(seeds, config.batch // tables, tables, config.attempts)
    held_out = [
        Question(f"h{at:06d}", one.question, one.references, "held-out")
        for at, one in enumerate(environment.world.held_out)
    ]
    write_rows(run.folder / "train.parquet", train)
    asked = rows(held_out, "test", environment.prompts, config.turns)
    write_rows(run.folder / "test.parquet", asked or train[:1])  # verl needs some, even if it does not use them
    player: dict[str, object] = {
        "name": AGENT,
        "_target_": "questwell.training.engines.verl.batch_loop.TableLoop",
        "tables": {
            "_target_": "questwell.recipes.selfplay.verl_batch.SelfplayBatches",
            "folder": str(run.folder.resolve()),
            "rows": 2 * config.batch,
            "workers": tables,
        },
    }
    write_agents(run, player, solver_agent(run))


def seed_rows(seeds: Sequence[AnswerSeed], slots: int, tables: int, attempts: int) -> list[dict[str, Any]]:
    """Return two rows per answer, in verl's layout, in the order in which verl deals them out: step, batch, slot."""
    found: list[dict[str, Any]] = []
    for at, seed in enumerate(seeds):
        table, slot = divmod(at % (slots * tables), slots)
        slot = _SLOT.dump_json(Slot(slot, slots, seed)).decode()
        for role, times in ((Role.PROPOSER, 1), (Role.SOLVER, attempts)):
            info = {"index": seed.index, "split": "train", "table": table, "role": role.value, "slot": slot}
            found.append(
                {
                    "data_source": "selfplay",
                    "prompt": [{"role": "user", "content": seed.answer}],  # for readers; the role's opening is our own
                    "ability": "search",
                    "reward_model": {"style": "rule", "ground_truth": list(seed.references)},
                    "extra_info": info,
                    "agent_name": AGENT,
                    "__rollout_n__": times,
                }
            )
    return found


def _refuse(config: Config) -> None:
    asked = {
        "empty_slots": config.empty_slots is EmptySlots.RESAMPLING,
        "solver_algorithm": config.solver_algorithm != "grpo",
        "proposer_baseline": config.proposer_baseline != "none",
        "proposals": config.proposals > 1,
        "stop_on_alarm": config.stop_on_alarm,
        "fit": config.fit,
        "optimizer": config.optimizer != "adamw",
        "micro_tokens": "micro_tokens" in config.model_fields_set,
        "rollout_rows": "rollout_rows" in config.model_fields_set,
        "reranker": bool(config.reranker),
        "dtype": config.dtype is not None,
        "compute_dtype": config.compute_dtype is not None,
        **{key: getattr(config, key) is not None for key in ("max_cost", "max_tokens", "max_minutes")},
    }
    if lost := [f"{key} = {getattr(config, key)}" for key, refused in asked.items() if refused]:
        raise ConfigError(f"verl does not support {', '.join(lost)}: leave it out, or use --engine local")


def _values(config: Config) -> dict[str, object]:
    """Return verl's own keys. A sequence counts the same for both roles, so an answer has `attempts` + 1 for verl."""
    rank = config.lora_rank
    looks = config.held_out is not None and config.eval_every > 0
    return {
        "data.train_batch_size": 2 * config.batch,
        "data.shuffle": False,
        "data.filter_overlong_prompts": False,
        "data.max_response_length": config.response_limit,
        f"{_ROLLOUT}.n": config.attempts + 1,
        f"{_ROLLOUT}.temperature": config.temperature,
        f"{_ROLLOUT}.val_kwargs.temperature": config.eval_temperature,
        f"{_ROLLOUT}.val_kwargs.do_sample": config.eval_temperature > 0,
        f"{_ROLLOUT}.agent.num_workers": batches_of(config),
        f"{_ACTOR}.ppo_mini_batch_size": math.ceil(config.batch / config.minibatches),
        f"{_ACTOR}.optim.lr": config.learning_rate,
        f"{_ACTOR}.optim.lr_warmup_steps": config.lr_warmup_steps,
        f"{_ACTOR}.clip_ratio_low": config.clip_low,
        f"{_ACTOR}.clip_ratio_high": config.clip_high,
        f"{_ACTOR}.use_kl_loss": config.kl_coefficient > 0,
        f"{_ACTOR}.kl_loss_coef": config.kl_coefficient,
        **({"actor_rollout_ref.model.lora_rank": rank, "actor_rollout_ref.model.lora_alpha": 2 * rank} if rank else {}),
        "actor_rollout_ref.model.enable_gradient_checkpointing": config.checkpointing,
        "trainer.save_freq": config.save_every,
        "trainer.max_actor_ckpt_to_keep": config.keep,
        "trainer.test_freq": config.eval_every if looks else -1,
        "trainer.val_before_train": looks,
    }


def _everywhere(config: Config) -> Config:
    """Return `config` with absolute paths, because workers run in other folders."""
    if config.corpus == TOY:
        return config
    here = Path(config.corpus)
    changed: dict[str, object] = {
        "corpus": str(here.resolve()) if here.exists() else config.corpus,
        "index": config.folder.resolve(),
    }
    named = {"prompts": config.prompts, "answers": config.answers, "held_out": config.held_out}
    return config.model_copy(update=changed | {key: path.resolve() for key, path in named.items() if path is not None})
