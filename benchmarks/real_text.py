"""Finished runs of examples/real_text put together: what each arm answers, and its held-out curve while it trained.

    python benchmarks/real_text.py RUN [RUN ...] [--commits COMMIT [COMMIT ...]] [--add]

Runs of one setting with different seeds are also pooled. Evaluations of the arms on MuSiQue in a run's folder, named
`musique-A` and so on (`questwell evaluate`, see examples/real_text/README.md), are compared too. The curves go to
benchmarks/results/real_text.png.
"""

# matplotlib is typed in part only.
# pyright: reportUnknownMemberType=false

import importlib
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
from arguments import existing_folder, parser
from report import RESULTS, heading, write

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from questwell.recipes.reports.scores import compare_pooled, evaluation

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "real_text"))

arms = importlib.import_module("arms")
COLOURS = {"B": "#4292c6", "C": "#d94801"}
MARKERS = "os^v"
"""By seed."""
QUESTIONS = 800
"""Training questions of runs that did not say how many: the default of the example at that time."""


def curve(run: Path, arm: str) -> list[dict[str, float]]:
    """Accuracy on the held-out questions by step, as the training wrote it."""
    rows = [json.loads(line) for line in (run / f"train-{arm}" / "evaluations.jsonl").read_text().splitlines()]
    return [{"step": row["step"], "accuracy": row["held_out_accuracy"]} for row in rows]


def answers(run: Path, part: str, arm: str) -> list[dict[str, object]]:
    """What an arm answered in one part of the evaluation; after its last step if there are several."""
    path = max(run.glob(f"{part}-{arm}-*.jsonl"))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def pooled(runs: Sequence[tuple[Path, dict[str, Any]]]) -> list[dict[str, object]]:
    """Each comparison over all seeds of one setting; its interval resamples the countries of all seeds."""
    settings: dict[tuple[object, ...], list[tuple[Path, dict[str, Any]]]] = defaultdict(list)
    for run, result in runs:
        settings[result["hops"], result["algorithm"], str(_trained_on(result))].append((run, result))
    found: list[dict[str, object]] = []
    for (hops, algorithm, _), same in settings.items():
        for part in ("test", "other_kinds"):
            for pair in same[0][1][f"{part}_paired"]:
                one, other = pair.split(" to ")
                of = [run for run, result in same if pair in result[f"{part}_paired"]]
                first, second = ([row for run in of for row in answers(run, part, arm)] for arm in (one, other))
                change = arms.paired(first, second)
                asked = {arm: count for arm, count in _trained_on(same[0][1]).items() if arm in (one, other)}
                setting = {"hops": hops, "algorithm": algorithm, "training_questions": asked}
                setting |= {"part": part, "pair": pair, "seeds": len(of)}
                found.append({**setting, one: arms.accuracy(first), other: arms.accuracy(second), **change})
    return found


def elsewhere(run: Path) -> dict[str, object]:
    """What the arms answer on MuSiQue, and the paired differences; nothing if they were not asked."""
    folders = {path.name.rpartition("-")[2]: [path] for path in sorted(run.glob("musique-[A-C]"))}
    if len(folders) < 2:
        return {}
    found: dict[str, object] = {}
    for arm, (folder,) in folders.items():
        whole = evaluation(folder).summaries[0]
        found[arm] = {"em": asdict(whole.exact_match), "f1": asdict(whole.f1), "searches": whole.searches.mean}
    for metric in ("em", "f1"):
        found[f"{metric}_paired"] = {
            f"{one.first} to {one.second}": asdict(one.comparison)
            for one in compare_pooled(folders, metric)
            if one.group == "all" and one.comparison is not None
        }
    return {"musique": found}


def _trained_on(result: dict[str, Any]) -> dict[str, int]:
    """Return the number of training questions by arm; the first runs did not write it, and had 800."""
    return result.get("questions") or {arm: QUESTIONS for arm in result["test"] if arm != "A"}


def _setting(run: dict[str, Any]) -> str:
    return str((run["hops"], run["algorithm"], _trained_on(run), run["steps"], run["seed"]))


def _pooled_of(one: dict[str, Any]) -> str:
    return str([one[name] for name in ("hops", "algorithm", "training_questions", "part", "pair")])


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
                    marker=MARKERS[(run["seed"] - 1) % len(MARKERS)],
                    label=f"arm {arm}, seed {run['seed']}",
                )
        axes.set_title(f"{count} hop{'s' * (count > 1)}")
        axes.set_xlabel("training steps")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize="x-small")
        axes.set_ylim(0, 1)
    figure.supylabel("accuracy, held-out countries")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main() -> None:
    """Write benchmarks/results/real_text.json."""
    options = parser(__doc__)
    options.add_argument("runs", type=existing_folder, nargs="+", metavar="RUN", help="folder of a finished run")
    options.add_argument("--commits", nargs="+", default=(), help="what each run was made with, if not this checkout")
    options.add_argument("--add", action="store_true", help="keep what the result says of other settings and seeds")
    given = options.parse_args()
    if given.commits and len(given.commits) != len(given.runs):
        options.error(f"{len(given.runs)} runs need as many --commits, not {len(given.commits)}")
    if unfinished := [str(run) for run in given.runs if not (run / "result.json").is_file()]:
        options.error(f"no result.json in {', '.join(unfinished)}: the run is not finished")
    begun = heading()
    runs: list[dict[str, Any]] = []
    results = [(run, json.loads((run / "result.json").read_text(encoding="utf-8"))) for run in given.runs]
    commits = given.commits or [begun["commit"]] * len(results)
    for (run, result), commit in zip(results, commits, strict=True):
        curves = {arm: curve(run, arm) for arm in result["test"] if arm != "A"}
        runs.append({"commit": commit, **result, "curves": curves, **elsewhere(run)})
    together = pooled(results)
    if given.add:
        before = json.loads((RESULTS / "real_text.json").read_text(encoding="utf-8"))
        known, same = {_setting(run) for run in runs}, {_pooled_of(one) for one in together}
        runs = [run for run in before["runs"] if _setting(run) not in known] + runs
        together = [one for one in before["pooled"] if _pooled_of(one) not in same] + together
    write("real_text", {**begun, "commit": commits[-1], "pooled": together, "runs": runs})
    picture(runs, RESULTS / "real_text.png")


if __name__ == "__main__":
    main()
