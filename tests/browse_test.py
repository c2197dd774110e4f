"""The list of a run, its words and its course over time, against all plays read one by one."""

import asyncio
import itertools
from collections import Counter
from pathlib import Path

import pytest
import view_world
from starlette.testclient import TestClient

from questwell.evaluation.statistics import wilson
from questwell.recipes.reports import browse
from questwell.recipes.reports.browse import Items, Wanted, calls_per_second, cost_per_item, overview
from questwell.recipes.reports.coverage import _near as near
from questwell.recipes.reports.coverage import coverage, topics
from questwell.recipes.reports.gates import gate_rows
from questwell.recipes.reports.items import items
from questwell.recipes.reports.label_shares import LabelShares, save
from questwell.recipes.reports.story import story
from questwell.store.reader import RunReader
from questwell.store.records import CallKind, Play
from questwell.store.textsearch import TextIndex
from questwell.types.corpus import Passage
from questwell.types.gates import Gate, GateOutcome
from questwell.view.app import make_app
from questwell.view.site import Site


@pytest.fixture(scope="module")
def run(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "gen"
    asyncio.run(view_world.generated(library, folder, gates="evidence,shortcut", seeds=48))
    return folder


def fits(known: Play, state: str, target: str, q: str) -> bool:
    text = " ".join(filter(None, (known.question, known.answer, known.detail))).lower().split()
    held = all(any(word == q_word for word in (w.strip("?:.,()") for w in text)) for q_word in q.split())
    own = {known.status.value, known.reason.value if known.reason else ""}
    return (not state or state in own) and (not target or str(known.target) == target) and held


@pytest.mark.parametrize("hits", [2_000, 3])
@pytest.mark.parametrize("size", [50, 4])
def test_words_and_filters_find_what_reading_every_play_finds(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hits: int, size: int
) -> None:
    monkeypatch.setattr(browse, "_HITS", hits)  # few: the filter's plays are looked through, not those with the words
    monkeypatch.setattr(browse, "_MOST_AT_ONCE", 5)
    monkeypatch.setattr(browse, "PAGE", size)
    words = TextIndex(tmp_path / "words.sqlite")
    with RunReader(run) as reader:
        words.follow(reader)
        every = reader.plays()
        for state, target, q in itertools.product(
            ("", "accepted", "rejected", "too_easy", "unsolved"), ("", "2"), ("", "bridge", "bridge number", "nowhere")
        ):
            items = Items(run, reader, Wanted(state, target, q=q), words)
            expected = [known.index for known in every if fits(known, state, target, q)]
            found: list[int] = []
            page = items.page()
            while True:
                found += [row.play.index for row in page.rows]
                if page.after is None:
                    break
                page = items.page(after=page.after)
            assert found == expected, (state, target, q)
            back: list[int] = []
            before: int | None = len(every)
            while before is not None:
                rows = [row.play.index for row in items.page(before=before).rows]
                back = [index for index in rows if index < before] + back
                before = back[0] if back and back[0] > expected[0] else None
            assert back == expected, (state, target, q)
    words.close()


def test_the_gates_page_counts_what_each_gate_found(run: Path) -> None:
    with RunReader(run) as reader:
        told = [story(run, known.seed_id) for known in reader.plays()]
    expected = Counter((gate.gate, gate.outcome) for one in told for round_ in one.rounds for gate in round_.gates)
    assert {gate for gate, _ in expected} == {Gate.EVIDENCE, Gate.SHORTCUT}
    assert {outcome for _, outcome in expected} >= {GateOutcome.PASSED, GateOutcome.FAILED}
    rows = gate_rows(run)
    assert Counter({(row.gate, outcome): n for row in rows for outcome, n in row.outcomes.items()}) == expected
    assert {row.gate for row in rows if row.asked} == {Gate.EVIDENCE, Gate.SHORTCUT}
    for row in rows:
        assert row.stopped == sum(one.play.reason is row.reason for one in told)
    page = TestClient(make_app(Site([run], "ann")), base_url="http://localhost").get("/r/gen/gates").text
    cells = [expected[Gate.EVIDENCE, outcome] for outcome in GateOutcome]
    wanted = "<tr><td>evidence</td><td>yes</td>" + "".join(f'<td class="n">{n}</td>' for n in cells)
    assert wanted in page


@pytest.mark.parametrize("length", [16, 15, 13, 10])
def test_a_long_run_is_drawn_by_longer_stretches(run: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setattr(RunReader, "buckets", lambda self, **_: length)
    found = overview(run)
    assert {len(one.minute) for one in found.calls} == {length}
    seconds = {16: 60, 15: 600, 13: 3600, 10: 86_400}[length]
    with RunReader(run) as reader:
        calls, usage = reader.calls(CallKind.LLM), reader.usage()
    assert sum(rate * seconds for _, rate in calls_per_second(found)) == pytest.approx(calls)
    assert sum(number for _, number in found.accepted) >= found.status.funnel.accepted
    unit, course = cost_per_item(found)
    spent = usage.cost_usd if unit == "US dollars" else usage.prompt_tokens + usage.completion_tokens
    assert course[-1][1] == pytest.approx(spent / sum(number for _, number in found.accepted))


def test_stretches_grow_with_the_length_of_a_run(run: Path) -> None:
    with RunReader(run) as reader:
        minutes = len({row[0] for row in reader.rows("SELECT minute FROM call_counts")})
        assert reader.buckets(most=minutes) == 16
        assert reader.buckets(most=0) == 10


def test_coverage_counts_the_evidence_of_the_accepted_items(run: Path) -> None:
    used = [(item.evidence_document_ids, item.evidence_ids) for item in items(run)]
    found = coverage(run)
    assert (found.items, found.of) == (len(used), len(used) + sum(r == "duplicate" for r in reasons(run)))
    assert found.documents == len({name for documents, _ in used for name in documents})
    counts = Counter(name for documents, _ in used for name in set(documents))
    assert [count for _, count in found.most_used] == sorted(counts.values(), reverse=True)[:12]
    assert found.one_document.count == sum(len(set(documents)) == 1 for documents, _ in used)
    few = coverage(run, most=3)
    assert (few.items, few.of) == (3, found.of)


def reasons(run: Path) -> list[str]:
    with RunReader(run) as reader:
        return [known.reason.value for known in reader.plays() if known.reason]


def test_passages_are_near_when_they_are_neighbours_in_one_document() -> None:
    def used(*places: tuple[str, str]) -> bool:
        return near([Passage(id_, "", "", document) for id_, document in places])

    assert used(("a#1", "a"), ("a#2", "a"))
    assert used(("a#1", "a"), ("b#7", "b"), ("a#1", "a"))
    assert not used(("a#1", "a"), ("a#3", "a"))
    assert not used(("a#1", "a"), ("b#2", "b"))
    assert not used(("a#1", "a"))


def test_topics_are_told_by_the_words_that_set_them_apart() -> None:
    texts = [f"Which river number {n} flows to the sea in Norway?" for n in range(6)]
    texts += [f"Which compiler number {n} wrote Lisp?" for n in range(9)]
    found = topics(texts, most=2)
    assert [topic.items for topic in found] == [9, 6]
    assert set(found[0].words) <= {"compiler", "wrote", "lisp"}
    assert set(found[1].words) <= {"river", "flows", "sea", "norway"}
    assert topics(texts[:3]) == []


def test_labels_stand_on_the_overview_with_their_intervals(library: Path, tmp_path: Path) -> None:
    asyncio.run(view_world.generated(library, tmp_path / "own", seeds=6))
    save(tmp_path / "own", LabelShares({"inference": wilson(3, 4), "calculation": wilson(0, 4)}, {}, {}, 1))
    page = TestClient(make_app(Site([tmp_path / "own"], "ann")), base_url="http://localhost").get("/r/own/").text
    assert '<td>inference</td><td class="n">75 [30, 95]</td><td class="n">3</td><td class="n">4</td>' in page
    assert "Strategies of right attempts" in page
