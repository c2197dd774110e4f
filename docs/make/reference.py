"""`python docs/make/reference.py`: the pages of docs/reference, made from the code; `--check` only compares.

What is in the code is never written by hand: commands, keys, errors, exit codes, reasons, metrics, Python names.
`tests/reference_test.py` compares the pages with the code.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from reference_commands import commands, keys, verb_page
from reference_files import environment, files
from reference_python import python
from reference_values import errors, metrics, reasons

from questwell.cli.verbs import VERBS

PAGES = Path(__file__).parent.parent / "reference"
MADE = "<!-- Made by docs/make/reference.py from the code: do not edit. -->\n"


def pages() -> Iterator[tuple[str, str]]:
    """(name of the file, its text) of each page."""
    for name, text in (
        ("commands.md", commands()),
        *((f"questwell-{verb}.md", verb_page(verb)) for verb in VERBS),
        ("keys.md", keys()),
        ("errors.md", errors()),
        ("reasons.md", reasons()),
        ("metrics.md", metrics()),
        ("files.md", files()),
        ("environment.md", environment()),
        ("python.md", python()),
    ):
        yield name, f"{MADE}\n{text.rstrip()}\n"


def differing() -> list[str]:
    """Names of the pages that are missing, are not what the code says, or are of no use any more."""
    made = dict(pages())
    there = {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.md")}
    return sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))


def main() -> None:
    """Write the pages, or compare them."""
    if "--check" in sys.argv[1:]:
        if wrong := differing():
            sys.exit(f"run python docs/make/reference.py: {', '.join(wrong)}")
        return
    made = dict(pages())
    PAGES.mkdir(exist_ok=True)
    for path in PAGES.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (PAGES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
