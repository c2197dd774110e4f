import os
import subprocess
import sys
from pathlib import Path

import pytest

from questwell.text.whole import whole, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_in_one_step_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    write_whole(path, "a\r\nä")
    assert path.read_bytes() == "a\r\nä".encode()
    with whole(path) as fresh:
        fresh.write_bytes(b"b")
        assert path.read_bytes() == "a\r\nä".encode()
    assert path.read_bytes() == b"b"
    assert names(path.parent) == ["file.txt"]
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert path.stat().st_mode == ordinary.stat().st_mode  # as the user's umask says, not a temporary file's 0600


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    with pytest.raises(ZeroDivisionError), whole(path) as fresh:
        fresh.write_text("half")
        1 / 0  # noqa: B018
    assert (path.read_text(), names(tmp_path)) == ("old", ["file"])
    with pytest.raises(OSError, match="file"):
        write_whole(path / "below", "x")


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    script = (
        "import os, pathlib, sys\nfrom questwell.text.whole import whole\n"
        "with whole(pathlib.Path(sys.argv[1])) as fresh:\n    fresh.write_text('new')\n    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    assert path.read_text() == "old"


def test_the_file_is_on_the_disk_before_it_takes_the_others_place_and_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "file", []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(path, "x")
    (first, before), (second, after) = seen
    assert Path(first).name.startswith(".file.") and not before
    assert second == str(tmp_path) and after


def test_a_format_that_is_read_off_the_name_keeps_its_suffix(tmp_path: Path) -> None:
    with whole(tmp_path / "a.png", keep_suffix=True) as fresh:
        assert fresh.suffix == ".png"
        fresh.touch()
    with whole(tmp_path / "a.png") as fresh:
        assert fresh.suffix != ".png"  # a glob for *.png does not see what is half written
        fresh.touch()
