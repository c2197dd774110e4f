from pathlib import Path

import pytest

from questwell.errors import StoreError
from questwell.recipes.runs.files import append_line, cut, replace, to_be_made


def test_lines_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    cut(path, 1)
    assert not path.exists()
    lines = [b'{"step": %d, "more": 0}' % step for step in (1, 2, 3)]
    for line in lines:
        append_line(path, line)
    with path.open("ab") as file:
        file.write(b'{"step": 1, and the kill')
    cut(path, 2)
    assert path.read_bytes() == lines[0] + b"\n" + lines[1] + b"\n"


@pytest.mark.parametrize(("line", "problem"), [(b'{"step', "not JSON"), (b"{}", "Field required"), (b"\xff", "UTF-8")])
def test_a_damaged_line_is_named_and_nothing_is_forgotten(line: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'{"step": 9}\n' + line + b"\n")
    with pytest.raises(StoreError, match=f"line 2: .*{problem}.*Correct the line, or delete it"):
        cut(path, 1)
    assert path.read_bytes().startswith(b'{"step": 9}\n')


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
