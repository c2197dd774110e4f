import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from questwell.errors import ConfigError
from questwell.text.files import decode, lines, read_jsonl, read_lines, read_text

SPLITTERS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""Where `str.splitlines` splits too."""
ANY: TypeAdapter[Any] = TypeAdapter(Any)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(SPLITTERS), max_size=20)


class Pair(BaseModel):
    question: str
    hops: tuple[int, ...] = ()


def written(folder: Path, content: bytes | str, name: str = "f.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def values(path: Path, *, ended: bool = False) -> list[Any]:
    return [value for _, value in read_jsonl(path, ANY, ConfigError, ended=ended)]


@given(st.lists(st.dictionaries(TEXTS, TEXTS, max_size=3), max_size=5), st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_what_json_writes_is_read_back_whatever_its_texts_hold(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], mark: bytes
) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path = written(tmp_path_factory.mktemp("lines"), mark + text.encode())
    assert values(path) == rows


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_a_text_line_ends_only_at_lf(tmp_path: Path, splitter: str) -> None:
    assert read_lines(written(tmp_path, f"a{splitter}b\r\n\r\n c \n"), ConfigError) == [f"a{splitter}b", " c "]


def test_blank_lines_count_but_are_left_out(tmp_path: Path) -> None:
    found = list(lines(written(tmp_path, "\n1\r\n \t\n2"), ConfigError))
    assert [(line.number, line.json()) for line in found] == [(2, 1), (4, 2)]


def test_marks_of_files_put_together_are_no_part_of_a_line(tmp_path: Path) -> None:
    assert values(written(tmp_path, "\ufeff1\n\ufeff2\n")) == [1, 2]


def test_a_last_line_that_was_cut_off_is_left_out_only_where_asked(tmp_path: Path) -> None:
    path = written(tmp_path, '{"step": 1}\n{"step": 2}')
    assert values(path, ended=True) == [{"step": 1}]
    assert values(path) == [{"step": 1}, {"step": 2}]


def test_half_a_surrogate_pair_becomes_a_character_that_utf8_can_hold(tmp_path: Path) -> None:
    path = written(tmp_path, r'["\ud83d", "\uD83D\uDE00", "\\ud83d"]' + "\n")
    assert values(path) == [["\ufffd", "😀", "\\ud83d"]]


def test_a_name_in_gz_is_unpacked_and_a_damaged_one_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"a": 1}\n' * 50)
    assert values(written(tmp_path, whole, "f.jsonl.gz")) == [{"a": 1}] * 50
    for damaged in (whole[:-9], b"no gzip", whole[:12] + b"\xff" * 9 + whole[21:]):
        with pytest.raises(ConfigError, match=r"f\.jsonl\.gz' cannot be read: "):
            values(written(tmp_path, damaged, "f.jsonl.gz"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "not JSON (Expecting property name"),
        (b"\xff", "not UTF-8 (invalid start byte): save the file as UTF-8"),
        (b"{}", "question: Field required"),
        (b'{"question": "?", "hops": [1, "x"]}', "hops.1: Input should be a valid integer"),
        (b"[" * 100_000, "nested too deeply"),
        (b"7", "valid dictionary"),
    ],
)
def test_a_malformed_line_is_named_with_what_is_wrong(tmp_path: Path, line: bytes, said: str) -> None:
    path = written(tmp_path, b'{"question": "Where?"}\n\n' + line + b"\n")
    with pytest.raises(ConfigError) as raised:
        list(read_jsonl(path, TypeAdapter(Pair), ConfigError))
    assert f"{path}, line 3: " in str(raised.value)
    assert said in str(raised.value)


def test_text_has_no_mark_and_one_kind_of_line_end(tmp_path: Path) -> None:
    assert read_text(written(tmp_path, "\ufeffa\r\nb\rc\ufeff\u2028d\n"), ConfigError) == "a\nb\nc\ufeff\u2028d\n"


def test_text_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"t\.toml: line 2 is not UTF-8 .* save the file as UTF-8"):
        read_text(written(tmp_path, "a\nGrüße".encode("latin-1"), "t.toml"), ConfigError)
    with pytest.raises(ValueError, match="line 1 is not UTF-8"):
        decode("a".encode("utf-16"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for read in (lambda path: list(lines(path, ConfigError)), lambda path: read_text(path, ConfigError)):  # pyright: ignore[reportUnknownLambdaType, reportUnknownVariableType, reportUnknownArgumentType]
        with pytest.raises(ConfigError, match="nowhere' cannot be read: No such file or directory"):
            read(tmp_path / "nowhere")
        with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
            read(tmp_path)
