"""Finished runs of examples/real_text, put together: what each arm answers, and the held-out curve while it trained.

python benchmarks/real_text.py RUN [RUN ...]
"""

import argparse
import json
from pathlib import Path

from report import heading, write


def curve(run: Path, arm: str) -> list[dict[str, float]]:
    """Accuracy on the held-out questions by step, as the training wrote it."""
    rows = [json.loads(line) for line in (run / f"train-{arm}" / "evaluations.jsonl").read_text().splitlines()]
    return [{"step": row["step"], "accuracy": row["held_out_accuracy"]} for row in rows]


def main() -> None:
    """Write benchmarks/results/real_text.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--commit", help="what the runs were made with, if not this checkout")
    given = parser.parse_args()
    begun = heading()
    runs: list[dict[str, object]] = []
    for run in given.runs:
        result = json.loads((run / "result.json").read_text())
        curves = {arm: curve(run, arm) for arm in result["test"] if arm != "A"}
        runs.append({**result, "curves": curves})
    write("real_text", {**begun, "commit": given.commit or begun["commit"], "runs": runs})


if __name__ == "__main__":
    main()
