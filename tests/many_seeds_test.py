"""A run of many seeds: what a wave, a label or a demonstration needs is read once, not all of the run each time."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import world

from questwell.agents.prompts import Prompts
from questwell.datasets.dedup import KnownQuestions
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.generate.seeds import SeedSchedule
from questwell.recipes.reports.items import items
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Ending
from questwell.recipes.train.data import read_demonstrations
from questwell.store.reader import RunReader
from questwell.store.records import KindCount, Play
from questwell.types.game import Reason

KINDS = {"kinds": "bridge:60,comparison:40", "style": "free", "wave": 6}


async def played(library: Path, run: Path, limit: int | None = None, **given: object) -> Path:
    resume = run.exists()
    config = configure(run, {} if resume else world.values(library, **given), resume=resume)
    report = await generate(config, run, world.setup(config), Caller(limit=limit, resume=resume))
    assert report.ending in (Ending.COMPLETE, Ending.LIMIT)
    return run


def test_more_questions_are_known_and_the_earlier_ones_stay_as_they_are() -> None:
    pairs = [(f"When was the bridge of Ost number {number} opened by Alma?", "1801") for number in range(6)]
    first = KnownQuestions(pairs[:3])
    more = first.and_also(pairs[3:])
    whole = KnownQuestions(pairs)
    for question, answer in pairs:
        assert more.near(question, answer) == whole.near(question, answer) == question
    assert [first.near(*pair) is not None for pair in pairs] == [True] * 3 + [False] * 3


async def test_near_duplicates_are_looked_for_without_reading_the_run_again_for_each_wave(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"seeds": 48, "steps": "2", "wave": 4, "near_duplicates": "refuse", "rounds": 0}
    read = Counter[int]()
    each = RunReader.each_play

    def watched(run: RunReader, first: int = 0) -> Iterator[Play]:
        for one in each(run, first):
            read[one.index] += 1
            yield one

    with monkeypatch.context() as patch:
        patch.setattr(RunReader, "each_play", watched)
        patch.delattr(RunReader, "plays")
        run = await played(library, tmp_path / "run", **given)
    assert len(read) >= 40 and max(read.values()) <= 2  # each once, and the first of the next wave, which ends it
    parts = await played(library, tmp_path / "parts", 7, **given)
    while (await _left(parts)) > 0:
        await played(library, parts, 7)
    assert world.rows(parts) == world.rows(run)


async def _left(run: Path) -> int:
    with RunReader(run) as reader:
        done = sum(row.plays for row in reader.play_counts() if row.final)
        return 48 - done


async def test_kinds_are_counted_once_for_each_seed(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[int] = []
    counts = RunReader.kind_counts

    def watched(run: RunReader, first: int = 0) -> list[KindCount]:
        starts.append(first)
        return counts(run, first)

    monkeypatch.setattr(RunReader, "kind_counts", watched)
    run = await played(library, tmp_path / "run", seeds=24, **KINDS)
    assert starts == [0, 0, 6, 12, 18, 24]  # the first time nothing is drawn yet
    config = configure(run, {"seeds": 30}, resume=True)
    with RunReader(run) as reader:
        whole = {one.kind: (one.seeds, one.items) for one in counts(reader)}
        for first in range(25):
            late = {one.kind: one for one in counts(reader, first)}
            early = Counter(reader.seed(index).kind for index in range(first))
            assert {kind: seeds for kind, (seeds, _) in whole.items()} == {
                kind: early[kind] + (late[kind].seeds if kind in late else 0) for kind in whole
            }
        afresh = SeedSchedule(config, world.setup(config).library)
        again = SeedSchedule(config, world.setup(config).library)
        assert again.next_wave(reader) == again.next_wave(reader) == afresh.next_wave(reader) != []


async def test_a_run_with_duplicates_gives_demonstrations(library: Path, tmp_path: Path) -> None:
    run = await played(library, tmp_path / "run", seeds=60)
    with RunReader(run) as reader:
        assert any(play.reason is Reason.DUPLICATE for play in reader.plays())
    found = read_demonstrations(run, Prompts(), 10)
    assert len(found) >= len(items(run)) > 5
