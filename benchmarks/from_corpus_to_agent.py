"""The recipe of examples/from_corpus_to_agent whole, on the toy world: which data makes the better agent.

python benchmarks/from_corpus_to_agent.py --seeds 0,1,2 --work FOLDER

Stages that are finished in FOLDER are not done again. The figures are those of the example's own `findings.json`, the
picture is its picture.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import report

EXAMPLE = Path(__file__).parent.parent / "examples" / "from_corpus_to_agent" / "run.py"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args()
    heading = report.heading()
    command = [sys.executable, str(EXAMPLE), "--out", str(given.work), "--seeds", given.seeds]
    subprocess.run(command, check=True)
    found = json.loads((given.work / "findings.json").read_text(encoding="utf-8"))
    shutil.copy(given.work / "findings.png", report.RESULTS / "from_corpus_to_agent.png")
    report.write("from_corpus_to_agent", {**heading, **found})


if __name__ == "__main__":
    main()
