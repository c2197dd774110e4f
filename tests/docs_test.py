"""What the documents say exists: flags, keys, files, tables, codes."""

import importlib.util
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from questwell.cli.app import app
from questwell.cli.codes import ExitCode
from questwell.cli.verbs import VERBS, load
from questwell.recipes.generate.config import MAY_CHANGE, PRESETS, Config
from questwell.retrieval.corpora.corpus import BUILT_IN
from questwell.retrieval.corpora.fields import IDS, TEXTS, TITLES
from questwell.retrieval.corpora.forms import BY_SUFFIX
from questwell.retrieval.corpora.forms import DOCUMENTS as DOCUMENT_FORMS
from questwell.store.migrations import migrate
from questwell.types.game import Reason
from questwell.version import __version__

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "questwell"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
FOLDERS = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code(document: Path) -> str:
    """What stands between backticks or in an indented block."""
    written = document.read_text(encoding="utf-8")
    blocks = re.findall(r"```.*?```", written, re.DOTALL) + re.findall(r"^ {4}\S.*$", written, re.MULTILINE)
    return "\n".join([*re.findall(r"`([^`\n]+)`", written), *blocks])


def ours(document: Path) -> str:
    """The code without the lines of other commands."""
    others = r"\s*(pip|uv|git|docker|make|python|bash) "
    return "\n".join(line for line in code(document).splitlines() if not re.match(others, line))


def flags() -> Iterator[str]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for command in (group, *map(load, VERBS)):
        assert isinstance(command, TyperGroup | TyperCommand)
        for parameter in command.params:
            yield from (*parameter.opts, *parameter.secondary_opts)
    yield "--help"


@each_document
def test_every_flag_exists(document: Path) -> None:
    """Flags of our own command; lines that begin with another command are that command's."""
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours(document)))
    assert used <= set(flags())


@each_document
def test_every_name_in_code_exists(document: Path) -> None:
    """Names with an underscore: keys, values, functions, columns."""
    known = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    names = set(re.findall(r"(?<![\w/.-])[a-z]+(?:_[a-z0-9]+)+(?![\w/.-])", ours(document)))
    assert {name for name in names if not re.search(rf"\b{name}\b", known)} == set()


@each_document
def test_every_file_exists(document: Path) -> None:
    """Paths with a folder, from the root, the package or the document."""
    named = re.findall(r"(?<![\w/:.-])[\w.-]+/[\w./-]*[\w/]", re.sub(r"\w+://\S+", "", code(document)))
    ours = [name for name in named if name.split("/")[0] in {*FOLDERS, "src", "docs", "tests", "benchmarks", "configs"}]
    for name in ours:
        assert any((start / name).exists() for start in (ROOT, SOURCE, document.parent)), name


def test_the_papers_rules_name_files_and_tests() -> None:
    rows = [line for line in text("docs/papers.md").splitlines() if line.startswith("|") and ".py`" in line]
    assert len(rows) > 25
    for row in rows:
        _, _, where, test, *_ = row.split("|")
        assert re.search(r"`[\w/]+(\.py|\.md|/)`", where), row
        assert re.search(r"`[\w/]+_test\.py`", test), row
        for name in re.findall(r"`([\w/.]+)`", f"{where} {test}"):
            assert (SOURCE / name).exists() or (ROOT / name).exists(), name


@pytest.mark.parametrize("name", ["AGENTS.md", "docs/architecture.md", "CONTRIBUTING.md"])
def test_the_layout_names_every_folder(name: str) -> None:
    written = text(name)
    assert [folder for folder in FOLDERS if not re.search(rf"\b{folder}\b", written)] == []


