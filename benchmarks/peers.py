"""The same calls by Questwell and by its peers, each in its own environment, against one endpoint of fixed latency.

    python benchmarks/peers.py [--envs FOLDER] [--in-flight 256] [--peer data_designer] [--waves 4] [--draw]

Run it on an idle machine: about 7 minutes. A missing environment is built first, from
`peer_drivers/requirements/NAME.txt`: minutes, and 3 GB for all. The task: short prompts, one call each, kept as the
peer keeps them. The endpoint's clock measures all, so what a peer does before its first call and after its last reply
is not in the rate; CPU time is that of the whole work, its child processes included. Results go to
benchmarks/results/peers.json and peers.png.
"""

import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from arguments import parser
from fixed_endpoint import Seen, endpoint, seen_by
from peer_list import ABSENT, PEERS, Peer, variables
from report import RESULTS, heading, write

LATENCY_S = 1.0
_LEAST = 768
"""Minimum number of calls of a run; with fewer, setup dominates the CPU time."""
_LEAST_WAVES = 3
"""The first and the last wave are left out, so that this leaves at least one."""
_LOOK_S = 0.5
"""Seconds between two looks at the memory of a peer."""


@dataclass(frozen=True)
class Asked:
    """The task of a peer."""

    peer: str
    in_flight: int
    calls: int


@dataclass(frozen=True)
class Measured:
    """The result of one peer at one number of calls in flight."""

    peer: str
    in_flight: int
    calls: int
    """Number of answered calls."""
    calls_per_s: float
    """From the first request to the last reply."""
    share_of_ideal: float
    """Share of the ideal rate, in_flight / latency."""
    steady_share_of_ideal: float | None
    """The same without the first and the last wave of replies, so without the opening of connections and the end. None
    if too few were answered."""
    most_in_flight: int
    cpu_ms_per_call: float | None
    """None if it was stopped."""
    peak_memory_mb: int
    """Of all its processes, looked at each half second; shared pages are counted once."""
    endpoint_late_ms: float
    """Mean lateness of the endpoint's replies, which shares the cores."""
    problem: str = ""
    """Why it failed; empty if it did not."""


def summed(
    task: Asked, seen: Seen, cpu_s: float | None, memory: int, *, problem: str = "", stopped: float | None = None
) -> Measured:
    """The figures of one run from what the endpoint saw; calls more than asked for were trials before the work.

    Args:
        task: what was asked for.
        seen: by the endpoint.
        cpu_s: of the work.
        memory: at its peak, in bytes.
        problem: why the run did not end as it should.
        stopped: time at which it was stopped, on the endpoint's clock: it had done nothing since the last reply.
    """
    trials = max(0, len(seen.replies) - task.calls)
    requests, replies = seen.requests[trials:], seen.replies[trials:]
    calls, in_flight = len(replies), task.in_flight
    rate = _rate(calls, (stopped or replies[-1]) - requests[0]) if calls else 0.0
    waves = calls // in_flight
    first, last = in_flight - 1, (waves - 1) * in_flight - 1  # whole waves, for replies come in bunches
    steady = _rate(last - first, replies[last] - replies[first]) if waves >= _LEAST_WAVES else None
    return Measured(
        peer=task.peer,
        in_flight=in_flight,
        calls=calls,
        calls_per_s=round(rate, 1),
        share_of_ideal=round(rate * LATENCY_S / in_flight, 3),
        steady_share_of_ideal=None if steady is None else round(steady * LATENCY_S / in_flight, 3),
        most_in_flight=seen.most_in_flight,
        cpu_ms_per_call=round(cpu_s / calls * 1000, 3) if cpu_s is not None and calls else None,
        peak_memory_mb=memory // 1_000_000,
        endpoint_late_ms=round(seen.late_s / calls * 1000, 2) if calls else 0.0,
        problem=problem,
    )


def _rate(calls: int, seconds: float) -> float:
    return calls / seconds if seconds > 0 else 0.0


def run(peer: Peer, python: Path, task: Asked, limit_s: float) -> Measured:
    """Run the task of `peer`; it is stopped after `limit_s` seconds."""
    with endpoint(LATENCY_S) as address, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        url = f"http://{address[0]}:{address[1]}/v1"
        command = [str(python), str(peer.driver), url, str(task.in_flight), str(task.calls), folder]
        log = Path(folder) / "log.txt"
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=variables(peer), cwd=folder, stdout=out, stderr=out)
            try:
                memory, stopped = _watch(psutil.Process(process.pid), limit_s)
            finally:
                ended = time.monotonic()
                _end(psutil.Process(process.pid))
        code, seen, measured = process.wait(), seen_by(address), Path(folder) / "measured.json"
        cpu_s = json.loads(measured.read_text("utf-8"))["cpu_s"] if measured.exists() and not stopped else None
        problem = f"stopped after {limit_s:.0f} s" if stopped else _problem(code, log, len(seen.replies), task.calls)
    return summed(task, seen, cpu_s, memory, problem=problem, stopped=ended if stopped else None)


