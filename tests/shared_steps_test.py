"""Dialogues that wait for a slow retriever are sampled side by side again, not in batches that it has split."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import torch

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.agents.solver import FreeSolver
from questwell.llm.decoding import Call
from questwell.llm.policy import PolicyClient
from questwell.llm.pretrained import Pretrained
from questwell.llm.torch_policy import TorchPolicy
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.world import PROMPTS, ToyRetriever, ToyWorld
from questwell.types.corpus import Hit
from questwell.types.trajectory import StopReason, Trajectory

torch.set_num_threads(1)
WORLD = ToyWorld()
TOKENIZER = toy_tokenizer(WORLD.words)
START = Pretrained("toy", toy_model(TOKENIZER, width=16, layers=1).eval(), TOKENIZER)
DIALOGUES = 64
WORD = WORLD.words[0]
MESSAGE = 8
"""Tokens of each message: one is sampled where its prompt is read, the others take a step each."""


class LateRetriever(ToyRetriever):
    """Answers when `wait`, told which search of all this is, has passed."""

    def __init__(self, wait: Callable[[int], Awaitable[None]]) -> None:
        super().__init__(WORLD)
        self.wait, self.asked = wait, 0

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        self.asked += 1
        await self.wait(self.asked - 1)
        return await super().search(query, k)


class Dictated(TorchPolicy):
    """Says `<search>` in the first messages of each dialogue and `<answer>` in its last; tells its batches."""

    def __init__(self, searches: int) -> None:
        super().__init__(START.model, START.codec, rows=DIALOGUES)
        self.batches: list[int] = []
        """Calls of each decoding step."""
        words = " ".join([WORD] * (MESSAGE - 2))
        self._texts = [f"<search> {words} </search>"] * searches + [f"<answer> {words} </answer>"]
        self._begun: dict[str, list[Call]] = {}

    def _choose(self, state: Any, calls: Any, logits: torch.Tensor) -> None:
        super()._choose(state, calls, logits)
        for at, call in enumerate(calls):
            begun = self._begun.setdefault(call.request_id, [])
            if not any(one is call for one in begun):
                begun.append(call)
            ids = TOKENIZER.encode(self._texts[len(begun) - 1], add_special_tokens=False)
            call.ids[-1] = ids[len(call.ids) - 1]
            state.tokens[at] = call.ids[-1]

    def _step(self) -> None:
        self.batches.append(len(self._active))
        super()._step()


async def play(policy: Dictated, retriever: LateRetriever, searches: int) -> list[Trajectory]:
    limits = RolloutLimits(turns=searches + 1, searches=searches, top_k=1)
    solver = FreeSolver(Prompts(PROMPTS), Tags(), limits, Sampling(max_tokens=MESSAGE + 4))

    async def one(at: int) -> Trajectory:
        client = PolicyClient(policy, START.codec, context_tokens=512, request_id=str(at))
        return await solver.solve(f"{WORD} of {WORD} ?", DirectSession(client, retriever), at)

    return list(await asyncio.gather(*map(one, range(DIALOGUES))))


async def test_answers_a_little_later_and_out_of_order_leave_the_batches_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def here(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)  # in the loop's own thread: nothing arrives while a step is computed

    monkeypatch.setattr(asyncio, "to_thread", here)
    delays = [6 * (at % 6) for at in range(2 * DIALOGUES)]  # in bursts: some turns of the loop bring none
    random.Random(0).shuffle(delays)

    async def wait(asked: int) -> None:
        for _ in range(delays[asked]):
            await asyncio.sleep(0)

    policy = Dictated(searches=2)
    played = await play(policy, LateRetriever(wait), searches=2)
    assert {one.stop for one in played} == {StopReason.FINISHED}
    assert policy.batches == [DIALOGUES] * (MESSAGE - 1) * 3


async def test_whoever_is_answered_during_a_step_joins_the_next_one() -> None:
    """A retriever on the network: each answer comes after so many steps of those that were answered at once."""
    draw = random.Random(0)
    delays = [0] + [draw.randrange(1, MESSAGE - 2) for _ in range(DIALOGUES - 1)]
    loop = asyncio.get_running_loop()
    waiting: list[tuple[int, asyncio.Future[None]]] = []

    class Ticking(Dictated):
        def _step(self) -> None:
            super()._step()
            asyncio.run_coroutine_threadsafe(answer(len(self.batches) - (MESSAGE - 1)), loop).result()

    async def answer(passed: int) -> None:
        for delay, answered in waiting:
            if delay == passed:
                answered.set_result(None)
        for _ in range(50):  # until each of them has called again
            await asyncio.sleep(0)

    async def wait(asked: int) -> None:
        if delays[asked]:
            waiting.append((delays[asked], loop.create_future()))
            await waiting[-1][1]

    policy = Ticking(searches=1)
    played = await play(policy, LateRetriever(wait), searches=1)
    assert {one.stop for one in played} == {StopReason.FINISHED}
    steps = MESSAGE - 1
    alive = [sum(late <= at < late + steps for late in delays) for at in range(steps + max(delays))]
    assert policy.batches == [DIALOGUES] * steps + alive
