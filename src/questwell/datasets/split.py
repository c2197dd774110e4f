"""Makes splits without common evidence: items that share a document, directly or through others, stay together."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from questwell.datasets.picked import Picked
from questwell.errors import ConfigError
from questwell.retrieval.corpora.passages import document_of
from questwell.text.lists import parse_named
from questwell.types.dataset import Item


def parse_counts(text: str) -> dict[str, int]:
    """Parse `train:100,test:50` as counts by split.

    Raises:
        ConfigError: it is not of that form.
    """
    counts = parse_named(text, int)
    if counts is None or not all(name.isidentifier() for name in counts):
        raise ConfigError(f"at_most = {text!r}: expected names with counts, such as train:1000,test:200")
    return counts


def parse_shares(text: str) -> dict[str, float]:
    """Parse `train:80,dev:10,test:10` as fractions by split that add up to 1.

    Raises:
        ConfigError: it is not of that form.
    """
    shares = parse_named(text, float)
    if shares is None or not all(name.isidentifier() for name in shares):
        raise ConfigError(f"split = {text!r}: expected names with shares, such as train:80,dev:10,test:10")
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}


def components(items: Sequence[Item]) -> list[list[int]]:
    """Return the positions of items in groups that share no document, largest first, then by first item."""
    parent = list(range(len(items)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    first_with: dict[str, int] = {}
    for at, item in enumerate(items):
        for document in documents(item):
            a, b = sorted((root(at), root(first_with.setdefault(document, at))))
            parent[b] = a
    groups: dict[int, list[int]] = defaultdict(list)
    for at in range(len(items)):
        groups[root(at)].append(at)
    return sorted(groups.values(), key=lambda group: -len(group))


def documents(item: Item) -> frozenset[str]:
    """Return the documents of an item's evidence and of its seed passage.

    Names include the corpus, so that equal ids in two corpora are different documents.
    """
    return documents_of(item.corpus, item.evidence_document_ids, item.seed_passage_id)


def documents_of(corpus: str, evidence_document_ids: Iterable[str], seed_passage_id: str) -> frozenset[str]:
    """Return the same as `documents`, from these fields of an item."""
    seed = document_of(seed_passage_id)
    return frozenset(f"{corpus}\0{name}" for name in (*evidence_document_ids, seed))


def split(items: Sequence[Item], shares: Mapping[str, float], *, seed: int = 0) -> dict[str, Picked[Item]]:
    """Return the items by split, in the order given; no evidence document is in two splits.

    Each group of connected items, largest first, goes to the split that is furthest below its share; groups of equal
    size are shuffled with `seed`. The shares are met as far as the groups allow.

    Raises:
        ConfigError: a split would be empty, because there are too few groups.
    """
    groups = components(items)
    random.Random(seed).shuffle(groups)
    groups.sort(key=len, reverse=True)
    dealt: dict[str, list[int]] = {name: [] for name in shares}
    for group in groups:
        name = min(dealt, key=lambda name: len(dealt[name]) / (shares[name] * len(items)))
        dealt[name].extend(group)
    if empty := [name for name, part in dealt.items() if not part]:
        raise ConfigError(
            f"split {' and '.join(empty)} would be empty: {len(items)} items share their evidence so that only "
            f"{len(groups)} groups can be told apart (largest {len(groups[0]) if groups else 0}); "
            "make more items, or ask for fewer splits"
        )
    return {name: Picked(items, sorted(part)) for name, part in dealt.items()}


def thin(items: Sequence[Item], count: int, *, seed: int = 0) -> Picked[Item]:
    """Return `count` items, drawn at random and kept in order; all of them if there are fewer."""
    drawn = random.Random(f"{seed}/thin").sample(range(len(items)), min(count, len(items)))
    return Picked(items, sorted(drawn))
