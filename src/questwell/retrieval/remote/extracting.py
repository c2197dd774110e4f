"""Extracts the text of a page in a separate process with limits on time and memory, because a page may hang a parser.

Run as a module, this file is that process: it reads frames of a JSON head and a body on standard input and writes one
answer per frame to standard output. The process handles many pages, because loading the parser takes a second.
"""

import asyncio
import json
import struct
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from typing import IO

from questwell.retrieval.remote.charsets import decode_as

_LENGTHS = struct.Struct(">II")


@dataclass(frozen=True, slots=True)
class ExtractLimits:
    """The limits for extracting one page."""

    seconds: float = 10.0
    """Maximum seconds per page; on the first page, loading the parser takes one of them."""
    memory_bytes: int = 2_000_000_000
    """Maximum address space, including Python and the parser (about 0.5 GB)."""
    most_bytes: int = 4_000_000
    """Maximum size of the text in bytes."""


class NoTextError(Exception):
    """No text could be extracted; the message says why."""


class Extractor:
    """Runs the process, which starts with the first page and again after a crash. Belongs to one event loop."""

    def __init__(self, limits: ExtractLimits | None = None) -> None:
        self._limits = limits or ExtractLimits()
        self._process: Process | None = None
        self._one = asyncio.Lock()

    async def text(self, body: bytes, charset: str) -> str:
        """The main text of an HTML page.

        Args:
            body: bytes of the page.
            charset: encoding that the server stated; empty if it stated none.

        Raises:
            NoTextError: the page has no text, or took too long or too much memory.
        """
        async with self._one:
            process = await self._started()
            try:
                async with asyncio.timeout(self._limits.seconds):
                    return await self._ask(process, body, charset)
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
                await self._end()
                late = isinstance(error, TimeoutError)
                why = f"took more than {self._limits.seconds:g} s" if late else "broke the parser"
                raise NoTextError(f"the page {why}") from error
            except asyncio.CancelledError:
                await self._end()  # a late answer would be taken for that of the next page
                raise

    async def aclose(self) -> None:
        """End the process."""
        await self._end()

    async def _started(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            limits = str(self._limits.memory_bytes), str(self._limits.most_bytes)
            command = [sys.executable, "-m", __name__, *limits]
            self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=None)
        return self._process

    async def _ask(self, process: Process, body: bytes, charset: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        head = json.dumps({"charset": charset}).encode()
        process.stdin.write(_LENGTHS.pack(len(head), len(body)) + head + body)
        await process.stdin.drain()
        good, length = _LENGTHS.unpack(await process.stdout.readexactly(_LENGTHS.size))
        text = (await process.stdout.readexactly(length)).decode()
        if not good:
            raise NoTextError(text)
        return text

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
        if process is not None:
            await process.wait()


def _serve(given: IO[bytes], taken: IO[bytes], most_bytes: int) -> None:
    import trafilatura

    while lengths := given.read(_LENGTHS.size):
        head_length, body_length = _LENGTHS.unpack(lengths)
        head, body = json.loads(given.read(head_length)), given.read(body_length)
        try:
            page = _decoded(body, head["charset"])
            found = trafilatura.extract(page, include_comments=False, include_tables=True) or ""
            good, answer = 1, found.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore").encode()
        except Exception as error:  # the parser raises many types for a broken page
            good, answer = 0, f"no text could be read from it ({type(error).__name__})".encode()
        taken.write(_LENGTHS.pack(good, len(answer)) + answer)
        taken.flush()


def _decoded(body: bytes, charset: str) -> str | bytes:
    """`body` decoded as the server says; otherwise as bytes, whose encoding the parser detects."""
    text = decode_as(body, charset)
    return body if text is None else text


def _limit(memory_bytes: int) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _limit(int(sys.argv[1]))
    _serve(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[2]))
