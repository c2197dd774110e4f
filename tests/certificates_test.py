"""One certificate in four places: `show`, the item's page, the exported item and the card of a dataset agree."""

import html
import re
from collections import Counter
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.recipes.reports.items import items
from questwell.types.dataset import Item
from questwell.types.gates import Gate
from questwell.view.app import make_app
from questwell.view.site import Site


def questwell(*arguments: object) -> str:
    done = CliRunner(env={"COLUMNS": "1000"}).invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items of the mock, with every gate: some asked by the run, all asked later, and another judge."""
    folder = tmp_path_factory.mktemp("certified") / "run"
    given = ("--corpus", "islands", "--llm", "mock", "--index", folder.parent / "index", "--seeds", 6, "--steps", 2)
    questwell("generate", *given, "--gates", "evidence", "--out", folder)
    questwell("gates", folder, "--gates", ",".join(Gate))
    questwell("rejudge", folder, "--judge", "mock")
    return folder


def shown(run: Path, item: Item) -> list[tuple[str, str]]:
    """The lines of the certificate that `show` prints."""
    told = questwell("show", run, item.id.rpartition("-")[2])
    block = told.partition("── Certificate")[2].partition("── ")[0]
    return [(name, value) for name, _, value in (line.partition(": ") for line in block.splitlines()[1:]) if value]


def on_page(run: Path, item: Item) -> list[tuple[str, str]]:
    pages = TestClient(make_app(Site([run], "ann")), base_url="http://localhost")
    page = pages.get(f"/r/run/items/{item.id.rpartition('-')[2]}").text
    block = page.partition('<section id="certificate">')[2].partition("</section>")[0]
    cells = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>", block, re.DOTALL)
    return [(html.unescape(name), html.unescape(value)) for name, value in cells]


def test_show_and_the_page_say_the_same_of_each_item(run: Path) -> None:
    made = items(run)
    assert len(made) >= 4
    for item in made:
        told = shown(run, item)
        assert told == on_page(run, item)
        assert [name for name, _ in told if name.startswith("Check ")] == [f"Check {gate.value}" for gate in Gate]
        assert ("Judge mock", f"agrees on {item.scored} of {item.scored} answers") in told
        assert "Not checked" not in dict(told)


def test_the_exported_item_and_the_card_hold_what_is_shown(run: Path, tmp_path: Path) -> None:
    questwell("dataset", run, "--out", tmp_path / "set")
    card = (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", card.partition("## Certificates")[2], re.MULTILINE))
    counted: dict[str, Counter[str]] = {}
    for item in items(run):
        assert item.certificate is not None and item.certificate.checks == item.gates
        exported = {result.gate.value: (result.outcome.value, result.reason) for result in item.gates}
        told = {
            name.removeprefix("Check "): tuple(value.split(": ", 1))
            for name, value in shown(run, item)
            if name.startswith("Check ")
        }
        assert told == exported
        for gate, (outcome, _) in exported.items():
            counted.setdefault(gate, Counter())[outcome] += 1
    assert {gate: dict(pair.split(": ") for pair in said.split(", ")) for gate, said in rows.items()} == {
        gate: {outcome: str(count) for outcome, count in counts.items()} for gate, counts in counted.items()
    }
    assert {"passed", "failed"} <= {outcome for counts in counted.values() for outcome in counts}
