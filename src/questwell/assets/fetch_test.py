import gzip
import hashlib
from pathlib import Path

import pytest

from questwell.assets import LocalFile, assemble, cached, home
from questwell.assets.fetch import sha256_of
from questwell.errors import AssetError

CONTENT = b"weights " * 1000
SHA = hashlib.sha256(CONTENT).hexdigest()


class Bytes:
    """A source that gives `chunks`, or fails."""

    def __init__(self, name, *chunks, error=None):
        self.name = name
        self.chunks = chunks
        self.error = error
        self.asked = 0

    def fetch(self, partial):
        self.asked += 1
        if self.error:
            raise self.error
        partial.begin(self.name)
        for chunk in self.chunks[partial.points :]:
            if chunk is None:
                raise AssetError("the line dropped")
            partial.write(chunk)
            partial.commit()


def get(*sources, **options):
    return assemble("w.bin", SHA, len(CONTENT), sources, **options)


def test_the_first_source_that_answers_gives_the_file():
    down, good, unasked = Bytes("down", error=AssetError("is down")), Bytes("good", CONTENT), Bytes("never", CONTENT)
    path = get(down, good, unasked)
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(home())
    assert (down.asked, good.asked, unasked.asked) == (1, 1, 0)


def test_a_cached_file_asks_no_source():
    get(Bytes("good", CONTENT))
    assert get() == cached("w.bin", SHA, len(CONTENT))


def test_a_cached_file_of_another_size_is_fetched_again():
    get(Bytes("good", CONTENT)).write_bytes(b"cut")
    assert cached("w.bin", SHA, len(CONTENT)) is None
    assert get(Bytes("good", CONTENT)).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"X", CONTENT[:-1], CONTENT + b"X"])
def test_other_content_is_refused_deleted_and_the_next_source_asked(content):
    bad = Bytes("bad", content)
    with pytest.raises(AssetError, match="bad: ") as error:
        get(bad)
    assert cached("w.bin", SHA, len(CONTENT)) is None
    assert get(bad, Bytes("good", CONTENT)).read_bytes() == CONTENT
    assert "tried in order" in str(error.value)


def test_a_refused_file_leaves_nothing_behind():
    with pytest.raises(AssetError, match="refused and deleted"):
        get(Bytes("bad", CONTENT[:-1] + b"X"))
    assert [path.name for path in home().rglob("*") if path.is_file()] == ["lock"]


def test_an_endless_file_is_refused_as_soon_as_it_is_too_large():
    endless = Bytes("bad", *[b"X" * 1000] * 20, None)
    with pytest.raises(AssetError, match="larger than the expected 8,000 bytes; refused and deleted"):
        get(endless)
    assert [path.name for path in home().rglob("*") if path.is_file()] == ["lock"]


def test_the_error_names_every_source_its_reason_and_what_to_do():
    with pytest.raises(AssetError) as error:
        get(Bytes("one", error=AssetError("no route")), Bytes("two", error=OSError("disk")), advice="Name an endpoint.")
    assert str(error.value) == (
        "w.bin could not be fetched; tried in order:\n  - one: no route\n  - two: disk\n"
        f"Without a network: get w.bin (8,000 bytes, SHA-256 {SHA}) on another machine, put it "
        "into a folder, and name the folder in QUESTWELL_ASSETS.\nName an endpoint."
    )


def test_an_interrupted_fetch_goes_on_where_it_stopped():
    first, second = CONTENT[:3000], CONTENT[3000:]
    with pytest.raises(AssetError, match="the line dropped"):
        get(Bytes("parts", first, None))
    seen = []
    path = get(
        Bytes("parts", b"never asked for again", second), progress=lambda done, total: seen.append((done, total))
    )
    assert path.read_bytes() == CONTENT
    assert seen == [(3000, len(CONTENT)), (len(CONTENT), len(CONTENT))]


def test_another_source_does_not_continue_a_part():
    with pytest.raises(AssetError):
        get(Bytes("parts", CONTENT[:3000], None))
    assert get(Bytes("whole", CONTENT)).read_bytes() == CONTENT


def test_a_source_that_is_down_keeps_the_part_of_another():
    with pytest.raises(AssetError):
        get(Bytes("parts", CONTENT[:3000], None))
    down = Bytes("down", error=AssetError("is down"))
    assert get(down, Bytes("parts", b"", CONTENT[3000:])).read_bytes() == CONTENT


def test_too_small_a_disk_is_told_before_anything_is_fetched(monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": len(CONTENT)}))
    source = Bytes("good", CONTENT)
    with pytest.raises(AssetError, match="QUESTWELL_HOME"):
        get(source)
    assert source.asked == 0


def test_a_file_brought_by_hand_is_taken_first_if_it_is_the_right_one(tmp_path, monkeypatch):
    monkeypatch.setenv("QUESTWELL_ASSETS", str(tmp_path))
    down = Bytes("down", error=AssetError("no network"))
    with pytest.raises(AssetError, match=f"{tmp_path}/w.bin: no such file"):
        get(down)
    (tmp_path / "w.bin").write_bytes(b"X" + CONTENT[1:])
    with pytest.raises(AssetError, match=f"has SHA-256 .* instead of {SHA}"):
        get(down)
    (tmp_path / "w.bin").write_bytes(CONTENT)
    assert get(down).read_bytes() == CONTENT
    assert down.asked == 2


def test_local_file_is_copied_and_never_deleted(tmp_path):
    own = tmp_path / "own.bin"
    own.write_bytes(b"X" + CONTENT[1:])
    with pytest.raises(AssetError):
        get(LocalFile(own))
    assert own.read_bytes() == b"X" + CONTENT[1:]
    own.write_bytes(CONTENT)
    assert get(LocalFile(own)) != own


def test_local_file_is_unpacked(tmp_path):
    packed = tmp_path / "own.dz"
    packed.write_bytes(gzip.compress(CONTENT))
    assert get(LocalFile(packed, unpack=True)).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(CONTENT, mtime=0)[:40]])
def test_a_damaged_gzip_file_is_a_reason_not_a_crash(tmp_path, content):
    packed = tmp_path / "own.dz"
    packed.write_bytes(content)
    with pytest.raises(AssetError, match="not a gzip file"):
        get(LocalFile(packed, unpack=True))


def test_missing_local_file_is_a_reason():
    with pytest.raises(AssetError, match="/nowhere: no such file"):
        get(LocalFile(Path("/nowhere")))


def test_sha256_of(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(CONTENT)
    assert sha256_of(path) == SHA
