"""Bespoke Labs' Curator: an `LLM` over rows in memory, kept as lines of JSON and an arrow file in its folder.

Its own OpenAI backend fetches a tokenizer from the network, so the litellm backend is used, which has one with it.
"""
# pyright: basic, reportMissingImports=false

import os

from measuring import MAX_TOKENS, MODEL, Task, measured, task


def run(task: Task) -> None:
    os.environ["CURATOR_CACHE_DIR"] = str(task.folder / "cache")
    from bespokelabs import curator  # reads the variable

    llm = curator.LLM(
        model_name=f"openai/{MODEL}",
        backend="litellm",
        generation_params={"max_tokens": MAX_TOKENS, "temperature": 0.0},
        backend_params={
            "base_url": task.base_url,
            "api_key": "none",
            "max_concurrent_requests": task.in_flight,
            "max_requests_per_minute": 1_000_000,
            "max_tokens_per_minute": 1_000_000_000,
            "require_all_responses": True,
        },
    )
    with measured(task):
        made = llm(task.prompts)
        found = len(made.dataset)
    if found != task.calls:
        raise SystemExit(f"{found} of {task.calls} replies were kept")


if __name__ == "__main__":
    run(task())
