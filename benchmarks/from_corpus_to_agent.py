"""The whole recipe of examples/from_corpus_to_agent, on the toy world: which data makes the better agent.

    python benchmarks/from_corpus_to_agent.py --work FOLDER [--seeds 0,1,2]

Stages that are finished in FOLDER are not done again. Figures and picture are the example's own: its `findings.json`
and `findings.png`.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import report
from arguments import parser

EXAMPLE = Path(__file__).parent.parent / "examples" / "from_corpus_to_agent" / "run.py"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", default="0,1,2", help="repetitions, separated by commas")
    options.add_argument("--work", type=Path, required=True, help="folder of all stages")
    given = options.parse_args()
    heading = report.heading()
    command = [sys.executable, str(EXAMPLE), "--out", str(given.work), "--seeds", given.seeds]
    if code := subprocess.run(command, check=False).returncode:
        sys.exit(code)  # the example has said why
    found = json.loads((given.work / "findings.json").read_text(encoding="utf-8"))
    report.write("from_corpus_to_agent", {**heading, **found})
    shutil.copy(given.work / "findings.png", report.RESULTS / "from_corpus_to_agent.png")


if __name__ == "__main__":
    main()
