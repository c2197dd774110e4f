"""distilabel: one `TextGeneration` step over rows in memory, kept as the parquet files of its cache.

A batch is sent at once and the next one waits for its end, so a batch is as large as what may be in flight.
"""
# pyright: basic, reportMissingImports=false

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
from measuring import MAX_TOKENS, MODEL, Task, measured, task


def run(task: Task) -> None:
    with Pipeline(name="peers", cache_dir=task.folder / "cache") as pipeline:
        rows = LoadDataFromDicts(data=[{"instruction": prompt} for prompt in task.prompts], batch_size=task.in_flight)
        llm = OpenAILLM(
            model=MODEL,
            base_url=task.base_url,
            api_key="none",
            generation_kwargs={"max_new_tokens": MAX_TOKENS, "temperature": 0.0},
        )
        _ = rows >> TextGeneration(llm=llm, input_batch_size=task.in_flight)
    with measured(task):
        made = pipeline.run(use_cache=False)
    replies = made["default"]["train"]["generation"]
    if len(replies) != task.calls or not all(replies):
        raise SystemExit(f"{sum(map(bool, replies))} of {task.calls} replies were kept")


if __name__ == "__main__":
    run(task())
