"""A reply's body within a limit, for libraries that read it themselves."""

from collections.abc import AsyncIterator

import httpx2

from questwell.errors import MalformedHits


class Counted(httpx2.AsyncByteStream):
    """The stream of a reply, which ends with an error after `most` bytes."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int, name: str) -> None:
        self._stream, self._most, self._name = stream, most, name

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces as they come.

        Raises:
            MalformedHits: there are more than `most` bytes.
        """
        came = 0
        async for piece in self._stream:
            came += len(piece)
            if came > self._most:
                raise MalformedHits(f"{self._name}: the reply has more than {self._most} bytes")
            yield piece

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()