def test_no_code_names_a_document_that_is_not_there() -> None:
    for path in SOURCE.rglob("*.py"):
        for name in re.findall(r"\bdocs/[\w-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{path.name} names {name}"


@each_document
def test_no_place_of_one_machine(document: Path) -> None:
    assert not re.search(r"(?<![\w.])/(work|tmp|root|home|usr|opt)/", document.read_text(encoding="utf-8"))


def test_agents_md_is_short() -> None:
    assert len(text("AGENTS.md").splitlines()) <= 60


def test_readme_is_short() -> None:
    assert len(text("README.md").splitlines()) < 150


def test_the_citation_names_this_version() -> None:
    assert re.findall(r"^version: (.+)$", text("CITATION.cff"), re.MULTILINE) == [__version__]


def test_the_newest_section_of_the_changelog_is_this_version_or_the_next() -> None:
    first = re.findall(r"^## ([\d.]+) \((unreleased|\d{4}-\d\d-\d\d)\)$", text("CHANGELOG.md"), re.MULTILINE)
    released = [version for version, when in first if when != "unreleased"]
    assert released[0] == __version__ and [when for _, when in first].count("unreleased") <= 1


def test_runs_md_tells_codes_reasons_tables_and_what_may_change() -> None:
    written = text("docs/runs.md")
    assert {int(found) for found in re.findall(r"^\| (\d) \|", written, re.MULTILINE)} == set(ExitCode)
    assert [reason for reason in Reason if f"`{reason.value}`" not in written] == []
    assert [key for key in MAY_CHANGE if f"`{key}`" not in written] == []
    with sqlite3.connect(":memory:") as run:
        migrate(run)
        tables = run.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
        queries = re.findall(r'sqlite3 \S+ "(.+?)"', written, re.DOTALL)
        assert len(queries) >= 4
        for query in queries:
            run.execute(query)
    run.close()
    assert [name for (name,) in tables if f"`{name}`" not in written] == []


def test_corpora_md_tells_formats_and_built_in_ones() -> None:
    written = text("docs/corpora.md")
    assert [name for name in (*BUILT_IN, *IDS, *TITLES, *TEXTS) if f"`{name}`" not in written] == []
    assert [suffix for suffix, form in BY_SUFFIX.items() if form in DOCUMENT_FORMS and suffix not in written] == []


def test_presets_that_are_named_exist() -> None:
    named = {found for path in DOCUMENTS for found in re.findall(r"`(sage-[\w-]+)`", path.read_text(encoding="utf-8"))}
    assert named <= set(PRESETS)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_no_result_names_a_place_of_one_machine(path: Path) -> None:
    def texts(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            yield from (text for pair in value.items() for part in pair for text in texts(part))
        elif isinstance(value, list):
            yield from (text for part in value for text in texts(part))
        elif isinstance(value, str):
            yield value

    places = r"(?<![\w.:/<-])(~|/[\w.-]+)/\w"
    assert [text for text in texts(json.loads(path.read_text())) if re.search(places, text)] == []


def test_a_benchmark_records_its_command_without_places() -> None:
    spec = importlib.util.spec_from_file_location("report", ROOT / "benchmarks" / "report.py")
    assert spec is not None and spec.loader is not None
    report = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(report)
    for given, kept in {
        "/tmp/train/learn": "learn",
        "--work=/home/me/a b": "--work=a b",
        "musique=/data/dev.jsonl,x=~/b.tsv": "musique=dev.jsonl,x=b.tsv",
        "runs/a/b": "runs/a/b",
        "../a": "../a",
        "m@http://127.0.0.1:9/v1": "m@http://127.0.0.1:9/v1",
        "0.5/0.7": "0.5/0.7",
        "--steps": "--steps",
    }.items():
        assert report.without_place(given) == kept


def test_the_changelog_says_nothing_twice() -> None:
    """Two branches that both add entries keep both sides' in a merge."""
    entries = re.split(r"(?m)^(?:- |## .*$)", (ROOT / "CHANGELOG.md").read_text())
    said = [" ".join(entry.split()) for entry in entries if entry.strip()]
    assert len(said) > 50
    assert {entry for entry in said if said.count(entry) > 1} == set()


def test_every_key_has_a_meaning() -> None:
    assert [key for key, field in Config.model_fields.items() if not field.description] == []
