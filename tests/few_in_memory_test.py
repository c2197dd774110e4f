"""What reads every item of a run holds only a few of them at once, and writes what one pass over a list would write."""

import asyncio
import contextlib
import gc
import io
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
import world
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.cli.screen import print_json, print_json_list
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.dataset.build import build, read_manifest
from questwell.recipes.dataset.config import DatasetConfig
from questwell.recipes.dataset.dialogues import Trace
from questwell.recipes.dataset.item_file import ItemFile
from questwell.recipes.dataset.parquet import read_parquet, write_rows
from questwell.recipes.dataset.traces import Traces, export_traces
from questwell.recipes.generate.loop import generate
from questwell.recipes.harden.config import HardenConfig
from questwell.recipes.harden.given import GivenQuestion, read_given
from questwell.recipes.reports.report import report
from questwell.recipes.reports.story import listing
from questwell.recipes.runs.config import resolve
from questwell.store.query import Query
from questwell.store.records import Play
from questwell.types.dataset import Item
from questwell.types.game import Accepted, Rejected, Round

SEEDS = 60
BATCH = 5
"""Plays per query, and rows per batch of parquet."""


@pytest.fixture(scope="module")
def run(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = world.config(library, seeds=SEEDS, attempts=2, early_stop=False)
    asyncio.run(generate(config, folder, world.setup(config, ScriptedLLM(moody))))
    return folder


def moody(request: Request) -> Completion:
    """A model whose every other attempt is wrong, so that there are pairs of attempts."""
    said = world.play(request)
    solving = request.messages[0].content.split()[1] == "solver" and said.text.startswith("<answer>")
    return Completion("<answer>1042</answer>", "scripted") if solving and (request.seed or 0) % 2 else said


@dataclass
class Alive:
    """The most objects of a type that were alive at once, by type, whenever the run or an item was read."""

    most: dict[type, int] = field(default_factory=dict)
    asked: int = 0

    def look(self) -> None:
        self.asked += 1
        if self.asked % 7:  # looking takes long, and a list that grows does not shrink before the next look
            return
        found = Counter(map(type, gc.get_objects()))
        for kind in (Item, Play, Accepted, Rejected, Round, GivenQuestion, Trace):
            self.most[kind] = max(self.most.get(kind, 0), found[kind])


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Alive]:
    """Counts while it is read, in small batches."""
    found, real, record = Alive(), Query._all, ItemFile._record
    monkeypatch.setattr("questwell.store.reader._AT_ONCE", BATCH)
    monkeypatch.setattr("questwell.recipes.dataset.parquet._AT_ONCE", BATCH)
    monkeypatch.setattr(Query, "_all", lambda self, *asked: (found.look(), real(self, *asked))[1])
    monkeypatch.setattr(ItemFile, "_record", lambda self, number: (found.look(), record(self, number))[1])
    gc.collect()
    gc.freeze()  # what is there already is not listed
    yield found
    gc.unfreeze()


def few(alive: Alive, *kinds: type, most: int = 2 * BATCH) -> bool:
    """Whether few were alive at once, but some were."""
    return all(0 < alive.most[kind] <= most for kind in kinds)


def test_a_dataset_holds_few_items(run: Path, library: Path, tmp_path: Path, alive: Alive) -> None:
    config = resolve(DatasetConfig, {"prompts": library / "prompts"})
    build([run], tmp_path / "set", config)
    assert few(alive, Item, Play) and alive.most[Accepted] <= BATCH
    made = [one for path in sorted((tmp_path / "set" / "data").glob("*")) for one in read_parquet(path, Item)]
    assert len(made) > 5 * BATCH
    content = "\n".join(sorted(f"{item.id}\t{item.question}\t{item.answer}" for item in made))
    assert read_manifest(tmp_path / "set").canary == f"questwell canary {uuid.uuid5(uuid.NAMESPACE_URL, content)}"


def test_a_report_holds_few_plays(run: Path, tmp_path: Path, alive: Alive) -> None:
    asyncio.run(report([run], tmp_path / "report"))
    assert few(alive, Play) and few(alive, Accepted, most=BATCH)


def test_show_holds_few_plays_and_prints_the_same(run: Path, alive: Alive) -> None:
    shown = CliRunner().invoke(app, ["show", str(run), "--json"])
    assert few(alive, Play)
    plays = listing(run)
    assert [one["index"] for one in json.loads(shown.stdout)] == [one.index for one in plays]
    lines = CliRunner().invoke(app, ["show", str(run)]).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [one.seed_id for one in plays]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_list_is_printed_as_its_elements_are(run: Path, count: int) -> None:
    plays = listing(run)[:count]
    whole, parts = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(whole):
        print_json(list[Play], plays)
    with contextlib.redirect_stdout(parts):
        print_json_list(Play, plays)
    assert parts.getvalue() == whole.getvalue()


def test_harden_holds_few_questions(run: Path, alive: Alive) -> None:
    given = read_given(HardenConfig(source=str(run), corpus="islands", seeds=20))
    assert sum(1 for _ in given.questions) == len(given.questions) == 20
    assert few(alive, GivenQuestion, Accepted, most=BATCH)
    whole = list(given.questions)
    assert [given.questions[at] for at in (0, 7, 19)] == [whole[at] for at in (0, 7, 19)]
    assert list(given.questions.some(range(1, 20, 6))) == whole[1::6]


def test_pairs_hold_the_attempts_of_one_play(run: Path, tmp_path: Path, alive: Alive) -> None:
    assert export_traces(run, tmp_path / "pairs.jsonl", Traces.PAIRS, rejected=True) > 2
    assert few(alive, Accepted, Rejected, most=BATCH) and few(alive, Trace)


def test_rows_of_a_table_in_batches_are_those_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"n": number, "names": [{"a": str(number)}] * (number % 3)} for number in range(1, 24)]
    assert write_rows(tmp_path / "whole.parquet", iter(rows)) == 23
    monkeypatch.setattr("questwell.recipes.dataset.parquet._AT_ONCE", BATCH)
    assert write_rows(tmp_path / "parts.parquet", iter(rows)) == 23
    whole, parts = (parquet.ParquetFile(tmp_path / f"{name}.parquet") for name in ("whole", "parts"))
    assert (whole.num_row_groups, parts.num_row_groups) == (1, 5)
    assert parts.read() == whole.read()
