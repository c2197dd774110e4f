import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from questwell.http.bounded import TooLargeError, UnreadableError, read_bounded


async def pieces(body, size=65_536):
    for at in range(0, len(body), size):
        yield body[at : at + size]


PACKED = {"": bytes, "identity": bytes, "gzip": gzip.compress, "deflate": zlib.compress}


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=3_000), st.sampled_from(sorted(PACKED)), st.integers(1, 200))
async def test_a_body_within_the_limit_comes_whole(body, encoding, size):
    assert await read_bounded(encoding, pieces(PACKED[encoding](body), size), 3_000) == body
    if body:
        with pytest.raises(TooLargeError):
            await read_bounded(encoding, pieces(PACKED[encoding](body), size), len(body) - 1)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_bomb_is_not_unpacked(encoding):
    bomb = PACKED[encoding](b"0" * 200_000_000)
    tracemalloc.start()
    with pytest.raises(TooLargeError):
        await read_bounded(encoding, pieces(bomb), 1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(bomb) < 300_000
    assert peak < 10_000_000


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"x", "br"),
        (b"x", "zstd"),
        (b"x", "gzip, gzip"),
        (b"no gzip at all", "gzip"),
        (gzip.compress(b"x" * 999)[:-9], "gzip"),
    ],
)
async def test_what_cannot_be_unpacked(body, encoding):
    with pytest.raises(UnreadableError):
        await read_bounded(encoding, pieces(body), 10_000)
