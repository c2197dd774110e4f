"""The openai SDK alone, over aiohttp as its documentation advises for many calls. It keeps nothing."""
# pyright: basic, reportMissingImports=false

import asyncio

from measuring import MAX_TOKENS, MODEL, Task, measured, task
from openai import AsyncOpenAI, DefaultAioHttpClient


async def run(task: Task) -> None:
    async with AsyncOpenAI(base_url=task.base_url, api_key="none", http_client=DefaultAioHttpClient()) as client:
        prompts = iter(task.prompts)

        async def worker() -> None:
            for prompt in prompts:
                await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": prompt}], max_tokens=MAX_TOKENS, temperature=0.0
                )

        await asyncio.gather(*[worker() for _ in range(task.in_flight)])


if __name__ == "__main__":
    asked = task()
    with measured(asked):
        asyncio.run(run(asked))
