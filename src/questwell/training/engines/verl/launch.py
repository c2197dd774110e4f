"""Prepares the folder of a verl run, builds its command and runs it. verl is needed only to launch it."""

import importlib.util
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from questwell.agents.prompts import Prompts
from questwell.agents.rollout import RolloutLimits
from questwell.errors import ConfigError
from questwell.training.engines.verl.presets import PRESETS, Algorithm
from questwell.training.engines.verl.rows import AGENT, rows, write_rows
from questwell.types.evaluation import Question

_HERE = "questwell.training.engines.verl"
_CONTEXT = ("data.max_prompt_length", "data.max_response_length")


@dataclass(frozen=True, slots=True)
class VerlRun:
    """One training run on verl."""

    folder: Path
    """Folder of data, checkpoints and metrics; on a cluster every node must see it."""
    model: str
    """Hugging Face name or folder of the model."""
    retriever: str
    """Folder of a `questwell index`, or as `--retriever`: URL of a `questwell serve`, `google`, ..."""
    algorithm: Algorithm = "ppo"
    """Name of the preset (`presets.py`)."""
    reward: str = "em"
    """Name of the reward: em, f1, judge or chain."""
    judge: str = ""
    """Judge model, written as for `--llm`; only for rewards that use a judge."""
    judge_options: str = ""
    """Options of the judge, `reward.JudgeOptions` as JSON; empty for the defaults."""
    nodes: int = 1
    gpus: int = 8
    """Number of GPUs per node."""
    steps: int | None = None
    """Number of training steps; None: as many as verl's epochs give."""
    limits: RolloutLimits = field(default_factory=lambda: RolloutLimits(turns=8, searches=8, top_k=3))
    """Limits of one rollout; SAGE's release uses 8 turns with top-3 search."""
    turn_tokens: int = 1024
    """Maximum number of tokens of one model message."""
    random_seed: int = 0
    prompts: Path | None = None
    """Folder of prompt files that replace the packaged ones."""
    overrides: tuple[str, ...] = ()
    """Additional `key=value` settings for verl; the last one for a key wins."""


def prepare(run: VerlRun, train: Sequence[Question], test: Sequence[Question]) -> None:
    """Write the files that the command reads: `train.parquet`, `test.parquet` and `agent.yaml`.

    Raises:
        ConfigError: there are no questions.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    prompts = Prompts(run.prompts)
    for split, questions in (("train", train), ("test", test)):
        write_rows(run.folder / f"{split}.parquet", rows(questions, split, prompts, run.limits.turns))
    write_agents(run, solver_agent(run))


def solver_agent(run: VerlRun) -> dict[str, object]:
    """Return the entry of `agent.yaml` for the solver on given questions."""
    return {
        "name": AGENT,
        "_target_": f"{_HERE}.agent_loop.QuestwellLoop",
        "retriever": run.retriever,
        "turns": run.limits.turns,
        "searches": run.limits.searches,
        "top_k": run.limits.top_k,
        "turn_tokens": run.turn_tokens,
        "random_seed": run.random_seed,
    }


def write_agents(run: VerlRun, *agents: Mapping[str, object]) -> None:
    """Write `agent.yaml`."""
    (run.folder / "agent.yaml").write_text(json.dumps(agents, indent=1) + "\n", encoding="utf-8")  # JSON is YAML


def command(run: VerlRun) -> list[str]:
    """Return the command's arguments. verl starts Ray here, or joins the cluster that `RAY_ADDRESS` names."""
    values = {**_common(run), **PRESETS[run.algorithm]}
    if run.steps is not None:
        values["trainer.total_training_steps"] = run.steps
    arguments = [f"{key}={_hydra(value)}" for key, value in values.items()]
    return [sys.executable, "-m", "verl.trainer.main_ppo", *_last(*arguments, *run.overrides)]


def shown(run: VerlRun) -> str:
    """Return the command as one line for a shell."""
    return shlex.join(command(run))


def launch(run: VerlRun, environment: Mapping[str, str] | None = None) -> int:
    """Run the command and return verl's exit code. `environment` replaces this process's environment.

    Raises:
        ConfigError: verl is not installed.
    """
    if importlib.util.find_spec("verl") is None:
        raise ConfigError(
            "verl is not installed here: `pip install 'questwell[verl]'` in an environment of its own "
            "(it needs an older transformers than the rest of Questwell), then run the command there"
        )
    return subprocess.run(command(run), env=environment, check=False).returncode


def _common(run: VerlRun) -> dict[str, object]:
    folder = run.folder.resolve()
    tokens = sum(int(PRESETS[run.algorithm][key]) for key in _CONTEXT)
    metrics = folder / f"metrics_{len(list(folder.glob('metrics_*.jsonl')))}.jsonl"  # verl clears a file it is given
    return {
        "data.train_files": folder / "train.parquet",
        "data.val_files": folder / "test.parquet",
        "data.seed": run.random_seed,
        "data.filter_overlong_prompts": True,
        "actor_rollout_ref.model.path": run.model,
        "actor_rollout_ref.actor.strategy": "fsdp2",
        "actor_rollout_ref.actor.use_dynamic_bsz": True,
        "actor_rollout_ref.actor.ppo_max_token_len_per_gpu": 2 * tokens,
        "actor_rollout_ref.rollout.name": "vllm",
        "actor_rollout_ref.rollout.mode": "async",
        "actor_rollout_ref.rollout.tensor_model_parallel_size": 1,
        "actor_rollout_ref.rollout.calculate_log_probs": True,
        "actor_rollout_ref.rollout.agent.default_agent_loop": AGENT,
        "actor_rollout_ref.rollout.agent.agent_loop_config_path": folder / "agent.yaml",
        "critic.model.path": run.model,
        "critic.strategy": "fsdp2",
        "reward.custom_reward_function.path": f"pkg://{_HERE}.reward",
        "reward.custom_reward_function.name": "compute_score",
        "+reward.custom_reward_function.reward_kwargs.reward": run.reward,
        "+reward.custom_reward_function.reward_kwargs.judge": run.judge,
        "+reward.custom_reward_function.reward_kwargs.judge_options": run.judge_options,
        "hydra.run.dir": folder / "hydra",
        "trainer.project_name": "questwell",
        "trainer.experiment_name": run.folder.name,
        "trainer.default_local_dir": folder / "checkpoints",
        "trainer.rollout_data_dir": folder / "rollouts",
        "trainer.logger": "[console,file]",
        "+ray_kwargs.ray_init.runtime_env.env_vars.VERL_FILE_LOGGER_PATH": metrics,
        "trainer.nnodes": run.nodes,
        "trainer.n_gpus_per_node": run.gpus,
        "trainer.save_freq": 50,
        "trainer.test_freq": 50,
    }


def _hydra(value: object) -> str:
    """Return a value quoted so that hydra's command line reads it back unchanged."""
    if isinstance(value, Path) or (isinstance(value, str) and not value.startswith("[")):
        return json.dumps(str(value)) if set(str(value)) & set(" ,:=()[]{}'\"\\\t") or value == "" else str(value)
    return str(value)


def _last(*arguments: str) -> list[str]:
    """Return the arguments with only the last one per key, because hydra rejects repeated keys."""
    return list({argument.partition("=")[0].lstrip("+~"): argument for argument in arguments}.values())
