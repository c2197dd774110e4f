"""Learning on the toy world: PPO, GRPO, REINFORCE from one warm start, and GRPO with retrieved tokens trained on too.

    python benchmarks/toy_learning.py [--steps 40] [--seeds 0,1] [--only "grpo;grpo, mask off"] [--work FOLDER]

Exact match is measured on fresh samples before and after, on the training questions and on those that start from
held-out entities. Curves go to benchmarks/results/toy_learning.png.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import report
import torch
from arguments import names, numbers, parser

from questwell.agents.session import DirectSession
from questwell.llm.pretrained import load
from questwell.recipes.runs.config import resolve
from questwell.recipes.train.config import TOY, TrainConfig
from questwell.recipes.train.loop import train
from questwell.recipes.train.setup import TrainSetup, make_algorithm, make_update, open_train_setup
from questwell.scoring.squad import exact_match
from questwell.toy.world import ToyQuestion, ToyWorld
from questwell.training.charts import draw
from questwell.training.metrics import Metrics, Panel, read_metrics
from questwell.training.trainer import Trainer
from questwell.types.game import Place
from questwell.types.trajectory import Role

RUNS = {"ppo": "ppo", "grpo": "grpo", "reinforce": "reinforce", "grpo, mask off": "grpo"}
SAMPLES = 8
"""Number of attempts at each question, before and after training."""

SHOWN = (
    Panel("accuracy", "fraction", ("accuracy",)),
    Panel("kl", "nats per token", ("kl",)),
    Panel("entropy", "nats", ("entropy",)),
    Panel("searches", "searches", ("searches",)),
)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--steps", type=int, default=40)
    options.add_argument("--seeds", type=numbers, default=[0], help="repetitions, separated by commas")
    options.add_argument("--only", type=names(RUNS), default=list(RUNS), help="runs, separated by semicolons")
    options.add_argument("--work", type=Path, help="folder to keep the runs in; one of the same name is replaced")
    asked = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        measure(asked, asked.work or Path(temporary))


def measure(asked: argparse.Namespace, work: Path) -> None:
    """Make each run, and write the result and the curves after each."""
    rows: list[dict[str, object]] = []
    told: dict[str, object] = {**report.heading(), "steps": asked.steps, "runs": rows}
    curves: dict[str, Sequence[Metrics]] = {}
    for seed in asked.seeds:
        for name in asked.only:
            folder = work / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
            row = asyncio.run(learn(name, seed, asked.steps, folder, work / f"initial-{seed}"))
            print(row, flush=True)
            rows.append(row)
            curves[f"{name}, seed {seed}"] = read_metrics(folder / "metrics.jsonl")
            report.write("toy_learning", told)
            draw(curves, report.RESULTS / "toy_learning.png", "Toy world, two searches per question", SHOWN)


async def learn(name: str, seed: int, steps: int, folder: Path, initial: Path) -> dict[str, object]:
    """Train one run, and measure it."""
    shutil.rmtree(folder, ignore_errors=True)
    values = {"data": "toy", "algorithm": RUNS[name], "steps": steps, "seed": seed, "save_every": steps}
    config = resolve(TrainConfig, TOY, values)
    started = time.perf_counter()
    if initial.exists():
        folder.mkdir(parents=True)
        shutil.copytree(initial, folder / "initial")
    setup = open_train_setup(config, folder)
    shutil.copytree(folder / "initial", initial, dirs_exist_ok=True)
    if name.endswith("off"):
        options = replace(make_update(config), mask_inserted=False)
        trainer = Trainer(load(str(initial)), {Role.SOLVER: make_algorithm(config)}, options)
        setup = replace(setup, trainer=trainer)
    warm_s = time.perf_counter() - started
    world = ToyWorld(seed=seed)
    questions = {"train": world.questions(2), "test": world.questions(2, test=True)}
    before = {split: await right(setup, asked) for split, asked in questions.items()}
    started, cpu = time.perf_counter(), time.process_time()
    await train(config, folder, setup)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    after = {split: await right(setup, asked) for split, asked in questions.items()}
    curve = [round(row["accuracy"], 4) for row in read_metrics(folder / "metrics.jsonl")]
    return {
        "run": name,
        "seed": seed,
        "exact_match_before": before,
        "exact_match_after": after,
        "accuracy_by_step": curve,
        "warm_start_s": round(warm_s, 1),
        "train_s": round(seconds, 1),
        "train_cpu_s": round(cpu_s, 1),
    }


async def right(setup: TrainSetup, questions: tuple[ToyQuestion, ...]) -> float:
    """Exact match over fresh samples at temperature 1, a fraction."""

    async def one(question: ToyQuestion, attempt: int) -> bool:
        session = DirectSession(setup.trainer.client(), setup.retriever)
        place = Place(question.id, -1, Role.SOLVER, attempt)  # no training step uses this place
        played = await setup.solver.solve(question.question, session, place.random_seed(0))
        return exact_match(played.answer or "", [question.answer])

    found = await asyncio.gather(*(one(question, at) for question in questions for at in range(SAMPLES)))
    return round(sum(found) / len(found), 4)


if __name__ == "__main__":
    main()
