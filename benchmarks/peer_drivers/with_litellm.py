"""litellm's `acompletion` alone. It keeps nothing."""
# pyright: basic, reportMissingImports=false

import asyncio

import litellm
from measuring import MAX_TOKENS, MODEL, Task, measured, task


async def run(task: Task) -> None:
    prompts = iter(task.prompts)

    async def worker() -> None:
        for prompt in prompts:
            await litellm.acompletion(
                model=f"openai/{MODEL}",
                api_base=task.base_url,
                api_key="none",
                messages=[{"role": "user", "content": prompt}],
                max_tokens=MAX_TOKENS,
                temperature=0.0,
            )

    await asyncio.gather(*[worker() for _ in range(task.in_flight)])


if __name__ == "__main__":
    asked = task()
    with measured(asked):
        asyncio.run(run(asked))
