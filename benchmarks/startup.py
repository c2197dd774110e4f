"""CPU seconds of the commands that do next to nothing: `--version`, `--help`, and `status` of a small run.

    python benchmarks/startup.py --run RUN [--before REV --run-before RUN] [--repeats 10]

RUN is the folder of a run. `--before` also measures the source of an older revision, in turn with today's, so that both
see the same machine. An older revision cannot read today's run file: `--run-before` names a run of the same size that
it made itself. Without one, its `status` is not measured, and the result says so.

Results go to benchmarks/results/startup.json: the lowest of the repeats, which other processes disturbed least.
"""

import io
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from arguments import existing_folder, parser
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
    packed = subprocess.run(["git", "archive", revision, "src"], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if packed.returncode:
        raise SystemExit(f"git has no source of {revision!r}")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def commands(run: Path | None) -> list[tuple[str, list[str]]]:
    """The measured commands by name; without a run, none that reads one."""
    return [
        ("--version", ["--version"]),
        ("--help", ["--help"]),
        *([("status", ["status", str(run)])] if run is not None else []),
    ]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--run", type=existing_folder, required=True, help="folder of a run")
    options.add_argument("--before", metavar="REV", help="revision to compare with")
    options.add_argument("--run-before", type=existing_folder, metavar="RUN", help="a run that this revision made")
    options.add_argument("--repeats", type=int, default=10)
    given = options.parse_args()
    head = heading()
    runs = {"now": given.run, "before": given.run_before}
    with tempfile.TemporaryDirectory() as folder:
        sources = {"now": ROOT / "src"}
        if given.before:
            sources["before"] = unpack(given.before, Path(folder))
        calls = [(name, which, arguments) for which in sources for name, arguments in commands(runs[which])]
        least: dict[tuple[str, str], float] = {}
        for _ in range(given.repeats + 1):  # the first call compiles the modules
            for name, which, arguments in calls:
                took = cpu_s(sources[which], arguments)
                least[name, which] = min(took, least.get((name, which), took))
    names = [name for name, _ in commands(given.run)]
    found = {key: round(took, 3) for key, took in least.items()}
    rows = [{"call": name, **{f"cpu_s_{which}": found.get((name, which)) for which in sources}} for name in names]
    for row in rows:
        print(row)
    write("startup", {**head, "before": given.before, "repeats": given.repeats, "results": rows})


if __name__ == "__main__":
    main()
