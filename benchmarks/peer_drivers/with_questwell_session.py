"""Questwell's recorded session alone: what a bare client does, with each reply in the run file before it is used."""

import asyncio
from typing import cast

from measuring import MAX_TOKENS, MODEL, Task, measured, task

from questwell.http.retrying import giving_up_with
from questwell.llm.client import Message, Request
from questwell.llm.limiter import Limiter
from questwell.llm.openai import OpenAIClient
from questwell.llm.prices import FREE
from questwell.recipes.runs.budget import Budget, SpendingLimits
from questwell.recipes.runs.collecting import collecting_seldom
from questwell.recipes.runs.recorder import Recorder
from questwell.retrieval.retriever import Retriever
from questwell.store.run import RunStore
from questwell.types.game import Place
from questwell.types.trajectory import Role
from questwell.types.usage import Usage


async def run(task: Task) -> None:
    client = OpenAIClient(MODEL, task.base_url, limiter=Limiter(task.in_flight), pricing=FREE)
    budget = Budget(SpendingLimits(), Usage())
    prompts = enumerate(task.prompts)
    with RunStore(task.folder / "run") as store:
        nothing_is_searched = cast(Retriever, None)
        recorder = Recorder(store, dict.fromkeys(Role, client), nothing_is_searched, budget)

        async def worker() -> None:
            for number, prompt in prompts:
                seed = f"s{number:05d}"
                session = recorder.sessions(seed)(Place(seed, 0, Role.SOLVER))
                await session.complete(Request((Message("user", prompt),), max_tokens=MAX_TOKENS))

        with giving_up_with(budget.retries), collecting_seldom():  # as the workers of a run
            await asyncio.gather(*[worker() for _ in range(task.in_flight)])
        await client.aclose()


if __name__ == "__main__":
    asked = task()
    with measured(asked):
        asyncio.run(run(asked))
