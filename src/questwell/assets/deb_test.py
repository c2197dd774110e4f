import io
import tarfile

import pytest

from questwell.assets.deb import open_member
from questwell.errors import AssetError


def make_deb(path, compression="xz", name=None, content=b"entry\n"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{compression}") as archive:
        entry = tarfile.TarInfo("./usr/share/dictd/d.dict")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": b"odd",
        name or f"data.tar.{compression}": packed.getvalue(),
    }
    with path.open("wb") as file:
        file.write(b"!<arch>\n")
        for member, data in members.items():
            file.write(f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data)
            file.write(b"\n" * (len(data) % 2))
    return path


@pytest.mark.parametrize("compression", ["xz", "gz", "bz2"])
def test_a_member_is_read_from_every_compression(tmp_path, compression):
    with open_member(make_deb(tmp_path / "p.deb", compression), "usr/share/dictd/d.dict") as file:
        assert file.read() == b"entry\n"


def test_a_missing_member(tmp_path):
    with pytest.raises(AssetError, match="holds no file usr/x"), open_member(make_deb(tmp_path / "p.deb"), "usr/x"):
        pass


def test_zstd_is_named(tmp_path):
    deb = make_deb(tmp_path / "p.deb", name="data.tar.zst")
    with pytest.raises(AssetError, match=r"data\.tar\.zst"), open_member(deb, "usr/x"):
        pass


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"!<arch>\n", b"!<arch>\n" + b"x" * 60])
def test_no_package(tmp_path, content):
    path = tmp_path / "p.deb"
    path.write_bytes(content)
    with pytest.raises(AssetError, match=r"p\.deb"), open_member(path, "usr/x"):
        pass


def test_a_damaged_archive(tmp_path):
    deb = make_deb(tmp_path / "p.deb")
    content = bytearray(deb.read_bytes())
    content[220:260] = b"\0" * 40  # past the archive headers, inside the packed data
    deb.write_bytes(content)
    with pytest.raises(AssetError, match="damaged"), open_member(deb, "usr/share/dictd/d.dict") as file:
        file.read()
