"""A run that is killed again and again in processes of its own, and the accounts that must hold after each SIGKILL.

What is paid for is counted where it is paid: at a server on this machine that answers as a model by a script.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from questwell.http.conftest import Answer, Asked, Loopback
from questwell.llm.client import Message, Request
from questwell.store.query import FILE_NAME, begun
from questwell.store.reader import RunReader

Script = Callable[[Request], str]
_MOST_S = 300.0
"""Nothing takes so long, on a busy machine neither; what does has failed."""


class Model(Loopback):
    """An endpoint that answers by a script, from a thread of its own. It can stop answering."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script
        self._last: int | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve_all, daemon=True)
        self._ready = threading.Event()
        self._thread.start()
        self._ready.wait()

    @property
    def calls(self) -> int:
        """How many were asked for so far."""
        return len(self.asked)

    def hold_from(self, call: int | None) -> None:
        """Give no answer to this call, counted from 1 over all, nor to any after it."""
        self._last = call

    def answer(self, asked: Asked) -> Answer:
        if self._last is not None and len(self.asked) >= self._last:
            return Answer(hang=True)
        body = asked.body
        assert isinstance(body, dict)
        request = Request(tuple(Message(one["role"], one["content"]) for one in body["messages"]))
        said = {"role": "assistant", "content": self._script(request)}
        usage = {"prompt_tokens": len(request.messages), "completion_tokens": 7}
        reply = {"model": "scripted", "choices": [{"message": said, "finish_reason": "stop"}], "usage": usage}
        return Answer(body=json.dumps(reply).encode())

    def bodies(self, since: int = 0) -> Counter[str]:
        """What was asked for, each as text."""
        return Counter(json.dumps(one.body, sort_keys=True) for one in self.asked[since:])

    def settle(self) -> None:
        """Wait until all that was sent by a process that is dead has been read."""
        wait_for(lambda: not self._writers, "connections of a dead process to end")

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve_all(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self.drop_all()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()


class Worker:
    """The process that forks invocations of the command."""

    def __init__(self, *, trains: bool) -> None:
        self._said = tempfile.NamedTemporaryFile()  # noqa: SIM115  closed with the worker
        worker = str(Path(__file__).with_name("kill_worker.py"))
        self._process = subprocess.Popen(
            [sys.executable, worker, "trains" if trains else "plays", self._said.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def invoke(self, arguments: Sequence[object], kill_when: Callable[[], object] | None = None) -> int:
        """The exit status of one invocation; -9 when it was killed, which happens as soon as `kill_when` returns."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        if kill_when is not None:
            kill_when()
            os.kill(child, signal.SIGKILL)
        return int(self._process.stdout.readline())

    def said(self) -> str:
        """The end of what its processes printed."""
        return Path(self._said.name).read_text()[-2_000:]

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._said.close()
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@dataclass(frozen=True, slots=True)
class Case:
    """A command whose process is killed."""

    arguments: Callable[[Path], Sequence[object]]
    """The command that begins or resumes the run in a folder."""
    calls: str
    """Folder of its calls, within the run's; empty where they are in the run file itself."""
    in_flight: int
    """Most calls at once."""
    linger_s: float = 0.0
    """How long after a call a process may live before it is killed: where much goes on between two calls. It cannot
    get further than its next call, however long that is: the model does not answer."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the kills of one run cost."""

    calls: int
    """Calls of the run that was left alone."""
    answered: tuple[int, ...]
    """For each kill, how many of those calls had an answer on the disk when it came."""
    paid_again: int
    """Calls that were in flight at a kill, and were made once more."""
    most_paid_again: int
    """Number of calls that the kills may cost: as many per kill as can be in flight."""


def kept(case: Case, run: Path) -> int:
    """How many answers of models are on the disk."""
    if not begun(run / case.calls):
        return 0
    with RunReader(run / case.calls) as reader:
        return reader._value("SELECT count(*) FROM calls WHERE kind = 'llm'")


def kill_and_resume(case: Case, run: Path, worker: Worker, model: Model, whole: Counter[str], kills: int) -> Account:
    """Kill a run so often, from the start of its process to its last call, and then let it end.

    Args:
        case: the command.
        run: folder that does not exist yet.
        worker: forks its processes.
        model: is asked by them.
        whole: what the same run asked for that was left alone.
        kills: a few of them before the first call, then evenly spread over the calls, the last while the last of them
            waits for its answer.
    """
    rng, total, begun_at, lost = random.Random(kills), whole.total(), model.calls, 0
    answered: list[int] = []
    early = [lambda: None, lambda: exists(run / "run.lock"), lambda: exists(run / FILE_NAME, run / "run.json")]
    early = early[3 - max(1, min(3, kills // 4)) :]
    for number in range(kills):
        before, asked = kept(case, run), model.calls
        left = total - before
        if number < len(early):
            when = early[number]
        elif number == kills - 1:
            model.hold_from(asked + left)
            when = lambda: model_was_asked(model, asked + left)  # noqa: B023, E731
        else:
            share = (number - len(early) + rng.random()) / (kills - len(early))
            goal = max(1, min(round(total * share) - before, left - case.in_flight))
            delay = rng.uniform(0, case.linger_s)
            model.hold_from(asked + goal + 1)  # else a process that is killed late may have ended
            when = lambda: (model_was_asked(model, asked + goal), time.sleep(delay))  # noqa: B023, E731
        assert worker.invoke(case.arguments(run), when) == -signal.SIGKILL, (number, worker.said())
        model.settle()
        model.hold_from(None)
        made, new = model.calls - asked, kept(case, run) - before
        assert 0 <= made - new <= case.in_flight, (number, made, new)  # at most what was in flight is paid again
        lost += made - new
        answered.append(before + new)
    before, asked = kept(case, run), model.calls
    assert 0 < before < total
    assert worker.invoke(case.arguments(run)) == 0, worker.said()
    assert model.calls - asked == total - before  # what was kept is not paid again
    everything = model.bodies(begun_at)
    assert not whole - everything
    assert (everything - whole).total() == lost == model.calls - begun_at - total
    return Account(total, tuple(answered), lost, kills * case.in_flight)


def model_was_asked(model: Model, calls: int) -> None:
    """Return as soon as so many calls have come."""
    wait_for(lambda: model.calls >= calls, f"call {calls}; {model.calls} came")


def exists(*paths: Path) -> None:
    """Return as soon as one of the files is there."""
    wait_for(lambda: any(path.exists() for path in paths), f"{paths}")


def wait_for(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + _MOST_S
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.0005)
