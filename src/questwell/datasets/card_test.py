import json
from dataclasses import replace

from questwell.datasets.card import card
from questwell.datasets.census import Census
from questwell.datasets.conftest import MakeItem
from questwell.datasets.manifest import Manifest, SourceRun, total
from questwell.datasets.qrels import beir_qrels, corpus_rows, query_rows, trec_id, trec_qrels
from questwell.types.usage import Usage

SOURCE = SourceRun(
    "run1", "b.jsonl", "snap", "m`<b>|x", "m", "m", "p", "0.1.0", 9, 4, {"too_easy": 5}, Usage(3, 10, 5, 0.5)
)


def manifest(make_item: MakeItem) -> Manifest:
    census = Census(("train", "test"))
    for n, split in enumerate(("train", "train", "test")):
        census.add(split, make_item(n, difficulty=2 + n))
    return Manifest(
        name="d",
        canary="questwell canary x",
        created="2026-11-20T00:00:00+00:00",
        questwell="0.1.0",
        sources=[SOURCE],
        licences=census.licences(),
        splits=census.splits(),
        largest_component=2,
        dropped={"duplicate": 1},
        overlaps={"musique": 2},
        benchmarks={"musique": 300},
        usage=total([SOURCE.usage, SOURCE.usage]),
        settings={},
        files=[],
    )


def test_a_card_says_what_the_manifest_says_and_its_front_matter_is_data(make_item: MakeItem) -> None:
    text = card(manifest(make_item))
    _, front, body = text.split("---\n", 2)
    values = {key: json.loads(value) for key, value in (line.split(": ", 1) for line in front.splitlines())}
    assert values["license"] == "cc0-1.0"
    assert [file["split"] for file in values["configs"][0]["data_files"]] == ["train", "test"]
    assert values["size_categories"] == ["n<1K"]
    for said in ("| train | 2 | 2 | 2: 1, 3: 1 |", "too_easy: 5", "$1.00", "30", "duplicate: 1", "musique: 2"):
        assert said in body
    assert "questwell canary x" in body


def test_nothing_in_a_name_can_end_its_code(make_item: MakeItem) -> None:
    text = card(manifest(make_item))
    assert "`m'<b>/x`" in text


def test_a_card_without_benchmarks_or_prices_says_so(make_item: MakeItem) -> None:
    plain = replace(manifest(make_item), benchmarks={}, overlaps={}, usage=Usage(3, None, None, None))
    text = card(plain)
    assert "was not looked for" in text
    assert "tokens unknown, cost unknown" in text


def test_licences_that_the_hub_has_no_name_for_or_that_are_mixed_are_other(make_item: MakeItem) -> None:
    for found in ({"unknown": 3}, {"GFDL-1.1-or-later": 1}, {"CC0-1.0": 1, "MIT": 2}, {"CC0-1.0": 1, "unknown": 1}):
        assert '"other"' in card(replace(manifest(make_item), licences=found)).split("---\n")[1]
    items = [make_item(0), make_item(1, licences=()), make_item(2, licences=("MIT", "CC0-1.0"))]
    census = Census(("train",))
    for item in items:
        census.add("train", item)
    assert census.licences() == {"CC0-1.0": 2, "MIT": 1, "unknown": 1}


def test_a_sum_over_what_is_not_known_is_not_known() -> None:
    assert total([Usage(1, 2, 3, 0.5), Usage(1, 2, 3, None)]) == Usage(2, 4, 6, None)
    assert total([Usage(1, None, 3, 0.5), Usage(1, 2, 3, 0.25)]) == Usage(2, None, 6, 0.75)
    assert total([]) == Usage(0, 0, 0, 0)


def test_ids_never_hold_what_would_end_a_column(make_item: MakeItem) -> None:
    item = make_item(0, documents=("a b\tc%",), id="r s")
    assert list(trec_qrels([item])) == ["r%20s 0 a%20b%09c%25#0 1\n"]
    assert next(beir_qrels([item])).split("\t") == ["r%20s", "a%20b%09c%25#0", "1\n"]
    assert [row["_id"] for row in (*corpus_rows([item]), *query_rows([item]))] == ["a%20b%09c%25#0", "r%20s"]
    assert trec_id("foldoc/mad-1#0") == "foldoc/mad-1#0"


def test_each_passage_is_in_the_corpus_once(make_item: MakeItem) -> None:
    items = [make_item(0, documents=("a", "b")), make_item(1, documents=("b",))]
    assert [row["_id"] for row in corpus_rows(items)] == ["a#0", "b#0"]
    assert len(list(trec_qrels(items))) == 3
