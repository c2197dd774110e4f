"""Implements `--batch`: collects calls, sends them as batches, and records each answer like that of a single call.

Submitted batches are noted in `batches.json` in the run's folder, first under our own key and then with the endpoint's
id, so no batch is submitted twice. A resume waits for them; it raises an error if it cannot read one (another key or
address, or missing answers). A call that its batch did not answer is left for the next invocation. Each call has a name
of its own in its batch, also after a restart, so calls that ask the same keep their own answers.
"""

import asyncio
import hashlib
import json
import logging
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from questwell.errors import ConfigError, LLMError, LLMRefused, LLMUnavailable, QuestwellError
from questwell.llm.adapting import Manners
from questwell.llm.batches import MOST_BYTES, MOST_CALLS, Answer, Batch
from questwell.llm.client import LLM, Completion, Request
from questwell.llm.openai import OpenAIClient
from questwell.recipes.runs.batch_notes import FILE, Noted, Notes, name_of
from questwell.recipes.runs.budget import Budget, Stopped
from questwell.types.trajectory import Role

_LOG = logging.getLogger("questwell")
SETTLE_S = 2.0
"""Seconds without a further call after which the waiting calls are submitted."""
POLL_S = 10.0
LISTED_S = 60.0
"""Seconds after its creation during which a batch may be missing from the endpoint's list."""
_SLICE_S = 0.2
_NAME = 40
"""Characters of a call's name; with its number it is at most 64, as the API wants."""
_MISSING = "missing in its files"


@dataclass(slots=True)
class _Waiter:
    request: Request
    name: str
    answer: asyncio.Future[Completion]


@dataclass(frozen=True, slots=True)
class _Call:
    """A call, written as one line of a batch's input file."""

    custom_id: str
    waiter: _Waiter
    line: bytes


@dataclass(slots=True)
class _Submitted:
    noted: Noted
    waiting: list[_Waiter] = field(default_factory=list[_Waiter])
    free: Counter[str] = field(default_factory=Counter[str])
    """Number of calls that nothing waits for yet, by name."""
    numbers: Counter[str] = field(init=False)
    failed: set[str] = field(init=False)
    given: set[str] = field(default_factory=set[str])
    """Calls whose answers were delivered. A resume may ask for them again if a kill came before they were recorded."""
    task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        """Count the calls by name."""
        self.numbers = Counter(name_of(call) for call in self.noted.calls)
        self.failed = set(self.noted.done)


