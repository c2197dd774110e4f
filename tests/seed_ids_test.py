"""Ids of seeds: eight digits in new runs; runs of older versions keep their five, and both are found in every verb."""

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

import pytest
import world
from typer.testing import CliRunner, Result

from questwell.cli.app import app
from questwell.games import seeds
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate import gates
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.generate.merge import merge
from questwell.recipes.harden.config import HardenConfig
from questwell.recipes.harden.given import read_given
from questwell.recipes.rejudge import loop as rejudge
from questwell.recipes.reports.items import items
from questwell.recipes.reports.story import listing, story
from questwell.recipes.runs.caller import Caller
from questwell.store.migrations import DIGITS, MIGRATIONS
from questwell.store.reader import FILE_NAME, RunReader
from questwell.types.game import Seed
from questwell.types.ids import OLD_ID_DIGITS, id_order, seed_name, seed_number

SEEDS = 12


def play(library: Path, run: Path, *, limit: int | None = None, resume: bool = False, **given: object) -> int:
    """Play, or go on; the number of model calls that were made."""
    config = configure(run, {} if resume else world.values(library, seeds=SEEDS, **given), resume=resume)
    llm = ScriptedLLM(world.play)
    asyncio.run(generate(config, run, world.setup(config, llm), Caller(limit=limit, resume=resume)))
    return len(llm.requests)


def play_as_before(monkeypatch: pytest.MonkeyPatch, library: Path, run: Path, limit: int, **given: object) -> int:
    """As `play`, by a version whose ids had five digits, and whose file said nothing of them."""
    with monkeypatch.context() as older:
        older.setattr(seeds, "Seed", partial(Seed, digits=OLD_ID_DIGITS))
        made = play(library, run, limit=limit, **given)
    db = sqlite3.connect(run / FILE_NAME)
    view = MIGRATIONS[0][MIGRATIONS[0].index("CREATE VIEW") :]
    db.executescript(
        f"DROP VIEW settled; ALTER TABLE plays DROP COLUMN digits; {view}; PRAGMA user_version = {DIGITS - 1}"
    )
    db.close()
    return made


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_names_sort_and_are_found_whatever_their_digits() -> None:
    names = [seed_name(number) for number in (0, 9, 99_999, 100_000, 99_999_999)]
    assert names == sorted(names) == ["s00000000", "s00000009", "s00099999", "s00100000", "s99999999"]
    assert {seed_number(name) for name in ("s00042", "s00000042", "42", " s42 ", "run-s00042")} == {42}
    assert seed_number("") is seed_number("sea") is seed_number("s4x") is None
    mixed = ["run-s00100000", "run-s00000002", "run-s00001", "run-s100001"]
    assert sorted(mixed, key=id_order) == ["run-s00001", "run-s00000002", "run-s00100000", "run-s100001"]
    assert id_order("a-s7") < id_order("b-s00001") and id_order("first") == ("first", 0)


def test_a_new_run_has_eight_digits_and_an_old_one_keeps_five_on_a_resume(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, whole = tmp_path / "old", tmp_path / "new", tmp_path / "whole"
    play(library, new)
    first = play_as_before(monkeypatch, library, old, 5)
    with RunReader(old) as run:  # as it stands, without a migration
        assert {known.seed_id for known in run.plays()} == {seed_name(number, 5) for number in range(SEEDS)}
        assert all(one.seed.id == seed_name(one.seed.index, 5) for one in run.unplayed())
    again = play(library, old, resume=True)
    assert first + again == play_as_before(monkeypatch, library, whole, SEEDS)  # nothing was paid twice
    more = configure(old, {"seeds": SEEDS + 3}, resume=True)
    asyncio.run(generate(more, old, world.setup(more), Caller(resume=True)))
    for run, digits, count in ((old, 5, SEEDS + 3), (new, 8, SEEDS)):
        names = [seed_name(number, digits) for number in range(count)]
        with RunReader(run) as reader:
            assert [known.seed_id for known in reader.plays()] == names
            assert {row[0] for row in reader.rows("SELECT seed FROM calls")} == set(names)
            outcomes = [outcome for number in range(count) if (outcome := reader.outcome(number)) is not None]
            assert [reader.seed(number).id for number in range(count)] == names == [one.seed.id for one in outcomes]
            assert all(reader.usage_of(name).calls > 0 for name in names)
            assert sum(one.calls for one in reader.play_counts()) > 0
            told = [known.detail for known in reader.plays() if "same question" in known.detail]
        assert all(detail.split()[-1] in names for detail in told)
    assert [one.id.partition("-")[2] for one in items(old)] == [
        known.seed_id for known in sorted(listing(old), key=lambda known: known.index) if known.status == "accepted"
    ]


def test_every_verb_finds_an_item_by_any_width(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    play_as_before(monkeypatch, library, old, SEEDS)
    play(library, new)

    def opened(config: object, *_: object, **__: object) -> object:
        return world.setup(config)  # type: ignore[arg-type]

    monkeypatch.setattr(gates, "open_setup", opened)
    for run, own in ((old, 5), (new, 8)):
        number = next(known.index for known in listing(run) if known.status == "accepted")
        checked = gates.check_run(gates.configure(run / "gates", {"of": run, "gates": "evidence"}), run / "gates")
        again = rejudge.rejudge(
            rejudge.configure(run / "judge", {"of": run, "judge": "exact_match"}),
            run / "judge",
            Caller(on_progress=print),
        )
        assert {one.id for one in checked.checked} == {one.id for one in again.questions} >= {seed_name(number, own)}
        assert [one.id for one in checked.checked] == sorted(one.id for one in checked.checked)
        for name in (seed_name(number, 5), seed_name(number, 8), str(number)):
            assert story(run, name).id == seed_name(number, own)
            for folder in (run, run / "gates", run / "judge"):
                shown = call("show", folder, name)
                assert shown.exit_code == 0 and seed_name(number, own) in shown.stdout, shown.output
        assert call("show", run / "gates", "s09999").exit_code == call("show", run / "judge", "sea").exit_code == 1
        found = read_given(HardenConfig(source=str(run), corpus="islands"))
        assert found.questions[0].seed.passage.id.endswith(seed_name(number, own))


def test_shards_of_an_older_and_of_this_version_are_joined_and_read_as_one(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [tmp_path / "part0", tmp_path / "part1"]
    play_as_before(monkeypatch, library, parts[0], SEEDS, shard="0/2")
    play(library, parts[1], shard="1/2")
    assert merge(tmp_path / "joined", parts) == SEEDS
    names = [seed_name(number, 8 if number % 2 else 5) for number in range(SEEDS)]
    with RunReader(tmp_path / "joined") as run:
        assert [known.seed_id for known in run.plays()] == names
        assert {row[0] for row in run.rows("SELECT seed FROM calls")} == set(names)
        assert all(run.usage_of(name).calls > 0 for name in names)
        calls = "SELECT count(*) FROM calls WHERE kind = 'llm' AND role IN ('solver', 'judge') AND attempt < 100"
        assert sum(one.calls for one in run.play_counts()) == run.rows(calls)[0][0]
    listed = [one.id for one in items(tmp_path / "joined")]
    assert listed == sorted(listed, key=id_order) != sorted(listed)
