"""`KeptPrompts`: chooses a slot of llama.cpp's server for each prompt, so that little of the prompt is read again.

A slot keeps its last prompt with the keys and values of each token. By itself the server uses a slot that holds most of
the prompt, or else reads all of it, few-shot examples included. Here a copy of the slot that shares the longest
beginning with the prompt is put into the least recently used slot first, so that only what follows is read.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from os.path import commonprefix
from typing import Protocol

from questwell.llm.client import Request

_SAME = 0.75
"""Minimum fraction of a prompt that a slot must share to be used as it is; what it held beyond that is lost."""
_WORTH = 200
"""Minimum number of characters that a copy must save: some 50 tokens, a second of one core; a copy takes 10 ms."""
_BYTES = 1 << 20


class Copies(Protocol):
    """Saves slots to files and restores them."""

    async def save(self, slot: int, file: str) -> tuple[int, int]:
        """Save a slot and return how many tokens and bytes were saved; zeros if it failed."""
        ...

    async def restore(self, slot: int, file: str) -> None:
        """Put a saved copy into a slot. If it fails, the slot is empty, and the next prompt is read whole."""
        ...

    async def delete(self, file: str) -> None:
        """Delete a saved copy."""
        ...


@dataclass(slots=True)
class _Slot:
    number: int
    prompt: str = ""
    """What it has read; empty if that is not known."""
    tokens: int = 0
    used: int = 0
    """Ordinal of its last call."""
    busy: bool = False


@dataclass(slots=True)
class _Copy:
    file: str
    prompt: str
    size: int
    """Bytes."""
    used: int


class KeptPrompts:
    """The slots of one server. Belongs to one event loop."""

    def __init__(self, slots: int, calls: int, mib: int, copies: Copies) -> None:
        """Use `slots` slots for at most `calls` calls at the same time, and at most `mib` MiB of copies.

        A call takes one slot, and for a moment a second one to copy from, so there are at least twice as many slots.
        """
        if slots < 2 * calls:
            raise ValueError(f"{calls} calls at the same time need {2 * calls} slots, not {slots}")
        self._slots = [_Slot(number) for number in range(slots)]
        self._free = asyncio.Semaphore(calls)
        self._most = mib * _BYTES
        self._server = copies
        self._copies: list[_Copy] = []
        self._calls = 0

    @asynccontextmanager
    async def slot_for(self, request: Request) -> AsyncGenerator["Lent"]:
        """Lend the slot in which the request has the least to read; wait while all calls are taken."""
        prompt = prompt_of(request)
        async with self._free:
            self._calls += 1
            slot = self._choose(prompt)
            slot.busy = True
            lent = Lent(slot.number)
            try:
                if _shared(slot.prompt, prompt) < _SAME * len(prompt):
                    await self._copy_into(slot, prompt)
                slot.prompt = ""  # not known while the call runs, and after one that failed
                yield lent
                slot.prompt, slot.tokens = (prompt, lent.tokens) if lent.tokens else ("", 0)
            finally:
                slot.busy, slot.used = False, self._calls

    def _choose(self, prompt: str) -> _Slot:
        """Return the idle slot that holds most of the prompt, or else the least recently used one."""
        idle = [slot for slot in self._slots if not slot.busy]
        best = max(idle, key=lambda slot: _shared(slot.prompt, prompt))
        if _shared(best.prompt, prompt) >= _SAME * len(prompt):
            return best
        return min(idle, key=lambda slot: slot.used)

    async def _copy_into(self, target: _Slot, prompt: str) -> None:
        """Put the longest known beginning of the prompt into a slot, if that saves enough."""
        at_hand = _shared(target.prompt, prompt)
        copy = max(self._copies, key=lambda one: _shared(one.prompt, prompt), default=None)
        if copy is not None and _shared(copy.prompt, prompt) < at_hand + _WORTH:
            copy = None
        others = [slot for slot in self._slots if not slot.busy]
        source = max(others, key=lambda slot: _shared(slot.prompt, prompt), default=None)
        known = _shared(copy.prompt, prompt) if copy else at_hand
        if source is not None and _shared(source.prompt, prompt) >= known + _WORTH:
            copy = await self._saved(source) or copy
        if copy is not None:
            copy.used, target.prompt = self._calls, ""  # what it holds is not known if this is cancelled
            await self._server.restore(target.number, copy.file)

    async def _saved(self, slot: _Slot) -> _Copy | None:
        """Return a new copy of a slot; None if the slot does not hold its prompt any more, or saving failed."""
        file = f"{self._calls}.bin"
        slot.busy = True
        try:
            tokens, size = await self._server.save(slot.number, file)
        finally:
            slot.busy = False
        if tokens < slot.tokens or size > self._most:  # the server clears idle slots when its context is full
            slot.prompt = slot.prompt if tokens >= slot.tokens else ""
            await self._server.delete(file)
            return None
        copy = _Copy(file, slot.prompt, size, self._calls)
        self._copies.append(copy)
        while sum(one.size for one in self._copies) > self._most:
            oldest = min(self._copies, key=lambda one: one.used)
            self._copies.remove(oldest)
            await self._server.delete(oldest.file)
        return copy


@dataclass(slots=True)
class Lent:
    """A slot for one call."""

    number: int
    tokens: int = 0
    """Tokens of the prompt, to be set when the call has been answered."""


def prompt_of(request: Request) -> str:
    """Return a text that begins alike for two requests whose prompts begin alike."""
    if request.prompt is not None:
        return request.prompt
    messages = (f"{one.role}: {one.content}\n{one.tool_calls or ''}\n" for one in request.messages)
    return "".join((*map(repr, request.tools), *messages))


def _shared(known: str, prompt: str) -> int:
    """Return the number of characters with which both begin."""
    return len(commonprefix((known, prompt)))  # noqa: RUF071  of any texts, not of paths
