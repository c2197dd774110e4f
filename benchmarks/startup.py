"""What a verb costs before it does anything: CPU seconds of `--version`, `--help` and `status` of a small run.

Run it with the folder of a run:  python benchmarks/startup.py --run RUN [--before REV] [--repeats 7]
`--before` measures the source of an older revision too, in turn with today's, so that both see the same machine.
Results go to benchmarks/results/startup.json: the least of the repeats, which is the one that was disturbed least.
"""

import argparse
import io
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from report import heading, write

ROOT = Path(__file__).parents[1]
PROGRAM = "from questwell.cli.app import main; main()"


def cpu_s(source: Path, arguments: list[str]) -> float:
    """User and system time of one call of the command, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={**os.environ, "PYTHONPATH": str(source), "COLUMNS": "100"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"questwell {' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def unpack(revision: str, folder: Path) -> Path:
    """The source of a revision, in `folder`."""
    packed = subprocess.run(["git", "archive", revision, "src"], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--before", metavar="REV")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    calls = {"--version": ["--version"], "--help": ["--help"], "status": ["status", str(given.run)]}
    with tempfile.TemporaryDirectory() as folder:
        sources = {"now": ROOT / "src"}
        if given.before:
            sources["before"] = unpack(given.before, Path(folder))
        least: dict[tuple[str, str], float] = {}
        for _ in range(given.repeats + 1):  # the first compiles
            for name, arguments in calls.items():
                for which, source in sources.items():
                    took = cpu_s(source, arguments)
                    least[name, which] = min(took, least.get((name, which), took))
    rows = [{"call": name, **{f"cpu_s_{which}": round(least[name, which], 3) for which in sources}} for name in calls]
    for row in rows:
        print(row)
    write("startup", {**heading(), "before": given.before, "repeats": given.repeats, "results": rows})


if __name__ == "__main__":
    main()
