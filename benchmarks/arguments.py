"""The command line of a benchmark: its docstring is its help, and a wrong path or name is an error of one line."""

import argparse
import re
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from questwell.errors import QuestwellError


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the docstring of the script as its help, line by line."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def existing_file(text: str) -> Path:
    """The path of a file that exists."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text!r}")
    return path


def existing_folder(text: str) -> Path:
    """The path of a folder that exists."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text!r}")
    return path


def new_folder(text: str) -> Path:
    """The path of a folder that is empty or does not exist yet, so that nothing in it is lost."""
    path = Path(text)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise argparse.ArgumentTypeError(f"{text!r} is not an empty folder: name another, or remove it first")
    return path


def numbers(text: str) -> list[int]:
    """Whole numbers, separated by commas."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 0,1,2") from None


def names(known: Collection[str]) -> Callable[[str], list[str]]:
    """A reader of names out of `known`, separated by semicolons or commas; a comma before a space belongs to a name."""

    def read(text: str) -> list[str]:
        asked = [name for name in re.split(r";|,(?! )", text) if name]
        if unknown := [name for name in asked if name not in known]:
            raise argparse.ArgumentTypeError(f"there is no {unknown[0]!r}; choose from: {'; '.join(known)}")
        return asked

    return read


def run(main: Callable[[], object]) -> None:
    """Run `main`; an error of Questwell ends the script with its message, without a traceback."""
    try:
        main()
    except QuestwellError as error:
        sys.exit(f"Error: {error}")
