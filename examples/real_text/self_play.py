"""Does self-play teach an agent to search real text? One command, which continues where it was stopped.

    python examples/real_text/self_play.py --model SmolLM2-135M-Instruct.Q4_1.gguf --out runs/self_play

From one warm start of all three roles (solver, proposer, reader) it trains with both roles, and with the solver's
trajectories only, then asks each agent the same held-out questions of one and two hops: examples/real_text/README.md.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import arms
from options import count, options, some_of
from roles import roles, write_answers
from world import World, make_world, write_dialogues

from questwell.errors import QuestwellError
from questwell.llm.pretrained import best_device
from questwell.recipes.corpus.index import IndexConfig, open_index
from questwell.recipes.runs import files
from questwell.recipes.runs.caller import Caller
from questwell.recipes.selfplay import loop
from questwell.recipes.selfplay.config import Trained
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.training.warmstart import WarmStart

TURNS = 3
"""Two searches and the end."""
TURN_TOKENS = 64
"""Limit of a message; a question about a country that a clue describes has some 40 tokens."""


def main() -> None:
    """Prepare, play with each choice of trained roles, evaluate, compare."""
    asked = _arguments()
    out: Path = asked.out
    out.mkdir(parents=True, exist_ok=True)
    index = open_index(IndexConfig(corpus="factbook", index=asked.index))
    assert isinstance(index, LexicalIndex)
    worlds = {hops: make_world(index, hops, asked.seed, asked.demonstrations) for hops in (1, 2)}
    start = _start(asked, worlds, index)
    models = {"start": start}
    result: dict[str, object] = {"seed": asked.seed, "steps": asked.steps, "batch": asked.batch}
    result |= {"attempts": asked.attempts, "compute_dtype": asked.compute_dtype, "device": best_device()}
    result["written_by"] = "the policy itself, for facts that code found; the warm start's demonstrations are code's"
    for trained in asked.train:
        models[trained] = _play(asked, start, worlds, trained)
        _compare(asked, worlds, index, models, result)
        files.replace(out / "result.json", json.dumps(result, indent=2).encode())
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def _start(asked: argparse.Namespace, worlds: dict[int, World], index: LexicalIndex) -> Path:
    """The policy after its warm start in all roles, on facts that the games do not use."""
    path = asked.out / "demonstrations.jsonl"
    if not path.exists():
        shown = [one for world in worlds.values() for one in world.shown]
        write_dialogues(path, asyncio.run(roles(shown, index, asked.top_k, asked.seed)))
    how = WarmStart(
        asked.warm_start_steps, asked.batch, learning_rate=2e-5, micro_tokens=asked.micro_tokens, seed=asked.seed
    )
    return arms.make_start(asked.model, path, asked.out / "start", how, best_device(), asked.compute_dtype)


def _play(asked: argparse.Namespace, start: Path, worlds: dict[int, World], trained: str) -> Path:
    """Self-play by the recipe, or its continuation; returns the newest checkpoint's model."""
    answers, held_out = asked.out / "answers.jsonl", asked.out / "held-out.jsonl"
    if not answers.exists():
        write_answers(answers, [one.fact for one in worlds[1].train])
    if not held_out.exists():
        rows = [
            {"question": one.text, "answer": one.fact.value, "hops": hops}
            for hops, world in worlds.items()
            for one in world.dev[: asked.dev]
        ]
        files.replace(held_out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
    folder = asked.out / f"play-{trained}"
    resume = (folder / "run.json").exists()
    values = {
        "model": str(start), "corpus": "factbook", "index": asked.index, "prompts": arms.PROMPTS,
        "answers": answers, "held_out": held_out, "hops": "1..2", "steps": asked.steps, "batch": asked.batch,
        "attempts": asked.attempts, "seed": asked.seed, "train": trained, "turns": TURNS, "top_k": asked.top_k,
        "turn_tokens": TURN_TOKENS, "response_limit": 2000, "learning_rate": asked.learning_rate,
        "kl_coefficient": 0.0, "lr_warmup_steps": 2, "minibatches": 1, "micro_tokens": asked.micro_tokens,
        "rollout_rows": asked.rows, "compute_dtype": asked.compute_dtype, "eval_every": 5, "save_every": 5,
    }  # fmt: skip
    config = loop.configure(folder, values, resume=resume)
    done = loop.run(config, folder, Caller(resume=resume, limit=asked.limit))
    models = sorted(folder.glob("checkpoints/step-*/model"))
    if done.steps < config.steps or not models:
        raise SystemExit(f"{str(folder)!r} has {done.steps} of {config.steps} steps: {done.message}")
    return models[-1]


def _compare(
    asked: argparse.Namespace,
    worlds: dict[int, World],
    index: LexicalIndex,
    models: dict[str, Path],
    result: dict[str, object],
) -> None:
    """Evaluate each policy greedily on held-out questions of one and two hops, and pair them."""
    for hops, world in worlds.items():
        few, rows = world.test[: asked.test], dict[str, list[arms.Row]]()
        for name, model in models.items():

            def make(model: Path = model) -> Coroutine[Any, Any, list[arms.Row]]:
                return arms.evaluate(model, few, index, TURNS - 1, asked.top_k, asked.rows)  # noqa: B023

            step = "" if name == "start" else f"-{model.parent.name}"
            rows[name] = arms.answers(asked.out / f"test-{hops}-{name}{step}.jsonl", few, make)
        pairs = [("start", name) for name in models if name != "start"]
        pairs += [("solver", "both")] if {"solver", "both"} <= models.keys() else []
        result[f"hops_{hops}"] = {name: arms.accuracy(found) for name, found in rows.items()}
        result[f"hops_{hops}_paired"] = {f"{a} to {b}": arms.paired(rows[a], rows[b]) for a, b in pairs}


def _arguments() -> argparse.Namespace:
    parser = options(__doc__, "runs/self_play")
    add = parser.add_argument
    trained = [one.value for one in Trained]
    add("--train", type=some_of(*trained), default=["solver", "both"], help=f"a run for each of {','.join(trained)}")
    add("--steps", type=count, default=20, help="steps of a run; a higher number extends it")
    add("--attempts", type=count, default=4, help="attempts at each question")
    add("--demonstrations", type=count, default=100, help="questions of each kind whose dialogues the warm start shows")
    add("--warm-start-steps", type=count, default=90)
    add("--test", type=count, default=120, help="held-out questions of one hop, and of two")
    add("--dev", type=count, default=30, help="of each kind for the curve")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except QuestwellError as error:
        sys.exit(f"Error: {error}")
