"""The toy world learnt in float32 and in bfloat16, with few and many optimiser steps per step; and FSDP2 on one rank.

    python benchmarks/gpu/correct.py --out correct.json [--steps 20] [--device cuda]

The file is written after each case. Accuracy, KL of each update and the gap to the sampler are given by step.
"""

# pyright: basic, reportArgumentType=false, reportPrivateImportUsage=false, reportOperatorIssue=false
# pyright: reportMissingImports=false

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parents[1]))

from arguments import parser
from report import heading, write

from questwell.llm.pretrained import load
from questwell.recipes.runs.config import resolve
from questwell.recipes.train.config import TOY, TrainConfig
from questwell.recipes.train.loop import train
from questwell.recipes.train.setup import make_algorithm, make_update, open_train_setup
from questwell.training.metrics import read_metrics
from questwell.training.policy import Lora
from questwell.training.trainer import Trainer
from questwell.types.trajectory import Role

CASES: Mapping[str, tuple[str, dict[str, object]]] = {
    "ppo, 2 descents": ("ppo", {}),
    "ppo, 4 x 4 descents": ("ppo", {"epochs": 4, "minibatches": 4}),
    "grpo, 2 descents": ("grpo", {}),
}


def main() -> None:
    """Learn each case in both precisions, and write accuracy and gap at each step."""
    options = parser(__doc__)
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--warm-start-steps", type=int, default=280)
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--out", type=Path, required=True, help="file for the results")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as root:
        measure(asked, Path(root))


def measure(asked: argparse.Namespace, root: Path) -> None:
    """Learn each case below `root`; the file is written after each."""
    name = torch.cuda.get_device_name() if asked.device != "cpu" else "cpu"
    told: dict[str, object] = {**heading(), "device": name, "torch": torch.__version__}
    base = {"data": "toy", "device": asked.device, "steps": asked.steps, "save_every": 1000}
    base["warm_start_steps"] = asked.warm_start_steps
    open_train_setup(resolve(TrainConfig, TOY, base), root / "start")
    start = root / "start" / "initial"

    def learn(name: str, algorithm: str, values: dict[str, object], compute: str, lora: Lora | None) -> None:
        config = resolve(TrainConfig, TOY, base, {"algorithm": algorithm, **values})
        folder = root / name.replace(" ", "-").replace(",", "")
        folder.mkdir()
        (folder / "initial").symlink_to(start)
        setup = open_train_setup(config, folder)
        update = make_update(config) if lora is None else replace(make_update(config), learning_rate=3e-3)
        trainer = Trainer(
            load(str(start), device=asked.device),
            {Role.SOLVER: make_algorithm(config)},
            update,
            lora=lora,
            compute_dtype=compute,
        )
        asyncio.run(train(config, folder, replace(setup, trainer=trainer)))
        rows = read_metrics(folder / "metrics.jsonl")
        told[name] = {
            "accuracy": [row["accuracy"] for row in rows],
            "update_kl": [row["update_kl"] for row in rows],
            "sampling_gap": [row["sampling_gap"] for row in rows],
        }
        half = [row["accuracy"] for row in rows][len(rows) // 2 :]
        sys.stderr.write(f"{name}: second half {sum(half) / len(half):.3f}, gap {rows[-1]['sampling_gap']:.4f}\n")
        write("correct", told, asked.out)

    for case, (algorithm, values) in CASES.items():
        for compute in ("float32", "bfloat16"):
            learn(f"{case}, {compute}", algorithm, values, compute, None)
    for compute in ("float32", "bfloat16"):
        learn(f"ppo, lora, {compute}", "ppo", {}, compute, Lora(8, 16))
    backend = "nccl" if asked.device != "cpu" else "gloo"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    for name, lora in (("all weights", None), ("lora", Lora(8, 16))):
        try:
            learn(f"fsdp2 on one rank, ppo, {name}", "ppo", {}, "bfloat16", lora)
        except Exception as error:  # so that the other cases are still measured
            told[f"fsdp2 on one rank, ppo, {name}"] = {"error": f"{type(error).__name__}: {error}"[:600]}
    write("correct", told, asked.out)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
