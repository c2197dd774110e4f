"""What every driver of `peers.py` shares: the task, and what it took this process and those that it started.

Drivers run in the environment of their peer, so this file needs nothing but Python. A driver is called as
`python DRIVER BASE_URL IN_FLIGHT CALLS FOLDER`, and leaves FOLDER/measured.json.
"""

import contextlib
import json
import resource
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

MODEL = "fixed"
MAX_TOKENS = 64


@dataclass(frozen=True)
class Task:
    """The task: `calls` prompts, one call each, at most `in_flight` at the same time."""

    base_url: str
    in_flight: int
    calls: int
    folder: Path
    """Folder for the files that the peer keeps."""

    @property
    def prompts(self) -> list[str]:
        """About 110 tokens each, no two alike: nothing may come from a cache."""
        return [f"{number}. {BODY}" for number in range(self.calls)]


BODY = "lorem ipsum dolor sit " * 20


def task() -> Task:
    """Read the task from the command line."""
    base_url, in_flight, calls, folder = sys.argv[1:]
    return Task(base_url, int(in_flight), int(calls), Path(folder))


@contextlib.contextmanager
def measured(task: Task) -> Generator[None]:
    """Measure the work inside this context; imports and setup before it do not count."""
    before = _cpu_s()
    yield
    (task.folder / "measured.json").write_text(json.dumps({"cpu_s": _cpu_s() - before}))


def _cpu_s() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))
