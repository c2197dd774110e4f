"""A Ray cluster on loopback, a run on it, and SIGKILLs, with the accounts of what was paid.

What is paid for is counted where it is paid: at a server on this machine that answers as a model by a script.
"""

import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import world
from killing import Model

from questwell.http.conftest import Answer, Asked
from questwell.llm.client import Request
from questwell.store.query import begun
from questwell.store.reader import RunReader

PLAYERS, AT_ONCE = 3, 12
IN_FLIGHT = {"player": AT_ONCE // PLAYERS, "keeper": 0, "limits": 0, "driver": AT_ONCE, "head": AT_ONCE}
"""Most calls that a kill may cost: the model of a play answers one call at a time."""
_TITLES = {"player": "ray::Player", "keeper": "ray::Keeper", "limits": "ray::_Limits"}


_MOST_S = 300.0
"""Ray takes 20 s to start a run where others use the cores."""


class Slow(Model):
    """The scripted model, with a moment's thought."""

    latency_s = 0.05

    def __init__(self) -> None:
        super().__init__(script)

    def answer(self, asked: Asked) -> Answer:
        return replace(super().answer(asked), delay_s=self.latency_s)


def script(request: Request) -> str:
    return world.play(request).text


class Head:
    """A cluster of one machine, with its own processes."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="qw"))
        token = self._folder / "token"
        token.write_text(secrets.token_hex(32))
        port = _free_port()
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("RAY_")},
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        start = ["start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=2"]
        start += ["--object-store-memory=100000000", "--include-dashboard=false", f"--temp-dir={self._folder}"]
        self._said = (self._folder / "said").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", *start],
            env=self.environment,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.environment["RAY_ADDRESS"] = f"127.0.0.1:{port}"
        said = self._folder / "said"
        wait_for(lambda: "Ray runtime started" in said.read_text() or self._process.poll() is not None, "the head")
        assert self._process.poll() is None, said.read_text()

    def actors(self, kind: str) -> list[int]:
        """The processes of one kind of actor."""
        return [pid for pid in _below(self._process.pid) if _command(pid).startswith(_TITLES[kind])]

    def kill(self) -> None:
        """All of it at once, as when the machine fails."""
        for pid in [self._process.pid, *_below(self._process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._said.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def listening(self) -> list[str]:
        """Addresses that its processes listen at."""
        told = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout.splitlines()
        pids = {self._process.pid, *_below(self._process.pid)}
        return [line.split()[3] for line in told if any(f"pid={pid}," in line for pid in pids)]


@contextmanager
def heads() -> Iterator[list[Head]]:
    """Heads that were begun, the last of which lives; it is killed at the end."""
    begun_here: list[Head] = []
    try:
        yield begun_here
    finally:
        if begun_here:
            begun_here[-1].kill()


@dataclass
class Kill:
    """What became of one kill."""

    what: str
    calls: int
    """Model calls that had been asked for."""
    in_flight: int
    """Model calls that were in flight at that moment, of all players."""
    again_s: float | None = None
    """Until the next model call came."""


@dataclass
class Account:
    """What a run with kills cost."""

    calls: int = 0
    """Model calls."""
    alone: int = 0
    """Model calls of the same run in one process."""
    kills: list[Kill] = field(default_factory=list[Kill])

    @property
    def twice(self) -> int:
        return self.calls - self.alone

    @property
    def most_twice(self) -> int:
        return sum(IN_FLIGHT[kill.what] for kill in self.kills)


class Killing:
    """A run that is killed at given shares of its calls, and goes on."""

    def __init__(self, model: Model, library: Path, folder: Path, seeds: int, shards: int = 2) -> None:
        self._model, self._folder = model, folder
        values = world.values(library, llm=f"scripted@{model.url}", seeds=seeds, price_in=1, price_out=1)
        flags = [f"--{key.replace('_', '-')}={value}" for key, value in values.items()]
        self._one = [sys.executable, "-m", "questwell", "generate", *flags, f"--concurrency={AT_ONCE}"]
        self._placed = [*self._one, "--engine=ray", f"--shards={shards}", f"--players={PLAYERS}", "--resume"]
        self.account = Account()

    def alone(self) -> Path:
        """The run in one process."""
        out, asked = self._folder / "one", self._model.calls
        subprocess.run([*self._one, f"--out={out}"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.account.alone = self._model.calls - asked
        return out

    def placed(self, heads: list[Head], kills: Sequence[str], rng: random.Random) -> Path:
        """The run on a cluster, with kills evenly spread over its calls."""
        out, asked = self._folder / "placed", self._model.calls
        heads.append(Head())
        command = self._begin(heads[-1], out)
        for number, what in enumerate(kills):
            goal = (number + rng.uniform(0.1, 0.9)) / len(kills) * self.account.alone
            wait_for(lambda: self._model.calls - asked >= goal or command.poll() is not None, f"call {goal}")  # noqa: B023
            assert command.poll() is None, (what, self._said(out))
            kill = Kill(what, self._model.calls - asked, self._model.in_flight)
            self.account.kills.append(kill)
            since = time.monotonic()
            command = self._kill(what, heads, command, out, rng)
            before = self._model.calls
            wait_for(lambda: self._model.calls > before or command.poll() is not None, "a call")  # noqa: B023
            kill.again_s = round(time.monotonic() - since, 2)
        assert command.wait(timeout=300) == 0, self._said(out)
        self.account.calls = self._model.calls - asked
        return out

    def _kill(
        self, what: str, heads: list[Head], command: subprocess.Popen[bytes], out: Path, rng: random.Random
    ) -> subprocess.Popen[bytes]:
        """The command that goes on."""
        head = heads[-1]
        if what in _TITLES:
            wait_for(lambda: head.actors(what), what)
            os.kill(rng.choice(head.actors(what)), signal.SIGKILL)
            return command
        if what == "head":
            head.kill()
            heads.append(Head())
        command.kill()
        command.wait()
        return self._begin(heads[-1], out)

    def _begin(self, head: Head, out: Path) -> subprocess.Popen[bytes]:
        with (self._folder / "said").open("ab") as said:
            return subprocess.Popen(
                [*self._placed, f"--out={out}"], env=head.environment, stdout=said, stderr=subprocess.STDOUT
            )

    def _said(self, out: Path) -> str:
        return (self._folder / "said").read_text()[-3_000:]


def wait_for(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + _MOST_S
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.002)


def without_clock(run: Path) -> dict[str, list[object]]:
    """`world.rows` without the latencies that answers carry."""
    return {
        table: [re.sub(r'"latency_s":[^,}]+', "", repr(row)) for row in found]
        for table, found in world.rows(run).items()
    }


def accepted(run: Path) -> list[tuple[int, str | None]]:
    """The items of a run."""
    assert begun(run)
    with RunReader(run) as reader:
        return [(play.index, play.question) for play in reader.plays() if play.status == "accepted"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _below(pid: int) -> list[int]:
    """All processes below one."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, left = [], [pid]
    while left:
        new = children.get(left.pop(), [])
        found += new
        left += new
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""
