"""Meta's synthetic-data-kit: the `batch_completion` that its generators call, its replies written at the end.

A batch is sent at once and the next one waits for its end, so a batch is as large as what may be in flight. The kit
itself has 32, and writes its pairs as one JSON file.
"""
# pyright: basic, reportMissingImports=false

import json
import logging
import os

from measuring import MAX_TOKENS, MODEL, Task, measured, task


def run(task: Task) -> None:
    os.environ["API_ENDPOINT_KEY"] = "none"
    from synthetic_data_kit.models.llm_client import LLMClient

    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it says a line per call
    client = LLMClient(provider="api-endpoint", api_base=task.base_url, api_key="none", model_name=MODEL)
    with measured(task):
        replies = client.batch_completion(
            [[{"role": "user", "content": prompt}] for prompt in task.prompts],
            max_tokens=MAX_TOKENS,
            temperature=0.0,
            batch_size=task.in_flight,
        )
        (task.folder / "replies.json").write_text(json.dumps(replies))
    if len(replies) != task.calls or any("hello" not in reply for reply in replies):
        raise SystemExit("not all replies were kept")


if __name__ == "__main__":
    run(task())
