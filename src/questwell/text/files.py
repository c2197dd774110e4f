r"""Text files that come from outside: UTF-8 with or without a byte order mark, and JSON lines split only at LF.

`str.splitlines` also splits at U+2028, U+0085 and \x1c, which JSON leaves as they are inside a string: a thought that
holds one would cut its own line in two. So every reader of lines goes through this file.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar, cast

from questwell.errors import QuestwellError
from questwell.text.unicode import without_surrogates

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

TOO_LONG = "not JSON that can be read (a number has thousands of digits)"
_MARK = b"\xef\xbb\xbf"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""The escape of half a character: it may lack its other half."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file that is not blank."""

    path: Path
    number: int
    """From 1; blank lines count."""
    raw: bytes
    """Without its line end and byte order mark."""

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.path}, line {self.number}"

    def json(self) -> object:
        """The JSON value in the line; errors as in `parse_json`."""
        return parse_json(self.raw)

    def read(self, type_: "TypeAdapter[_T]") -> _T:
        """The line's JSON value as `type_`.

        Raises:
            ValueError: it is not UTF-8, not JSON, or another value; says which key is wrong.
        """
        from pydantic import ValidationError  # imported here because some commands start without pydantic

        value = self.json()
        try:
            return type_.validate_python(value)
        except ValidationError as error:
            raise ValueError(problem(error)) from error


def lines(path: Path, error: type[QuestwellError], *, ended: bool = False) -> Iterator[Line]:
    """The lines of a text file, one at a time; a name that ends in `.gz` is unpacked.

    Args:
        path: the file.
        error: raised when the file cannot be read.
        ended: leave out a last line without line end: a kill cut it off while it was written.
    """
    try:
        with _open(path) as file:
            for number, raw in numbered(file, ended=ended):
                yield Line(path, number, raw)
    except (OSError, EOFError, zlib.error) as cause:
        raise error(_unreadable(path, cause)) from cause


def numbered(file: IO[bytes], *, ended: bool = False) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line) of each line that is not blank, without its line end and byte order mark."""
    for number, line in enumerate(file, 1):
        if ended and not line.endswith(b"\n"):
            return
        line = line.rstrip(b"\r\n").removeprefix(_MARK)
        if line.strip():
            yield number, line


def parse_json(line: bytes) -> object:
    """The JSON value in a line; U+FFFD stands where half a surrogate pair was escaped.

    Raises:
        ValueError: it is not UTF-8 or not JSON.
    """
    try:
        text = line.decode("utf-8")
        value = mended(json.loads(text), text)
    except UnicodeDecodeError as error:
        raise ValueError(_not_utf8(error)) from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at character {error.pos + 1})") from error
    except RecursionError as error:
        raise ValueError("not JSON that can be read (nested too deeply)") from error
    except ValueError as error:
        raise ValueError(TOO_LONG) from error
    return value


def mended(value: object, written: str) -> object:
    """A JSON value with U+FFFD where half a surrogate pair was escaped in `written`, the text that it was read from."""
    if _SURROGATE.search(written) is None:
        return value
    return json.loads(without_surrogates(json.dumps(value, ensure_ascii=False)))


def read_jsonl(
    path: Path, type_: "TypeAdapter[_T]", error: type[QuestwellError], *, ended: bool = False
) -> Iterator[tuple[Line, _T]]:
    """Each line with its value, one at a time; arguments as in `lines`.

    Raises:
        QuestwellError: as `error`, when the file cannot be read or a line is malformed; names file and line.
    """
    for line in lines(path, error, ended=ended):
        try:
            value = line.read(type_)
        except ValueError as cause:
            raise error(f"{line.place}: {cause}. Correct the line, or delete it") from cause
        yield line, value


def read_lines(path: Path, error: type[QuestwellError]) -> list[str]:
    """The lines of a file as text; blank lines are left out.

    Raises:
        QuestwellError: as `error`, when it cannot be read or is not UTF-8; names file and line.
    """
    return [text for text in read_text(path, error).split("\n") if text.strip()]


def read_text(path: Path, error: type[QuestwellError]) -> str:
    """The whole text of a file, with LF line ends and without byte order mark.

    Raises:
        QuestwellError: as `error`, when it cannot be read or is not UTF-8; names file and line.
    """
    try:
        return decode(path.read_bytes())
    except OSError as cause:
        raise error(_unreadable(path, cause)) from cause
    except ValueError as cause:
        raise error(f"{path}: {cause}") from cause


def decode(raw: bytes) -> str:
    """A text file's content, with LF line ends and without byte order mark.

    Raises:
        ValueError: it is not UTF-8; names the line.
    """
    try:
        return raw.removeprefix(_MARK).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {number} is {_not_utf8(error)}") from error


def problem(error: "ValidationError") -> str:
    """The first thing that is wrong with a value: `messages.0.role: Field required`."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _unreadable(path: Path, cause: Exception) -> str:
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return f"{str(path)!r} cannot be read: {reason}"


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"not UTF-8 ({error.reason}): save the file as UTF-8"