def _problem(code: int, log: Path, answered: int, calls: int) -> str:
    if code:
        lines = log.read_text("utf-8", "replace").strip().splitlines() or ["no message"]
        return f"exit code {code}: {lines[-1][:200]}"
    return "" if answered >= calls else f"only {answered} calls of {calls} were answered"


def _watch(process: psutil.Process, limit_s: float) -> tuple[int, bool]:
    """(peak memory in bytes, whether it has to be stopped) of a process and those below it."""
    until, peak = time.monotonic() + limit_s, 0
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        peak = max(peak, _memory(process))
        if time.monotonic() > until:
            return peak, True
        time.sleep(_LOOK_S)
    return peak, False


def _end(process: psutil.Process) -> None:
    """Kill a process and its children that have not ended."""
    for one in [*process.children(recursive=True), process]:
        with suppress(psutil.NoSuchProcess):
            one.kill()


def _memory(process: psutil.Process) -> int:
    total = 0
    with suppress(psutil.NoSuchProcess):
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += one.memory_full_info().pss
    return total


def python_of(peer: Peer, envs: Path) -> Path:
    """The Python of the environment of `peer`, which is built when it is missing."""
    if peer.requirements is None:
        return Path(sys.executable)
    python = envs / peer.name / "bin" / "python"
    done = envs / peer.name / "built.txt"
    wanted = peer.requirements.read_text("utf-8")
    if not done.exists() or done.read_text("utf-8") != wanted:
        print(f"building the environment of {peer.title}", flush=True)
        shutil.rmtree(envs / peer.name, ignore_errors=True)
        venv.create(envs / peer.name, with_pip=True)
        install = [str(python), "-m", "pip", "install", "-q", "-r", str(peer.requirements)]
        subprocess.run(install, check=True)
        done.write_text(wanted, "utf-8")
    return python


def report_of(rows: Sequence[Measured], peers: Sequence[Peer]) -> dict[str, Any]:
    """The report, without the heading."""
    about = {
        peer.name: {"title": peer.title, "version": peer.version, "keeps": peer.keeps, "settings": peer.settings}
        for peer in peers
    }
    return {"latency_s": LATENCY_S, "peers": about, "absent": dict(ABSENT), "results": [asdict(row) for row in rows]}


def draw(report: Mapping[str, Any], path: Path) -> None:
    """The picture: share of the ideal rate, CPU time and memory, one bar per peer and number of calls in flight."""
    from peers_picture import picture  # matplotlib is needed for nothing else

    picture(report, path)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--envs", type=Path, default=Path("build/peers"), help="folder of the peers' environments")
    options.add_argument("--in-flight", type=int, action="append", help="may be repeated (default: 64, 256, 1000)")
    options.add_argument("--peer", choices=[peer.name for peer in PEERS], action="append", help="may be repeated")
    options.add_argument("--waves", type=int, default=4, help="calls per call in flight (default: 4)")
    options.add_argument("--limit-s", type=float, default=90.0, help="seconds for one peer's run (default: 90)")
    options.add_argument("--draw", action="store_true", help="only draw the picture of the kept results again")
    asked = options.parse_args()
    if asked.draw:
        draw(json.loads((RESULTS / "peers.json").read_text("utf-8")), RESULTS / "peers.png")
        return
    peers = [peer for peer in PEERS if not asked.peer or peer.name in asked.peer]
    pythons = {peer.name: python_of(peer, asked.envs.absolute()) for peer in peers}
    report, rows = heading(), list[Measured]()
    for in_flight, peer in itertools.product(asked.in_flight or [64, 256, 1000], peers):
        task = Asked(peer.name, in_flight, max(_LEAST, in_flight * asked.waves))
        rows.append(run(peer, pythons[peer.name], task, asked.limit_s))
        print(json.dumps(asdict(rows[-1])), flush=True)
    report |= report_of(rows, peers)
    write("peers", report)
    draw(report, RESULTS / "peers.png")


if __name__ == "__main__":
    main()
