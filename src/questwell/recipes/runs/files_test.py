from pathlib import Path

import pytest

from questwell.errors import StoreError
from questwell.recipes.runs.files import append_line, cut, replace, to_be_made, whole_lines


def test_lines_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    assert whole_lines(path) == []
    cut(path, lambda line: True)
    assert not path.exists()
    for line in (b"1", b"2", b"3"):
        append_line(path, line)
    with path.open("ab") as file:
        file.write(b"4 and the kill")
    assert whole_lines(path) == [b"1", b"2", b"3"]
    cut(path, lambda line: int(line) <= 2)
    assert path.read_bytes() == b"1\n2\n"


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    replace(path, b"a")
    replace(path, b"b")
    assert (path.read_bytes(), len(list(path.parent.iterdir()))) == (b"b", 1)
    with pytest.raises(StoreError, match="cannot be written"):
        replace(path / "below", b"c")


def test_what_another_config_has_left_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "initial"
    assert to_be_made(folder, "config a", begun=False)
    folder.mkdir()  # made, and then killed before the run was saved
    assert not to_be_made(folder, "config a", begun=False)
    assert not to_be_made(folder, "config b", begun=True)  # a run that is saved refuses another config itself
    assert to_be_made(folder, "config b", begun=False)
    assert not folder.exists()
    folder.mkdir()
    folder.with_name("initial.made_from").unlink()
    assert to_be_made(folder, "config b", begun=False)  # of a version that left no note
