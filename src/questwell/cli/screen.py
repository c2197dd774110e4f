"""The consoles: results go to standard output, progress goes to standard error.

Neither console interprets markup, so a model's text cannot colour the screen; such text goes through `text.visible`.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import typer
from rich.console import Console

from questwell.cli.text import UNSAFE
from questwell.recipes.runs.ending import Report

_PLAIN_WIDTH = 160


def out() -> Console:
    """Return the console for standard output."""
    return _console(stderr=False)


def err() -> Console:
    """Return the console for standard error."""
    return _console(stderr=True)


def counting(pieces: str) -> Callable[[int, int], None]:
    """Return a callback (done, total) that prints the progress in `pieces` to standard error when it changes."""
    console, told = err(), [-1]

    def tell(done: int, of: int) -> None:
        if done != told[0]:
            told[0] = done
            console.print(f"{pieces} {done:,}/{of:,}", soft_wrap=True)

    return tell


def print_json(
    type_: Any,  # noqa: ANN401  pydantic knows it
    value: object,
    ended: Report | None = None,
    also: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Print `value` as JSON on standard output; characters that could manipulate a terminal are escaped.

    If `value` is an object, the report `ended` is added under that name, and the entries of `also` under theirs. If
    `value` is the report itself, it is printed only once.
    """
    from pydantic import TypeAdapter  # imported here because most output needs none

    tree = TypeAdapter[Any](type_).dump_python(value, mode="json")
    if ended is not None:
        how = {"ending": ended.ending.value, "message": ended.message, "go_on": ended.go_on}
        tree = {**(tree if value is not ended else {key: tree[key] for key in tree if key not in how}), "ended": how}
    if also:
        tree = {**tree, **TypeAdapter[Any](dict[str, Any]).dump_python(dict(also), mode="json")}
    typer.echo(_printable(json.dumps(tree, indent=2, ensure_ascii=False)))


def print_json_list(
    type_: Any,  # noqa: ANN401  pydantic knows it
    values: Iterable[object],
) -> None:
    """Print `values`, each of `type_`, as `print_json` prints a list of them, with only one in memory."""
    from pydantic import TypeAdapter  # as above

    adapter, some = TypeAdapter[Any](type_), False
    for value in values:
        tree = adapter.dump_python(value, mode="json")
        text = json.dumps(tree, indent=2, ensure_ascii=False).replace("\n", "\n  ")
        typer.echo(f"{',' if some else '['}\n  {_printable(text)}", nl=False)
        some = True
    typer.echo("\n]" if some else "[]")


def _printable(text: str) -> str:
    """Return JSON with escapes for characters that could manipulate a terminal or that it cannot print."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
        unsafe = UNSAFE
    except UnicodeEncodeError:
        unsafe = re.compile("[^\x00-\x7e]")
    return unsafe.sub(lambda match: _escaped(match[0]), text)


def _escaped(char: str) -> str:
    """Return the JSON escape of `char`; a surrogate pair beyond the basic plane."""
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH  # output to a pipe is for programs and files, so it is not limited to 80 columns
    return console
