"""Questwell: `evaluate` in closed-book mode, one call per question. Each reply is in the run file before it is used."""

import json

from measuring import MAX_TOKENS, MODEL, Task, measured, task

from questwell.api import evaluate


def run(task: Task) -> None:
    questions = task.folder / "questions.jsonl"
    rows = ({"id": str(at), "question": prompt, "answer": "hello"} for at, prompt in enumerate(task.prompts))
    questions.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with measured(task):
        done = evaluate(
            out=task.folder / "run",
            benchmarks=[str(questions)],
            llm=f"{MODEL}@{task.base_url}",
            mode="closed-book",
            judge="exact_match",
            concurrency=task.in_flight,
            turn_tokens=MAX_TOKENS,
        )
    print(done)


if __name__ == "__main__":
    run(task())
