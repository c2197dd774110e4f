"""Three updates on attempts that a server samples, and the gap between its log-probabilities and the trainer's."""

import asyncio
from pathlib import Path

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.agents.solver import FreeSolver
from questwell.llm.client import Message, Request
from questwell.llm.pretrained import Pretrained, load
from questwell.llm.vllm_policy import VllmPolicy
from questwell.llm.vllm_weights import write_whole
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.world import PROMPTS, ToyWorld
from questwell.training.algorithms.grpo import GRPO
from questwell.training.policy import Lora
from questwell.training.trainer import Trainer
from questwell.training.update import Update
from questwell.types.episode import Sample
from questwell.types.trajectory import Role

WORLD = ToyWorld()
REQUEST = Request((Message("user", "r0 of e1 ?"),), max_tokens=4)


def start(folder: Path) -> Pretrained:
    """A random model whose heads are as wide as vLLM takes them, written to `folder`."""
    tokenizer = toy_tokenizer(WORLD.words)
    made = Pretrained("tiny", toy_model(tokenizer, width=128), tokenizer)
    write_whole(made, folder)
    return made


async def gaps(url: str, folder: Path, rank: int, steps: int = 3) -> list[float]:
    """`sampling_gap` of each step; large steps, so that old weights show. The server serves `folder`/start."""
    found = load(str(folder / "start"))
    policy = VllmPolicy(url, folder / "weights", lora=rank > 0, ends=found.codec.ends)
    update = Update(learning_rate=0.02, kl_coefficient=0.0, micro_tokens=2048)
    trainer = Trainer(found, {Role.SOLVER: GRPO()}, update, lora=Lora(rank) if rank else None, rollouts=policy)
    solver = FreeSolver(Prompts(PROMPTS), Tags(), RolloutLimits(2, 1, 1), Sampling(8, 1.0))
    seen: list[float] = []
    for step in range(steps):

        async def play(at: int, step: int = step) -> Sample:
            question = WORLD.questions(1)[at // 4].question
            session = DirectSession(trainer.client(f"{step}/{at}"), WORLD.retriever())
            played = await solver.solve(question, session, 100 * step + at)
            assert played.tokens is not None, played.error
            return Sample(tokens=played.tokens, reward=float(at % 2), group=str(at // 4))

        samples = list(await asyncio.gather(*(play(at) for at in range(8))))
        seen.append(trainer.update(samples)["sampling_gap"])
    await policy.aclose()
    return seen
