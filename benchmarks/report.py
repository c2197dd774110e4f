"""What every benchmark's result says next to its figures (command, date, commit, machine, its load), and its file."""

import contextlib
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

RESULTS_VARIABLE = "QUESTWELL_BENCH_RESULTS"
"""Environment variable with another folder for results, so that `make bench` does not replace the kept ones."""
HERE = Path(__file__).resolve().parent
RESULTS = Path(os.environ.get(RESULTS_VARIABLE) or HERE / "results")


def heading() -> dict[str, object]:
    """The heading of a result, made before the benchmark starts, so that the load is that of other processes."""
    script = Path(sys.argv[0]).resolve()
    name = script.relative_to(HERE).as_posix() if script.is_relative_to(HERE) else script.name
    return {
        "command": shlex.join(["python", f"benchmarks/{name}", *map(without_place, sys.argv[1:])]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
    }


def without_place(argument: str) -> str:
    """An argument of the command line, with each absolute path shortened to its last name."""
    return re.sub(r"(?<![\w.~:/-])~?/(?:[^/\s,;=]+/)*", "", argument)


def write(name: str, report: Mapping[str, object], to: Path | None = None) -> None:
    """Save a report as benchmarks/results/NAME.json, or as the file `to`."""
    path = to or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _machine() -> dict[str, str | int]:
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": platform.platform(),
        "nice": os.nice(0),
        "load_before": _lines("/proc/loadavg")[0].split()[0],
    }


def _lines(path: str) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(path).read_text().splitlines()
    return ["?"]


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False).stdout.strip()