class Batched:
    """An `LLM` whose calls go out in batches."""

    def __init__(self, llm: OpenAIClient, notes: Notes, budget: Budget, settle_s: float, poll_s: float) -> None:
        """Send the calls of `llm` in batches, and note those batches in `notes`."""
        self._llm = llm
        self._notes = notes
        self._settle_s, self._poll_s = settle_s, poll_s
        self._pending: list[_Waiter] = []
        self._submitted: list[_Submitted] | None = None
        self._opening = asyncio.Lock()
        self._elsewhere = notes.elsewhere(llm.place)
        self._collecting: asyncio.Task[None] | None = None
        self._latest = 0.0
        self._budget = budget

    @property
    def name(self) -> str:
        """Name of the client's model."""
        return self._llm.name

    @property
    def priced(self) -> bool | None:
        """Whether the client's price is known."""
        return self._llm.priced

    @property
    def place(self) -> str:
        """See `Adapting`."""
        return self._llm.place

    @property
    def manners(self) -> Manners:
        """See `Adapting`."""
        return self._llm.manners

    async def aclose(self) -> None:
        """Close the client. Submitted batches stay noted."""
        for task in (self._collecting, *(one.task for one in self._submitted or ())):
            if task is not None and not task.done():
                task.cancel()
        await self._llm.aclose()

    async def complete(self, request: Request) -> Completion:
        """Return the answer of a call that is not told apart from others that ask the same."""
        return await self.complete_call(request, "")

    async def complete_call(self, request: Request, call: str) -> Completion:
        """Return the answer to the call named `call`, from a batch that was submitted earlier or from the next one."""
        async with self._opening:
            if self._submitted is None:
                self._submitted = await self._open()
        loop = asyncio.get_running_loop()
        digest = request.digest()
        older = digest[:_NAME]  # the name that older versions gave to all calls with this request
        own = hashlib.sha256(f"{call} {digest}".encode()).hexdigest()[:_NAME] if call else older
        waiter = _Waiter(request, own, loop.create_future())
        known = next((one for one in self._submitted if one.free[own] > 0), None)
        if known is None and (known := next((one for one in self._submitted if one.free[older] > 0), None)):
            waiter.name = older
        if (moved := self._elsewhere.get(own) or self._elsewhere.get(older)) is not None:
            raise ConfigError(
                f"batch {moved.id or moved.key} with calls of this run was submitted to {moved.place}, and is not read "
                f"yet: give the address that it went to, not {self.place}; or remove the batch from {FILE}, to pay for "
                "its calls again"
            )
        if known is not None:
            known.free[waiter.name] -= 1
            known.waiting.append(waiter)
            self._watch(known)
        else:
            self._pending.append(waiter)
            self._latest = loop.time()
            if self._collecting is None or self._collecting.done():
                self._collecting = asyncio.create_task(self._collect())
        return await waiter.answer

    async def _open(self) -> list[_Submitted]:
        """Return the batches that an earlier invocation submitted."""
        found: list[_Submitted] = []
        for noted in self._notes.of(self.place):
            if noted.id is None:
                batch = await self._look_for(noted)
                if batch is None:  # the kill came before it was created
                    self._notes.all.remove(noted)
                    continue
                noted.id = batch.id
            done = set(noted.done)
            free = Counter(name_of(call) for call in noted.calls if call not in done)
            found.append(_Submitted(noted, free=free))
        if found:
            self._notes.keep()
        return found

    async def _look_for(self, noted: Noted) -> Batch | None:
        """Return the batch that was about to be created, or None if it never was. It may be listed a little late."""
        while (batch := await self._llm.batches.find(noted.key)) is None:
            if time.time() > noted.since + LISTED_S:
                return None
            await self._pause("the endpoint is asked whether a batch was created")
        return batch

    async def _pause(self, while_: str) -> None:
        """Sleep until the endpoint may be asked again; raises Stopped if the user stops the run."""
        for _ in range(max(int(self._poll_s / _SLICE_S), 1)):
            if self._budget.stopping:
                raise Stopped(f"stopped while {while_}; a resume waits for it")
            await asyncio.sleep(min(_SLICE_S, self._poll_s))

    async def _collect(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            while loop.time() - self._latest < self._settle_s and len(self._pending) < MOST_CALLS:
                await asyncio.sleep(self._settle_s / 8)
            path, calls = self._taken()
            try:
                self._budget.check()
                submitted = await self._submit(path, calls)
            except QuestwellError as error:
                _fail([call.waiter for call in calls], error)
                continue
            assert self._submitted is not None
            self._submitted.append(submitted)
            self._watch(submitted)

    def _taken(self) -> tuple[str, list[_Call]]:
        """Take calls that share a path, as many as fit into one batch; the others stay pending."""
        numbers: Counter[str] = Counter()
        taken: list[_Call] = []
        left: list[_Waiter] = []
        path, size = "", 0
        for at, waiter in enumerate(self._pending):
            if len(taken) == MOST_CALLS:
                left += self._pending[at:]
                break
            own, body = self._llm.batch_body(waiter.request)
            path = path or own
            custom_id = f"{waiter.name}-{numbers[waiter.name]}"
            line = json.dumps({"custom_id": custom_id, "method": "POST", "url": own, "body": body}).encode() + b"\n"
            if own != path or (taken and size + len(line) > MOST_BYTES):
                left.append(waiter)
                continue
            numbers[waiter.name] += 1
            size += len(line)
            taken.append(_Call(custom_id, waiter, line))
        self._pending = left
        return path, taken

    async def _submit(self, path: str, calls: Sequence[_Call]) -> _Submitted:
        names = [call.custom_id for call in calls]
        noted = Noted(key=uuid.uuid4().hex, place=self.place, calls=names, since=time.time())
        self._notes.all.append(noted)
        self._notes.keep()  # before anything is sent: a kill from here on is found by the key
        noted.id = (await self._llm.batches.create(b"".join(call.line for call in calls), path, noted.key)).id
        self._notes.keep()
        _LOG.warning("batch %s: %d calls submitted to %s", noted.id, len(calls), self.place)
        return _Submitted(noted, [call.waiter for call in calls])

    def _watch(self, submitted: _Submitted) -> None:
        if submitted.task is None or submitted.task.done():
            submitted.task = asyncio.create_task(self._wait(submitted))

    async def _wait(self, submitted: _Submitted) -> None:
        """Poll until the batch has ended, then answer all calls that wait for it, including late ones."""
        noted = submitted.noted
        assert noted.id is not None
        try:
            while not (batch := await self._llm.batches.get(noted.id)).ended:
                await self._pause(f"batch {noted.id} is worked on")
            found = await self._llm.batches.answers(batch)
        except QuestwellError as error:
            submitted.free.update(waiter.name for waiter in submitted.waiting)
            _fail(submitted.waiting, _unreadable(noted, error) if isinstance(error, LLMRefused) else error)
            submitted.waiting = []
            return
        answers, missing = {one.custom_id: one for one in found}, batch.misses(found)
        said = f"it ended as {batch.status}" + (f": {json.dumps(batch.errors)[:300]}" if batch.errors else "")
        failed: Counter[str] = Counter()
        while submitted.waiting:
            waiters, submitted.waiting = submitted.waiting, []
            for waiter in waiters:
                if why := self._answer(waiter, submitted, answers, said, missing=missing):
                    failed[why] += 1
        noted.read = _MISSING not in failed
        self._notes.keep()
        if failed:
            counts = "; ".join(f"{count} {why}" for why, count in failed.most_common(3))
            _LOG.warning(
                "batch %s: %d of %d calls were not answered (%s); a resume %s them again",
                noted.id, failed.total(), len(noted.calls), counts, "reads" if set(failed) == {_MISSING} else "submits",
            )  # fmt: skip

    def _answer(
        self, waiter: _Waiter, submitted: _Submitted, answers: Mapping[str, Answer], said: str, *, missing: bool
    ) -> str | None:
        """Deliver the answer to `waiter`; returns the kind of failure if there is none."""
        noted = submitted.noted
        own = (f"{waiter.name}-{number}" for number in range(submitted.numbers[waiter.name]))
        left = [one for one in own if one not in submitted.given and one not in submitted.failed]
        call = next((one for one in left if one in answers), left[0])
        found = answers.get(call)
        if found is None and missing:
            submitted.free[waiter.name] += 1
            _fail([waiter], _missing(noted))
            return _MISSING
        try:
            if found is None or found.status is None:
                why = said if found is None else found.why
                raise LLMUnavailable(f"{self.place}: batch {noted.id} did not answer this call: {why}; resume the run")
            completion = self._llm.batch_reply(waiter.request, found.status, found.body)
        except LLMError as error:
            noted.done.append(call)
            submitted.failed.add(call)
            _fail([waiter], error)
            return type(error).__name__
        submitted.given.add(call)
        if not waiter.answer.done():
            waiter.answer.set_result(completion)
        return None


def batched(llms: Mapping[Role, LLM], folder: Path, budget: Budget) -> dict[Role, LLM]:
    """Return `llms` wrapped so that their calls go out in batches. Roles that share a client still share it.

    `budget` is checked before each batch, and stopping it ends the waiting. The caller closes the clients it opened.

    Raises:
        ConfigError: a model is not at an endpoint.
    """
    notes, made = Notes(folder), dict[int, Batched]()
    for llm in llms.values():
        if not isinstance(llm, OpenAIClient):
            raise ConfigError(f"--batch needs a model at an endpoint with a batch API, not {llm.name!r}")
        made.setdefault(id(llm), Batched(llm, notes, budget, SETTLE_S, POLL_S))
    return {role: made[id(llm)] for role, llm in llms.items()}


def _unreadable(noted: Noted, error: LLMRefused) -> LLMRefused:
    return LLMRefused(
        f"{error}; batch {noted.id} was submitted, and this key or address cannot read it: give the ones that it was "
        f"submitted with. If it is gone, remove it from {FILE}; then its calls are submitted, and paid, again"
    )


def _missing(noted: Noted) -> LLMUnavailable:
    return LLMUnavailable(
        f"batch {noted.id} says that it answered more calls than its files contain, and this one is missing: a resume "
        f"reads them again. If it stays missing, remove the batch from {FILE}; then its calls are paid for again"
    )


def _fail(waiters: Sequence[_Waiter], error: QuestwellError) -> None:
    for waiter in waiters:
        if not waiter.answer.done():
            again = type(error)(*error.args)
            if isinstance(error, LLMError) and isinstance(again, LLMError):
                again.paid_tokens, again.paid_usd = error.paid_tokens, error.paid_usd
            waiter.answer.set_exception(again)
