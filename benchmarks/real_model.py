"""SFT and PPO with LoRA on a real model over the factbook index: time and memory, and an answer of the checkpoint.

    python benchmarks/real_model.py [--model local-small] [--steps 20] [--warm 12] [--out FOLDER] [--half]

Questions ask for capitals. This shows that the parts fit together on a real model and its real tokenizer; twenty steps
of a few short attempts are far too few to learn from.
"""

import argparse
import asyncio
import json
import re
import resource
import tempfile
import time
from pathlib import Path

import report
import torch
from arguments import new_folder, parser
from arguments import run as started

from questwell.agents.prompts import Prompts
from questwell.agents.session import DirectSession
from questwell.agents.tools import Shelf
from questwell.llm.connect import connect
from questwell.recipes.corpus.index import open_index
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.loop import Metrics, run
from questwell.recipes.train.setup import make_solver
from questwell.training.metrics import read_metrics

SOLVER = """--- user
Answer by searching. Write <search>words</search> to search, then <answer>name</answer>. $question
"""
QUESTIONS, DEMONSTRATIONS = 40, 24
"""Numbers of countries; none is in both."""
SHOWN = ("reward", "accuracy", "finished", "searches", "format_errors", "kl", "entropy", "sampling_gap", "value_loss")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--model", default="local-small", help="as for `questwell train --model`")
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--warm", type=int, default=12, help="steps of the warm start")
    options.add_argument("--out", type=new_folder, help="folder to keep the run in")
    options.add_argument("--half", action="store_true", help="frozen weights in bfloat16")
    asked = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        measure(asked, asked.out or Path(temporary))


def measure(asked: argparse.Namespace, folder: Path) -> None:
    """Train in `folder`, serve the checkpoint, write the result."""
    told = report.heading()
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "corpus": "factbook",
        "data": folder / "questions.jsonl",
        "demonstrations": folder / "demonstrations.jsonl",
        "prompts": folder / "prompts",
        "model": asked.model,
        "algorithm": "ppo",
        "steps": asked.steps,
        "batch": 2,
        "group": 1,
        "turns": 2,
        "top_k": 1,
        "turn_tokens": 24,
        "response_limit": 320,
        "lora_rank": 8,
        "learning_rate": 1e-4,
        "critic_learning_rate": 1e-4,
        "warm_start_steps": asked.warm,
        "warm_start_batch": 2,
        "warm_start_learning_rate": 5e-4,
        "micro_tokens": 1024,
        "dtype": "bfloat16" if asked.half else None,
        "device": "cpu",
        "save_every": asked.steps,
        "keep": 1,
        "stop_on_alarm": False,
    }
    config = resolve(TrainConfig, values)
    questions = asyncio.run(prepare(config, folder))
    started, cpu = time.perf_counter(), time.process_time()
    losses: list[float] = []

    def warming(step: int, loss: float) -> None:
        losses.append(round(loss, 3))
        print(f"warm start {step}: {loss:.3f}, {time.perf_counter() - started:.0f} s", flush=True)

    def on_progress(metrics: Metrics, steps: int) -> None:
        line = {name: round(metrics[name], 4) for name in SHOWN if name in metrics}
        print(f"step {metrics['step']:.0f}: {line}, {time.perf_counter() - started:.0f} s", flush=True)

    done = run(config, folder / "run", Caller(on_progress=on_progress), warming=warming)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    steps = read_metrics(folder / "run" / "metrics.jsonl")
    told |= {
        "model": asked.model,
        "frozen_weights": "bfloat16" if asked.half else "float32",
        "ending": done.ending.value,
        "steps": done.step,
        "questions": questions,
        "warm_start_loss": losses,
        "seconds": round(seconds),
        "cpu_seconds": round(cpu_s),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "by_step": [{name: round(row[name], 5) for name in SHOWN if name in row} for row in steps],
        "mean_rollout_tokens_per_s": round(sum(row["rollout_tokens_per_s"] for row in steps) / len(steps), 2),
        "mean_update_tokens_per_s": round(sum(row["update_tokens_per_s"] for row in steps) / len(steps), 2),
    }
    if done.model is not None:
        told["served"] = asyncio.run(serve(config, done.model))
    report.write("real_model", told)


async def prepare(config: TrainConfig, folder: Path) -> int:
    """Write questions, prompts and demonstrations made from the corpus; returns the number of questions."""
    (folder / "prompts").mkdir()
    (folder / "prompts" / "solver.md").write_text(SOLVER)
    index = open_index(config)
    capitals: dict[str, str] = {}
    for ordinal in range(len(index)):
        passage = index.passage_at(ordinal)
        found = re.search(r"Capital - name: ([A-Z][a-z]+)\.", passage.text)
        if found and passage.title.endswith(": Government"):
            capitals[passage.title.removesuffix(": Government")] = found[1]
    with (folder / "questions.jsonl").open("w") as file:
        for country, capital in sorted(capitals.items())[:QUESTIONS]:
            row = {"id": country, "question": f"What is the capital of {country}?", "answer": capital}
            file.write(json.dumps(row) + "\n")
    prompts = Prompts(config.prompts)
    with (folder / "demonstrations.jsonl").open("w") as file:
        for country, capital in sorted(capitals.items())[QUESTIONS : QUESTIONS + DEMONSTRATIONS]:
            (opening,) = prompts.messages("solver", question=f"What is the capital of {country}?")
            query = f"capital name of {country}"
            observation = Shelf().show(await index.search(query, 1))
            messages = [
                {"role": "user", "content": opening.content},
                {"role": "assistant", "content": f"<search>{query}</search>"},
                {"role": "user", "content": f"<information>\n{observation}\n</information>"},
                {"role": "assistant", "content": f"<answer>{capital}</answer>"},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")
    await index.aclose()
    return min(QUESTIONS, len(capitals))


async def serve(config: TrainConfig, model: Path) -> dict[str, object]:
    """Answer one question with the checkpoint, as `--llm CHECKPOINT` would."""
    llm = connect(str(model))
    index = open_index(config)
    solver = make_solver(config, Prompts(config.prompts))
    played = await solver.solve("What is the capital of Peru?", DirectSession(llm, index), 0)
    await llm.aclose()
    await index.aclose()
    return {"turns": [turn.text for turn in played.turns], "answer": played.answer, "stop": played.stop.value}


if __name__ == "__main__":
    started(main)
