"""The toy world as a run of verl: a model that knows the moves but not yet what to search, and its questions.

Imported by the tests and, for its retriever, by verl's rollout workers.
"""

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.agents.solver import FreeSolver
from questwell.errors import RetrievalTimeout
from questwell.llm.codec import ChatCodec
from questwell.llm.policy import PolicyClient, TokenOutput
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.world import PROMPTS, ToyQuestion, ToyRetriever, ToyWorld, walk
from questwell.training.engines.verl.launch import VerlRun
from questwell.types.corpus import Hit
from questwell.types.evaluation import Question
from questwell.types.trajectory import TokenView

WORLD = ToyWorld(entities=12)
ROLLOUT_LIMITS = RolloutLimits(turns=3, searches=3, top_k=1)
SAMPLING = Sampling(max_tokens=8)


def retriever() -> Any:
    """What `agent.yaml` names."""
    return WORLD.retriever()


BROKEN = ("e0", "e1")
"""What cannot be searched for in `faulty_retriever`."""


class Faulty(ToyRetriever):
    """Fails for some queries, as a server does."""

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        if query.split()[-1] in BROKEN:
            raise RetrievalTimeout("30 s passed")
        return await super().search(query, k)


def faulty_retriever() -> Any:
    """As `retriever`, for the rollouts that are to fail."""
    return Faulty(WORLD)


def questions(*, test: bool = False) -> list[Question]:
    """The two-hop questions as rows are made of."""
    return [Question(one.id, one.question, (one.answer,), "toy") for one in WORLD.questions(2, test=test)]


@dataclass
class Script:
    """A policy that says what it is told to."""

    codec: ChatCodec
    messages: Iterator[str]

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> TokenOutput:
        ids = self.codec.message(next(self.messages), ends=False)
        return TokenOutput(ids, [0.0] * len(ids), "stop")


def build_model(folder: Path, *, error_rate: float = 0.3, steps: int = 500, seed: int = 0) -> None:
    """Write a model that has learnt how rollouts look; a share `error_rate` of the searches it saw were wrong."""
    tokenizer = toy_tokenizer(WORLD.words)
    codec = ChatCodec(tokenizer)
    model = toy_model(tokenizer, seed=seed)
    draw = random.Random(seed)
    asked = WORLD.questions(2)
    views = asyncio.run(_shown(codec, [draw.choice(asked) for _ in range(400)], error_rate, draw))
    imitate(model, tokenizer, views, steps, draw)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder / "tokenizer")


def imitate(model: Any, tokenizer: Any, views: Sequence[TokenView], steps: int, draw: random.Random) -> None:
    """Train `model` on its own tokens of demonstrations; the recipe's warm start needs another transformers."""
    longest = max(len(view.prompt_ids) + len(view.response_ids) for view in views)
    ids = torch.full((len(views), longest), tokenizer.pad_token_id)
    labels = torch.full_like(ids, -100)
    for row, view in enumerate(views):
        whole = torch.tensor((*view.prompt_ids, *view.response_ids))
        wrote = torch.tensor((*(0 for _ in view.prompt_ids), *view.response_mask)).bool()
        ids[row, : len(whole)] = whole
        labels[row, : len(whole)] = torch.where(wrote, whole, -100)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(steps):
        some = torch.tensor([draw.randrange(len(views)) for _ in range(32)])
        attends = (ids[some] != tokenizer.pad_token_id).long()
        loss = model(input_ids=ids[some], attention_mask=attends, labels=labels[some]).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()


async def _shown(
    codec: ChatCodec, asked: Sequence[ToyQuestion], error_rate: float, draw: random.Random
) -> list[TokenView]:
    """A demonstration of each question, played through the agents' own loop."""
    solver = FreeSolver(Prompts(PROMPTS), Tags(), ROLLOUT_LIMITS, SAMPLING)
    views: list[TokenView] = []
    for question in asked:
        script = Script(codec, iter(turn.text for turn in walk(question, WORLD, draw, error_rate)))
        session = DirectSession(PolicyClient(script, codec), retriever())
        played = await solver.solve(question.question, session, 0)
        assert played.tokens is not None
        views.append(played.tokens)
    return views


def on_a_cpu(run: VerlRun, ranks: int, length: int) -> VerlRun:
    """`run` with what this machine cannot or need not do switched off."""
    small = "{param_dtype:fp32,reduce_dtype:fp32,buffer_dtype:fp32}"
    micro = "ppo_micro_batch_size_per_gpu=8"
    overrides = (
        "trainer.device=cpu",
        "data.dataloader_num_workers=0",
        "data.max_prompt_length=16",
        f"data.max_response_length={length}",
        f"actor_rollout_ref.model.tokenizer_path={run.model}/tokenizer",
        "actor_rollout_ref.model.use_remove_padding=False",
        "actor_rollout_ref.model.enable_gradient_checkpointing=False",
        "+actor_rollout_ref.model.override_config.attn_implementation=sdpa",
        "actor_rollout_ref.actor.use_dynamic_bsz=False",
        f"actor_rollout_ref.actor.{micro}",
        "actor_rollout_ref.actor.use_torch_compile=False",
        "actor_rollout_ref.actor.fsdp_config.use_torch_compile=False",
        f"+actor_rollout_ref.actor.fsdp_config.mixed_precision={small}",
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=8",
        f"+actor_rollout_ref.ref.fsdp_config.mixed_precision={small}",
        "actor_rollout_ref.rollout.name=cpu",
        "actor_rollout_ref.rollout.free_cache_engine=False",
        "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8",
        f"actor_rollout_ref.rollout.n_gpus_per_node={ranks}",
        "actor_rollout_ref.rollout.agent.num_workers=1",
        f"critic.model.tokenizer_path={run.model}/tokenizer",
        "critic.model.use_remove_padding=False",
        "critic.model.enable_gradient_checkpointing=False",
        "+critic.model.override_config.attn_implementation=sdpa",
        f"critic.{micro}",
        f"+critic.fsdp.mixed_precision={small}",
        "reward.num_workers=1",
        "transfer_queue.backend.SimpleStorage.num_data_storage_units=1",
        "transfer_queue.backend.SimpleStorage.total_storage_size=1000",
        "trainer.resume_mode=disable",
        "ray_kwargs.ray_init.num_cpus=16",
        f"+ray_kwargs.ray_init.num_gpus={ranks}",
        "+ray_kwargs.ray_init.include_dashboard=False",
    )
    return replace(run, gpus=ranks, overrides=(*overrides, *run.overrides))


def environment(taps: Path) -> dict[str, str]:
    """What verl's processes need to find the CPU backend, and not to look for a network."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
        "VERL_USE_EXTERNAL_MODULES": "cpu_platform,cpu_backend",
        "VERL_PLATFORM": "cpu",
        "QUESTWELL_TAPS": str(taps),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_register_timeout_seconds": "600",  # two cores, a dozen processes, each of which imports torch
        "RAY_worker_niceness": "0",  # else its workers yield to all, and on a busy machine never work
        "RAY_health_check_failure_threshold": "100",
        "HYDRA_FULL_ERROR": "1",
    }
