"""Peak memory of what reads every item of a run: dataset, push, report, show, harden's questions, and export.

    python benchmarks/many_items.py --old OLD_CHECKOUT/src [--items 20000 100000] [--work FOLDER]

The run is made as in million_seeds.py: two recorded calls per item. Each step is a process of its own, by the old code
and by today's on the same run, and returns a digest of what it wrote, so that both can be compared: files byte by byte,
parquet files value by value (how their rows are grouped is not content), without the date of the dataset. Memory of the
imports alone is given next to each step. With --work, a run that an earlier call made there is read again, and kept.
Results go to benchmarks/results/many_items.json.
"""

import argparse
import asyncio
import contextlib
import hashlib
import importlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from arguments import existing_folder, parser

HERE = Path(__file__).parent
KEPT_HERE = ".sources.json"
"""File of a dataset with the places of its runs, which is not content."""
DATE = re.compile(rb'"created": ?"[^"]*"|"datePublished": ?"[^"]*"|"version": ?"[^"]*"')


def dataset(run: Path, out: Path) -> str:
    """What `questwell dataset` writes."""
    from questwell.recipes.dataset.build import build
    from questwell.recipes.dataset.config import DatasetConfig

    build([run], out / "set", DatasetConfig())
    return digest(out / "set")


def push(run: Path, out: Path) -> str:
    """What `questwell push --dry-run` reads."""
    from questwell.recipes.dataset.push import prepare

    return str(prepare(out / "set", "me/set").bytes > 0)


def report(run: Path, out: Path) -> str:
    """What `questwell status --report` writes."""
    from questwell.recipes.reports.report import report as write

    asyncio.run(write([run], out / "report"))
    return digest(out / "report")


def show(run: Path, out: Path) -> str:
    """What `questwell show RUN` prints."""
    return printed(out, "show", str(run))


def show_json(run: Path, out: Path) -> str:
    """What `questwell show RUN --json` prints."""
    return printed(out, "show", str(run), "--json")


def harden(run: Path, out: Path) -> str:
    """The questions that `questwell harden RUN` starts from."""
    from questwell.recipes.harden.config import HardenConfig
    from questwell.recipes.harden.given import read_given

    return read_given(HardenConfig(source=str(run), corpus="islands")).content


def export(run: Path, out: Path) -> str:
    """What `questwell export` writes."""
    from questwell.recipes.dataset.export import Format, export

    export(run, out / "items.jsonl", Format.JSONL)
    return digest(out / "items.jsonl")


STEPS: dict[str, Callable[[Path, Path], str]] = {
    "dataset": dataset,
    "push": push,
    "report": report,
    "show": show,
    "show_json": show_json,
    "harden": harden,
    "export": export,
}


def printed(out: Path, *arguments: str) -> str:
    """The digest of what a command prints."""
    from questwell.cli.app import app

    with (out / "printed").open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        app(list(arguments), standalone_mode=False)
    return digest(out / "printed")


def digest(path: Path) -> str:
    """SHA-256 of a file, or of all files in a folder."""
    whole = hashlib.sha256()
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    for file in files:
        whole.update(str(file.relative_to(path)).encode())
        if file.suffix == ".parquet":
            for row in rows(file):
                whole.update(row)
        elif file.name in ("manifest.json", "croissant.json"):
            plain = DATE.sub(b"", file.read_bytes())
            whole.update(re.sub(rb'"[0-9a-f]{64}"', b"", plain))  # hashes of parquet files among them
        elif file.name != KEPT_HERE:
            with file.open("rb") as opened:
                while some := opened.read(1 << 20):
                    whole.update(some)
    return whole.hexdigest()


def rows(file: Path) -> Iterator[bytes]:
    """The rows of a parquet file and its columns, as text."""
    import pyarrow.parquet as parquet

    opened: Any = parquet.ParquetFile(file)
    yield str(opened.schema_arrow.remove_metadata()).encode()
    for batch in opened.iter_batches(1_000):
        yield from (json.dumps(row, ensure_ascii=False).encode() for row in batch.to_pylist())


def measured(step: str, run: Path, out: Path) -> dict[str, Any]:
    """A step in this process: what it took, what the imports took, and a digest of its result."""
    for name in ("cli.app", "recipes.dataset.push", "recipes.reports.report"):
        importlib.import_module(f"questwell.{name}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    started, cpu = time.perf_counter(), time.process_time()
    made = STEPS[step](run, out)
    return {
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "imports_mib": before,
        "wall_s": round(time.perf_counter() - started, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "digest": made[:16],
    }


def by(source: Path, step: str, run: Path, out: Path) -> dict[str, Any]:
    """A step by the code in `source`, in a process of its own."""
    line = [sys.executable, __file__, "--step", step, "--run", str(run), "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--items", type=int, nargs="+", default=[20_000, 100_000], help="numbers of items in a run")
    options.add_argument("--old", type=existing_folder, help="src folder of the code to compare with")
    options.add_argument("--work", type=Path, help="folder of the runs, by number of items")
    options.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS))
    options.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    options.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.step:
        print(json.dumps(measured(asked.step, asked.run, asked.out)))
        return
    if asked.old is None:
        options.error("--old is missing: the src folder of the code to compare with")
    if "push" in asked.only and "dataset" not in asked.only:
        options.error("push reads what dataset wrote: name both in --only")
    from report import heading, write

    codes = {"before": asked.old.absolute(), "now": HERE.parent / "src"}
    told: dict[str, Any] = {**heading(), "items": {}}
    work = asked.work or Path(tempfile.mkdtemp())
    try:
        for items in asked.items:
            run = made(work / str(items), items)
            found = told["items"][str(items)] = dict[str, Any]()
            with tempfile.TemporaryDirectory(dir=run.parent) as below:
                for name in codes:
                    (Path(below) / name).mkdir()
                for step in asked.only:  # push reads what dataset wrote
                    found[step] = {name: by(source, step, run, Path(below) / name) for name, source in codes.items()}
                    found[step]["same_result"] = len({one["digest"] for one in found[step].values()}) == 1
                    print(items, step, json.dumps(found[step]), flush=True)
                    write("many_items", told)
    finally:
        if asked.work is None:
            shutil.rmtree(work)


def made(folder: Path, items: int) -> Path:
    """A run of `items` items in `folder`, made if it is not there."""
    if not (folder / "run").is_dir():
        import million_seeds

        folder.mkdir(parents=True, exist_ok=True)
        million_seeds.played(folder, items, None)
    return folder / "run"


if __name__ == "__main__":
    main()
