"""Does an agent learn to search real text? One command, which continues where it was stopped.

    python examples/real_text/run.py --model SmolLM2-135M-Instruct.Q4_1.gguf --out runs/one_hop
    python examples/real_text/run.py --model SmolLM2-135M-Instruct.Q4_1.gguf --hops 2 --arms A,B,C --out runs/two_hops

What each arm is, and how long it takes: examples/real_text/README.md.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import arms
from facts import Asked
from options import count, options, some_of
from world import World, make_world, write_demonstrations, write_questions

from questwell.errors import QuestwellError
from questwell.llm.pretrained import best_device
from questwell.recipes.corpus.index import IndexConfig, open_index
from questwell.recipes.runs import files
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.training.warmstart import WarmStart


def main() -> None:
    """Prepare, train each arm, evaluate, compare."""
    asked = _arguments()
    out: Path = asked.out
    out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    index = open_index(IndexConfig(corpus="factbook", index=asked.index))
    assert isinstance(index, LexicalIndex)
    world = make_world(index, asked.hops, asked.seed, asked.demonstrations)
    demonstrations = out / "demonstrations.jsonl"
    if not demonstrations.exists():
        asyncio.run(write_demonstrations(demonstrations, world.shown, index, asked.top_k, asked.seed))
    device = asked.device or best_device()
    how = WarmStart(
        asked.warm_start_steps, asked.warm_start_batch, asked.warm_start_rate, micro_tokens=asked.micro_tokens
    )
    start = arms.make_start(asked.model, demonstrations, out / "start", how, device, asked.compute_dtype)
    result: dict[str, object] = {
        "hops": asked.hops,
        "seed": asked.seed,
        "device": device,
        "compute_dtype": asked.compute_dtype or ("bfloat16" if device.startswith("cuda") else "float32"),
        "algorithm": asked.algorithm,
        "steps": asked.steps,
        "kl_coefficient": asked.kl_coefficient,
    }
    result["writer"] = "code composes the questions; no language model writes them"
    models = {"A": start}
    trained_on: dict[str, int] = {}
    result["questions"] = trained_on
    for arm in asked.arms:
        if arm != "A":
            data = _questions(asked, arm, world, index, start)
            trained_on[arm] = data.read_bytes().count(b"\n")
            values = {**_values(asked, data, start, device), **_held_out(asked, world)}
            models[arm] = arms.train_arm(out / f"train-{arm}", values, asked.limit)
        _compare(asked, world, index, models, result)
        result["seconds_of_this_call"] = time.perf_counter() - started
        files.replace(out / "result.json", json.dumps(result, indent=2).encode())
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def _questions(asked: argparse.Namespace, arm: str, world: World, index: LexicalIndex, start: Path) -> Path:
    """The file of an arm's questions; made if it does not exist."""
    data = asked.out / f"questions-{arm}.jsonl"
    if not data.exists():
        chosen = world.train[: asked.questions]
        if arm == "C":
            llm, game = arms.Line(start, asked.rows, asked.compute_dtype), asked.out / "game"
            chosen, told = arms.play_sage(llm, world, index, asked.questions, asked.top_k, asked.seed, asked.rows, game)
            files.replace(asked.out / "game.json", json.dumps(told, indent=2).encode())
        write_questions(data, chosen)
    return data


def _held_out(asked: argparse.Namespace, world: World) -> dict[str, object]:
    """The keys of the evaluations while training: on questions about countries of neither training nor test."""
    if not asked.dev:
        return {}
    path = asked.out / "questions-dev.jsonl"
    if not path.exists():
        write_questions(path, world.dev[: asked.dev])
    return {"held_out": path, "eval_every": asked.eval_every}


def _compare(
    asked: argparse.Namespace, world: World, index: LexicalIndex, models: dict[str, Path], result: dict[str, object]
) -> None:
    """Evaluate each arm greedily on the held-out questions, and pair them."""
    rows: dict[str, list[arms.Row]] = {}
    for part, questions in (("test", world.test), ("other_kinds", world.other_kinds)):
        few = questions[: asked.test]
        for arm, model in models.items():
            path = asked.out / f"{part}-{arm}-{model.parent.name if arm != 'A' else 'start'}.jsonl"

            def make(model: Path = model, few: list[Asked] = few) -> Coroutine[Any, Any, list[arms.Row]]:
                return arms.evaluate(model, few, index, asked.hops, asked.top_k, asked.rows)

            rows[arm] = arms.answers(path, few, make)
        result[part] = {arm: arms.accuracy(rows[arm]) for arm in models}
        pairs = [("A", arm) for arm in models if arm != "A"] + ([("B", "C")] if {"B", "C"} <= models.keys() else [])
        result[f"{part}_paired"] = {f"{one} to {other}": arms.paired(rows[one], rows[other]) for one, other in pairs}
    if (asked.out / "game.json").exists():
        result["game"] = json.loads((asked.out / "game.json").read_text(encoding="utf-8"))


def _values(asked: argparse.Namespace, data: Path, start: Path, device: str) -> dict[str, object]:
    return {
        "data": data, "model": str(start), "corpus": "factbook", "index": asked.index, "prompts": arms.PROMPTS,
        "algorithm": asked.algorithm, "steps": asked.steps, "batch": asked.batch, "group": asked.group,
        "turns": asked.hops + 1, "searches": asked.hops, "top_k": asked.top_k, "turn_tokens": arms.TURN_TOKENS,
        "response_limit": 1500, "learning_rate": asked.learning_rate, "critic_learning_rate": 2e-5,
        "kl_in": "loss", "kl_coefficient": asked.kl_coefficient, "seed": asked.seed, "save_every": asked.save_every,
        "micro_tokens": asked.micro_tokens, "rollout_rows": asked.rows, "device": device,
        "compute_dtype": asked.compute_dtype, "max_truncated": None,
    }  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = options(__doc__, "runs/real_text")
    add = parser.add_argument
    add("--hops", type=int, choices=(1, 2), default=1, help="searches that a question needs")
    add(
        "--arms",
        type=some_of("A", "B", "C"),
        default=["A", "B"],
        help="A untrained, B composed questions as they come, C questions of the SAGE game",
    )
    add("--algorithm", default="grpo", choices=("grpo", "ppo", "reinforce"))
    add("--steps", type=count, default=20, help="training steps of an arm")
    add("--group", type=count, default=4, help="attempts at each question")
    add("--questions", type=count, default=800, help="questions that an arm learns from")
    add("--demonstrations", type=count, default=200, help="dialogues of the warm start")
    add("--test", type=count, default=120, help="held-out questions of each kind of test")
    add("--dev", type=int, default=60, help="held-out questions for the curve while training; 0 draws none")
    add("--eval-every", type=int, default=5, help="steps between two points of that curve")
    add("--kl-coefficient", type=float, default=0.01, help="0 keeps no reference, and skips groups of equal rewards")
    add("--warm-start-steps", type=count, default=60)
    add("--warm-start-batch", type=count, default=8)
    add("--warm-start-rate", type=float, default=2e-5, help="learning rate of the warm start")
    add("--save-every", type=count, default=5, help="steps between two checkpoints")
    add("--device", default="", help="such as cuda or cpu; by default the best there is")
    asked = parser.parse_args()
    if "C" in asked.arms and asked.hops != 2:
        parser.error("arm C plays the game over questions of two hops: add --hops 2")
    return asked


if __name__ == "__main__":
    try:
        main()
    except QuestwellError as error:
        sys.exit(f"Error: {error}")
