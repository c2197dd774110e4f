"""Finished runs of examples/real_text/self_play.py put together: what each policy answers, and how its training went.

    python benchmarks/selfplay_text.py RUN [RUN ...] [--commit COMMIT]

Runs with different seeds are also pooled. Curves go to benchmarks/results/selfplay_text.png.
"""

# matplotlib is typed in part only.
# pyright: reportUnknownMemberType=false

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from arguments import existing_folder, parser
from report import RESULTS, heading, write

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from questwell.recipes.selfplay.record import Record
from questwell.types.selfplay import Episode

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "real_text"))

arms = importlib.import_module("arms")
COLOURS = {"solver": "#4292c6", "both": "#d94801", "proposer": "#41ab5d"}
PANELS = {
    "held_out_accuracy": "held-out countries",
    "solver_accuracy": "own questions",
    "valid_rate": "valid proposals",
    "described": "valid ones with a clue",
}
"""What is drawn, with its title; all are fractions."""
DESCRIBED = " the country "
"""Stands in a question whose country is described by a clue, which takes one search more."""


def curve(folder: Path) -> list[dict[str, object]]:
    """Metrics by step, with the share of valid questions that describe their country."""
    record = Record(folder)
    rows: list[dict[str, object]] = []
    for row in record.rows():
        made = [one.question for one in _valid(record.episodes(row.step))] if row.step else []
        values = {name: row.values.get(name) for name in (*PANELS, "proposer_reward", "question_length")}
        values["described"] = sum(DESCRIBED in text for text in made) / len(made) if made else None
        rows.append({"step": row.step, **values, "by_hops": dict(row.by_hops), "reasons": dict(row.reasons)})
    return rows


def _valid(episodes: Sequence[Episode]) -> list[Any]:
    return [one.made for one in episodes if one.made is not None]


def pooled(runs: Sequence[tuple[Path, dict[str, Any]]]) -> list[dict[str, object]]:
    """Each comparison over all seeds; its interval resamples the countries of all seeds."""
    found: list[dict[str, object]] = []
    for hops in (1, 2):
        for pair in runs[0][1][f"hops_{hops}_paired"]:
            one, other = pair.split(" to ")
            of = [run for run, result in runs if pair in result[f"hops_{hops}_paired"]]
            first, second = ([row for run in of for row in _answers(run, hops, name)] for name in (one, other))
            scores = {one: arms.accuracy(first), other: arms.accuracy(second)}
            found.append({"hops": hops, "pair": pair, "seeds": len(of), **scores, **arms.paired(first, second)})
    return found


def _answers(run: Path, hops: int, name: str) -> list[dict[str, object]]:
    path = max(run.glob(f"test-{hops}-{name}*.jsonl"))  # after its last step
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def picture(runs: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw each metric over the steps: a colour for each choice of trained roles."""
    figure, panels = plt.subplots(1, len(PANELS), figsize=(3.2 * len(PANELS), 3), sharey=True, layout="constrained")
    for axes, (metric, title) in zip(panels, PANELS.items(), strict=True):
        for run in runs:
            for trained, rows in run["curves"].items():
                points = [(row["step"], row[metric]) for row in rows if row[metric] is not None]
                label = f"trained: {trained}, seed {run['seed']}"
                axes.plot(*zip(*points, strict=True), color=COLOURS[trained], label=label)
        axes.set_title(title)
        axes.set_xlabel("steps")
        axes.grid(alpha=0.3)
        axes.set_ylim(0, 1)
    panels[0].legend(frameon=False, fontsize="x-small")
    figure.supylabel("fraction")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main() -> None:
    """Write benchmarks/results/selfplay_text.json."""
    options = parser(__doc__)
    options.add_argument("runs", type=existing_folder, nargs="+", metavar="RUN", help="folder of a finished run")
    options.add_argument("--commit", help="what the runs were made with, if not this checkout")
    given = options.parse_args()
    if unfinished := [str(run) for run in given.runs if not (run / "result.json").is_file()]:
        options.error(f"no result.json in {', '.join(unfinished)}: the run is not finished")
    begun = heading()
    results = [(run, json.loads((run / "result.json").read_text(encoding="utf-8"))) for run in given.runs]
    runs: list[dict[str, Any]] = []
    for run, result in results:
        curves = {path.name.removeprefix("play-"): curve(path) for path in sorted(run.glob("play-*"))}
        runs.append({**result, "curves": curves})
    begun["commit"] = given.commit or begun["commit"]
    write("selfplay_text", {**begun, "pooled": pooled(results), "runs": runs})
    picture(runs, RESULTS / "selfplay_text.png")


if __name__ == "__main__":
    main()
