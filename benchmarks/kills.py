"""40 SIGKILLs over generate, evaluate, gates, train and selfplay, from the start of a process to its last call.

    python benchmarks/kills.py

Runs the slow kills of tests/kill_test.py, which kill each verb's process again and again, let it end, and compare the
run with one that was left alone. A server on this machine answers as the model, and counts each call. Results go to
benchmarks/results/kills.json, unless a run ends differently or pays a call twice that was not in flight.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from arguments import parser
from report import heading, write

ROOT = Path(__file__).resolve().parent.parent
VERBS = {"generate": 12, "evaluate": 8, "gates": 6, "train": 7, "selfplay": 7}
"""Number of kills per verb, as the slow tests have them."""


def accounts(report: Path) -> Iterator[dict[str, Any]]:
    """What the kills of each verb cost, from pytest's report."""
    for case in ElementTree.parse(report).iter("testcase"):
        for found in case.iter("property"):
            if found.get("name") == "account":
                verb = str(case.get("name")).removeprefix("test_").partition("[")[0]
                account = json.loads(found.get("value") or "")
                moments = [round(answered / account["calls"], 2) for answered in account.pop("answered")]
                yield {"verb": verb, "kills": len(moments), **account, "share_answered_at_kill": moments}


def main() -> None:
    """Run the kills, and keep their figures."""
    parser(__doc__).parse_args()
    head = heading()
    tests = [f"tests/kill_test.py::test_{verb}[{kills}]" for verb, kills in VERBS.items()]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        kept = ["-o", "junit_family=xunit1", f"--junitxml={report}"]  # the newer form has no properties of a test
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *kept, *tests]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            raise SystemExit("a run ended differently, or paid twice: see above; nothing was written")
        verbs = list(accounts(report))
    kills = sum(one["kills"] for one in verbs)
    if [one["verb"] for one in verbs] != list(VERBS) or kills != sum(VERBS.values()):
        raise SystemExit(f"the tests made {kills} kills: {verbs}; nothing was written")
    totals = {key: sum(one[key] for one in verbs) for key in ("calls", "paid_again", "most_paid_again")}
    write("kills", {**head, "kills": kills, **totals, "verbs": verbs})


if __name__ == "__main__":
    main()
