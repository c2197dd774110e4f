"""Where things are printed. Results go to standard output, what is on the way to standard error.

Neither console reads markup, so no text of a model can colour the screen; what it wrote goes through `text.visible`.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import typer
from pydantic import TypeAdapter
from rich.console import Console

from questwell.cli.text import UNSAFE
from questwell.recipes.runs.ending import Report

_PLAIN_WIDTH = 160


def out() -> Console:
    """Standard output."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error."""
    return _console(stderr=True)


def counting(pieces: str) -> Callable[[int, int], None]:
    """Prints how many `pieces` of how many are done on standard error, whenever that has changed."""
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
    """`value` as JSON on standard output; what could trick a terminal is escaped, every other script is readable.

    How an invocation `ended` is added under that name, for a value that is an object; there alone, if it is the value.
    What stands in `also` is added by its names.
    """
    tree = TypeAdapter[Any](type_).dump_python(value, mode="json")
    if ended is not None:
        how = {"ending": ended.ending.value, "message": ended.message, "go_on": ended.go_on}
        tree = {**(tree if value is not ended else {key: tree[key] for key in tree if key not in how}), "ended": how}
    if also:
        tree = {**tree, **TypeAdapter[Any](dict[str, Any]).dump_python(dict(also), mode="json")}
    text = json.dumps(tree, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
        unsafe = UNSAFE
    except UnicodeEncodeError:
        unsafe = re.compile("[^\x00-\x7e]")
    typer.echo(unsafe.sub(lambda match: _escaped(match[0]), text))


def _escaped(char: str) -> str:
    """`char` as JSON escapes it, by a surrogate pair beyond the first plane."""
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH  # tables in a pipe are for programs and files, not for 80 columns
    return console
