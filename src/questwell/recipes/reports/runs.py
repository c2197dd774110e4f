"""Finds runs of every kind in the folders that a user names, and whether a process is writing them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from questwell.errors import QuestwellError, StoreError
from questwell.recipes.generate.gates_results import FOLDER, RESULTS, read_results
from questwell.recipes.generate.recheck import FOLDER as RECHECK
from questwell.recipes.rejudge.results import RESULTS as REJUDGED
from questwell.recipes.rejudge.results import read
from questwell.recipes.reports.funnel import funnel_of
from questwell.recipes.reports.ledger import ledgers
from questwell.recipes.runs import description
from questwell.recipes.runs.description import PLAYED
from questwell.recipes.selfplay.record import Record
from questwell.store.lock import writer_of
from questwell.store.query import FILE_NAME
from questwell.store.reader import RunReader

_DEEP = 3
"""Maximum depth of folders in which runs are searched."""
_TRAINING = ("metrics.jsonl", "evaluations.jsonl", "attempts.jsonl")
_INNER = (f"{FOLDER}/{RESULTS}", f"{RECHECK}/{FILE_NAME}", f"{RECHECK}/{FILE_NAME}-wal")
_FILES = (FILE_NAME, f"{FILE_NAME}-wal", "reviews.sqlite", *_TRAINING, *_INNER)


class Kind(StrEnum):
    """The command that made a run."""

    GENERATE = "generate"
    HARDEN = "harden"
    RECHECK = "recheck"
    EVALUATE = "evaluate"
    GATES = "gates"
    REJUDGE = "rejudge"
    LABELS = "labels"
    TRAIN = "train"
    SELFPLAY = "selfplay"

    @property
    def plays(self) -> bool:
        """Whether its runs contain plays and items."""
        return self.value in PLAYED

    @property
    def page(self) -> str:
        """Start of the address of its page; empty for runs that are shown on the page of another run."""
        pages = {Kind.EVALUATE: "e", Kind.TRAIN: "t", Kind.SELFPLAY: "s"}
        return "r" if self.plays else pages.get(self, "")


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run with a name that is unique among the found runs."""

    name: str
    folder: Path
    kind: Kind


@dataclass(frozen=True, slots=True)
class RunCard:
    """Summary of a run in one line."""

    run: FoundRun
    created: str
    live: bool
    """Whether a process is writing it now."""
    headline: str
    cost_usd: float | None
    problem: str
    """Why the run cannot be read; empty if it can."""


def find_runs(paths: Sequence[Path]) -> list[FoundRun]:
    """Find the runs in `paths`, each of which is a run or a folder of runs.

    Raises:
        StoreError: one of the paths contains no run.
    """
    found: dict[Path, Kind] = {}
    for path in paths:
        here = dict(_below(path.resolve(), _DEEP))
        if not here:
            raise StoreError(f"there is no run in {str(path)!r}, nor in the folders below it")
        found |= here
    names: dict[str, int] = {}
    runs: list[FoundRun] = []
    for folder, kind in found.items():
        count = names[folder.name] = names.get(folder.name, 0) + 1
        runs.append(FoundRun(folder.name if count == 1 else f"{folder.name}~{count}", folder, kind))
    return runs


def _below(folder: Path, levels: int) -> list[tuple[Path, Kind]]:
    kind = _kind(folder)
    if kind is not None:
        return [(folder, kind)]
    if not levels or not folder.is_dir():
        return []
    inner = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    return [found for one in inner for found in _below(one, levels - 1)]


def _kind(folder: Path) -> Kind | None:
    held = (folder / FILE_NAME).is_file()
    try:
        info = description.read(folder)
    except QuestwellError:
        return Kind.GENERATE if held else None  # its page says what is wrong with it
    if info is None:
        return Kind.GENERATE if held else None
    return Kind(info.kind) if info.kind in set(Kind) else None


def is_live(folder: Path) -> bool:
    """Return whether a process is writing the run in `folder`."""
    return writer_of(folder / "run.lock") is not None


def stamp(folder: Path) -> str:
    """Return a text that changes whenever the run in `folder` does: sizes and times of its files."""
    parts: list[str] = []
    for name in _FILES:
        try:
            found = (folder / name).stat()
        except OSError:
            continue
        parts.append(f"{name[:3]}{found.st_mtime_ns:x}.{found.st_size:x}")
    return f"{'-'.join(parts)}-{is_live(folder):d}"


def card(found: FoundRun) -> RunCard:
    """Return a one-line summary of a run; problems with reading it go into the summary."""
    try:
        created, headline, cost = _facts(found)
    except QuestwellError as error:
        return RunCard(found, "", live=False, headline="", cost_usd=None, problem=str(error))
    return RunCard(found, created, is_live(found.folder), headline, cost, "")


def _facts(found: FoundRun) -> tuple[str, str, float | None]:
    info = description.read(found.folder)
    created = info.created if info else ""
    match found.kind:
        case Kind.SELFPLAY:
            steps = max((row.step for row in Record(found.folder).rows()), default=0)
            return created, f"{steps:,} steps", _paid(found.folder)
        case Kind.TRAIN:
            metrics = found.folder / "metrics.jsonl"
            steps = len(metrics.read_bytes().splitlines()) if metrics.is_file() else 0
            return created, f"{steps:,} steps", _paid(found.folder)
        case Kind.GENERATE | Kind.HARDEN | Kind.RECHECK:
            with RunReader(found.folder) as run, run.snapshot():
                counts = funnel_of(run)
                headline = f"{counts.accepted:,} accepted of {counts.candidates:,} played"
                return created, headline, run.usage().cost_usd
        case Kind.GATES:
            with RunReader(found.folder) as run:
                headline = f"{len(read_results(found.folder)):,} questions checked"
                return created, headline, run.usage().cost_usd
        case Kind.REJUDGE:
            with RunReader(found.folder) as run:
                path = found.folder / REJUDGED
                count = len(read(path).questions) if path.is_file() else 0
                return created, f"{count:,} questions judged again", run.usage().cost_usd
        case Kind.LABELS:
            with RunReader(found.folder) as run:
                return created, f"{run.usage().calls:,} labels asked for", run.usage().cost_usd
        case Kind.EVALUATE:
            with RunReader(found.folder) as run, run.snapshot():
                asked, tried = (run.rows(f"SELECT count(*) FROM {name}")[0][0] for name in ("questions", "trials"))
                return created, f"{tried:,} attempts at {asked:,} questions", run.usage().cost_usd


def _paid(folder: Path) -> float | None:
    """Return the cost of judge and verifier in US dollars; None if unknown. The policy itself costs nothing."""
    costs = [took.total.cost_usd for took in ledgers(folder)]
    return None if None in costs else sum(cost for cost in costs if cost is not None)
