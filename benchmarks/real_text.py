"""Puts finished runs of examples/real_text together: what each arm answers, and its held-out curve while it trained.

Seeds of one setting are pooled as well. The curves go to benchmarks/results/real_text.png.

python benchmarks/real_text.py RUN [RUN ...]
"""

# matplotlib is typed in part only.
# pyright: reportUnknownMemberType=false

import argparse
import importlib
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from report import RESULTS, heading, write

matplotlib.use("Agg")
from matplotlib import pyplot as plt

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "real_text"))

arms = importlib.import_module("arms")
COLOURS = {"B": "#4292c6", "C": "#d94801"}


def curve(run: Path, arm: str) -> list[dict[str, float]]:
    """Accuracy on the held-out questions by step, as the training wrote it."""
    rows = [json.loads(line) for line in (run / f"train-{arm}" / "evaluations.jsonl").read_text().splitlines()]
    return [{"step": row["step"], "accuracy": row["held_out_accuracy"]} for row in rows]


def answers(run: Path, part: str, arm: str) -> list[dict[str, object]]:
    """Return what an arm answered in one part of the evaluation."""
    [path] = run.glob(f"{part}-{arm}-*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def pooled(runs: Sequence[tuple[Path, dict[str, Any]]]) -> list[dict[str, object]]:
    """Return each comparison over all seeds of one setting, with the interval over whole countries of all seeds."""
    settings: dict[tuple[object, ...], list[tuple[Path, dict[str, Any]]]] = defaultdict(list)
    for run, result in runs:
        settings[result["hops"], result["algorithm"], result.get("questions", 800)].append((run, result))
    found: list[dict[str, object]] = []
    for (hops, algorithm, asked), same in settings.items():
        for part in ("test", "other_kinds"):
            for pair in same[0][1][f"{part}_paired"]:
                one, other = pair.split(" to ")
                of = [run for run, result in same if pair in result[f"{part}_paired"]]
                first, second = ([row for run in of for row in answers(run, part, arm)] for arm in (one, other))
                change = arms.paired(first, second)
                setting = {"hops": hops, "algorithm": algorithm, "training_questions": asked}
                setting |= {"part": part, "pair": pair, "seeds": len(of)}
                found.append({**setting, one: arms.accuracy(first), other: arms.accuracy(second), **change})
    return found


def picture(runs: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the held-out curves: a panel for each number of hops, a colour for each arm."""
    hops = sorted({run["hops"] for run in runs})
    figure, panels = plt.subplots(1, len(hops), figsize=(5 * len(hops), 3.4), sharey=True, layout="constrained")
    for axes, count in zip([panels] if len(hops) == 1 else panels, hops, strict=True):
        for run in (run for run in runs if run["hops"] == count):
            for arm, points in run["curves"].items():
                axes.plot(
                    [point["step"] for point in points],
                    [point["accuracy"] for point in points],
                    color=COLOURS[arm],
                    marker="os^v"[(run["seed"] - 1) % 4],
                    label=f"arm {arm}, seed {run['seed']}",
                )
        axes.set_title(f"{count} hop{'s' * (count > 1)}")
        axes.set_xlabel("training steps")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize="small")
        axes.set_ylim(0, 1)
    figure.supylabel("accuracy, held-out countries")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main() -> None:
    """Write benchmarks/results/real_text.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--commits", nargs="+", default=(), help="what each run was made with, if not this checkout")
    given = parser.parse_args()
    begun = heading()
    runs: list[dict[str, Any]] = []
    results = [(run, json.loads((run / "result.json").read_text())) for run in given.runs]
    commits = given.commits or [begun["commit"]] * len(results)
    for (run, result), commit in zip(results, commits, strict=True):
        curves = {arm: curve(run, arm) for arm in result["test"] if arm != "A"}
        runs.append({"commit": commit, **result, "curves": curves})
    picture(runs, RESULTS / "real_text.png")
    write("real_text", {**begun, "commit": commits[-1], "pooled": pooled(results), "runs": runs})


if __name__ == "__main__":
    main()
