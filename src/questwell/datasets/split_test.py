from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from questwell.datasets.conftest import MakeItem
from questwell.datasets.split import components, documents, parse_shares, split
from questwell.errors import ConfigError
from questwell.types.dataset import Item

evidence = st.lists(st.sets(st.integers(0, 40), min_size=1, max_size=4), min_size=1, max_size=40)

DEFAULT = {"train": 0.8, "dev": 0.1, "test": 0.1}


def build(make_item: MakeItem, found: list[set[int]]) -> list[Item]:
    return [make_item(n, documents=tuple(f"d{d}" for d in sorted(names))) for n, names in enumerate(found)]


@given(evidence)
@settings(deadline=None)
def test_components_are_the_smallest_groups_that_share_nothing(make_item: MakeItem, found: list[set[int]]) -> None:
    items = build(make_item, found)
    groups = [[items[at] for at in group] for group in components(items)]
    assert sorted(item.id for group in groups for item in group) == [item.id for item in items]
    together = [set[str]().union(*map(documents, group)) for group in groups]
    assert all(not a & b for a, b in combinations(together, 2))
    for group in groups:  # within a group everything is reached from the first item, by brute force
        reached, before = {group[0].id}, 0
        while len(reached) != before:
            before = len(reached)
            reached |= {b.id for a in group if a.id in reached for b in group if documents(a) & documents(b)}
        assert reached == {item.id for item in group}
    assert [len(group) for group in groups] == sorted(map(len, groups), reverse=True)


@given(evidence, st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_no_document_is_in_two_splits_and_none_is_lost(make_item: MakeItem, found: list[set[int]], seed: int) -> None:
    items = build(make_item, found)
    try:
        parts = split(items, DEFAULT, seed=seed)
    except ConfigError:
        assert len(components(items)) < len(DEFAULT)  # the only excuse
        return
    assert sorted(item.id for part in parts.values() for item in part) == [item.id for item in items]
    together = [set[str]().union(*map(documents, part)) for part in parts.values()]
    assert all(not a & b for a, b in combinations(together, 2))
    again = split(items, DEFAULT, seed=seed)
    assert {name: list(part) for name, part in again.items()} == {name: list(part) for name, part in parts.items()}
    for part in parts.values():
        assert [item.id for item in part] == sorted(item.id for item in part)


def test_shares_are_met_when_nothing_is_shared(make_item: MakeItem) -> None:
    parts = split([make_item(n) for n in range(100)], DEFAULT)
    assert {name: len(part) for name, part in parts.items()} == {"train": 80, "dev": 10, "test": 10}
    other = split([make_item(n) for n in range(100)], DEFAULT, seed=1)
    assert {item.id for item in other["test"]} != {item.id for item in parts["test"]}


def test_the_seeds_document_counts_though_it_is_no_evidence(make_item: MakeItem) -> None:
    items = [make_item(0, documents=("a",)), make_item(1, documents=("b",), seed_passage_id="a#7")]
    assert len(components(items)) == 1


def test_equal_ids_of_two_corpora_are_two_documents(make_item: MakeItem) -> None:
    items = [make_item(0, documents=("a",)), make_item(1, documents=("a",), corpus="other")]
    assert len(components(items)) == 2


def test_a_split_that_would_be_empty_is_refused(make_item: MakeItem) -> None:
    with pytest.raises(ConfigError, match="would be empty"):
        split([make_item(n, documents=("hub", f"d{n}")) for n in range(50)], DEFAULT)


def test_shares_are_read_and_scaled() -> None:
    assert parse_shares("train:9, test:1") == {"train": 0.9, "test": 0.1}
    for wrong in ("", "train", "train:0", "train:-1", "a:1,a:2", "../x:1", "train:nan", "train:inf"):
        with pytest.raises(ConfigError, match="expected names with shares"):
            parse_shares(wrong)
