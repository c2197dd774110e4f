"""docs/features.md: what shows a feature exists, with the flags that it names, and what is not Y says why."""

import re
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.cli.verbs import VERBS, load

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
LINES = [line for line in PAGE.splitlines() if line.startswith("| ")]
ROWS = [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in LINES[1:]]
EVERYWHERE = {"--help", "--print-config", "--config"}


def flags_of(verb: str) -> set[str]:
    command = load(verb)
    assert isinstance(command, TyperGroup | TyperCommand)
    return {flag for one in command.params for flag in (*one.opts, *one.secondary_opts)} | EVERYWHERE


def commands(where: str) -> list[tuple[str, set[str]]]:
    """Verbs with their flags; flags without a verb are those of the verb before them, else of generate."""
    found: list[tuple[str, set[str]]] = []
    for code in re.findall(r"`([^`]+)`", where):
        words = code.split()
        flags = {word for word in words if word.startswith("--")}
        if words[0] == "questwell" and len(words) > 1:
            found.append((words[1], flags))
        elif flags:
            found.append((found[-1][0] if found else "generate", flags))
    return found


GIVEN = sorted(
    {
        (verb, flag, value)
        for _, _, where in ROWS
        for code in re.findall(r"`([^`]+)`", where)
        for verb in [code.split()[1] if code.startswith("questwell ") else "generate"]
        for flag, value in re.findall(r"(--[\w-]+) ([^\s-]\S*)", code)
        if not value.isupper() and verb in ("generate", "dataset")
    }
)
"""Flags with a value that stands for itself; upper case stands for a value of the user's."""


@pytest.mark.parametrize(("verb", "flag", "value"), GIVEN)
def test_a_value_that_a_row_names_is_taken(verb: str, flag: str, value: str) -> None:
    start = ["--corpus", "islands", "--llm", "mock", "--seeds", "1"] if verb == "generate" else []
    done = CliRunner().invoke(app, [verb, *start, flag, value, "--print-config"])
    if done.exit_code:  # a flag of another verb, which a row names by itself, or one that needs another next to it
        assert "No such option" in done.output or "say how many" in done.output, done.output
        assert any(flag in flags_of(other) for other in VERBS)
    else:
        key = flag.strip("-").replace("-", "_")
        assert f"{key} = " in done.output or flag in ("--pilot", "--limit")


def test_the_table_is_read() -> None:
    assert len(ROWS) > 60 and {len(row) for row in ROWS} == {3}
    assert {state for _, state, _ in ROWS} == {"Y", "P", "N"}
    assert len({feature for feature, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("feature", "state", "where"), ROWS, ids=[row[0][:40] for row in ROWS])
def test_a_row_shows_what_it_claims(feature: str, state: str, where: str) -> None:
    tests = re.findall(r"`((?:src|tests)/[\w/]+_test\.py)`", where)
    for name in tests:
        assert re.search(r"^\s*(?:async )?def test_", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE), name
    asked = commands(where)
    for verb, flags in asked:
        assert verb in VERBS, verb
        assert flags <= flags_of(verb) or any(flags <= flags_of(other) for other in VERBS), (verb, flags)
    for name in re.findall(r"`((?:src|tests|docs|examples|benchmarks)/[\w./]+)`", where):
        assert (ROOT / name).is_file(), name
    shown = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in tests).replace("-", "_")
    named = {word for verb, flags in asked for word in (verb, *(flag.strip("-").replace("-", "_") for flag in flags))}
    if tests and named:
        assert any(re.search(rf"\b{word}\b", shown) for word in named), f"the tests do not name {named}"
    if state == "Y":
        assert tests or asked or re.search(r"`(?:make \w+|docs/[\w.]+|LICENSE)`", where), "nothing shows it"
    else:
        why = re.sub(r"`[^`]*`", "", where.rpartition(";")[2])
        assert len(why.split()) >= 2, "say what is missing"
