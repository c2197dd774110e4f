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


def raw_deflate(body):
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(body) + packing.flush()


def in_two_members(body):
    return gzip.compress(body[: len(body) // 2], mtime=0) + gzip.compress(body[len(body) // 2 :], mtime=0)


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
        (gzip.compress(b"x" * 999, mtime=0)[:-9], "gzip"),
    ],
)
async def test_what_cannot_be_unpacked(body, encoding):
    with pytest.raises(UnreadableError):
        await read_bounded(encoding, pieces(body), 10_000)


@pytest.mark.parametrize("size", [1, 7, 65_536])
@pytest.mark.parametrize(("encoding", "pack"), [("deflate", raw_deflate), ("gzip", in_two_members)])
async def test_forms_that_servers_send_too(encoding, pack, size):
    body = b"The lighthouse of Roanmouth. " * 40
    if pack is raw_deflate and size == 1:
        pytest.skip("one byte does not tell whether a head is there")
    assert await read_bounded(encoding, pieces(pack(body), size), 10_000) == body


@pytest.mark.parametrize("after", [b"", gzip.compress(b"x", mtime=0)])
async def test_what_unpacks_to_nothing_and_never_ends_is_given_up(after):
    packing = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    head = packing.compress(b"x") + packing.flush(zlib.Z_SYNC_FLUSH)
    taken = 0

    async def endless():
        nonlocal taken
        yield after or head
        while True:
            taken += 1
            yield (after or b"\x00\x00\x00\xff\xff") * 100  # empty members, or empty blocks

    with pytest.raises(TooLargeError):
        await read_bounded("gzip", endless(), 10_000)
    assert taken < 100


async def test_what_follows_the_end_of_gzip_is_no_second_body():
    with pytest.raises(UnreadableError):
        await read_bounded("gzip", pieces(gzip.compress(b"x") + b"<html>"), 10_000)
