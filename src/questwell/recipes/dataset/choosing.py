"""Chooses the items of a dataset and divides them into splits: filters, duplicates, overlaps, splits."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from questwell.datasets.decontaminate import Overlap, overlaps
from questwell.datasets.dedup import Duplicate, deduplicate
from questwell.datasets.filters import Dropped, choose
from questwell.datasets.picked import Picked
from questwell.datasets.split import components, documents, documents_of, parse_shares, split, thin
from questwell.errors import BenchmarkError, ConfigError, StoreError
from questwell.evaluation.records import records
from questwell.recipes.corpus.embedders import connect_embedder
from questwell.recipes.dataset.config import DatasetConfig
from questwell.types.dataset import Item
from questwell.types.evaluation import Question


@dataclass(frozen=True, slots=True)
class Parts:
    """The content of a dataset before it is written."""

    splits: dict[str, Picked[Item]]
    dropped: list[Dropped]
    overlaps: list[Overlap]
    benchmarks: dict[str, int]
    largest_component: int


def documents_in(files: Sequence[Path]) -> dict[str, str]:
    """Return the documents behind the items of other datasets, each with the file that names it."""
    taken: dict[str, str] = {}
    for path in files:
        for place, record in records(path):
            try:
                named = documents_of(record["corpus"], record["evidence_document_ids"], record["seed_passage_id"])
            except (KeyError, TypeError, AttributeError) as error:
                raise BenchmarkError(
                    f"--apart-from: {place} is not a Questwell item ({type(error).__name__}: {error}); "
                    "give files such as DATASET/data/test.parquet"
                ) from error
            taken |= dict.fromkeys(named, "/".join(path.parts[-3:]))
    return taken


def choose_parts(
    items: Picked[Item],
    out_by_review: Sequence[Dropped],
    questions: Sequence[Question],
    taken: dict[str, str],
    config: DatasetConfig,
) -> Parts:
    """Filter `items` and divide them into splits.

    Args:
        items: all items of the runs.
        out_by_review: items that reviews exclude.
        questions: questions of the benchmarks to compare with.
        taken: documents that no item may share, each with the file that names it.
        config: the config.

    Raises:
        StoreError: no item is left.
        ConfigError: a split would be empty, or one is named that does not exist.
    """
    chosen, dropped = choose(items, config.wanted())
    dropped = [*out_by_review, *dropped]
    if taken:
        chosen, shared = _apart(chosen, taken)
        dropped += shared
    kept, duplicates = deduplicate(chosen, threshold=config.near_duplicates or None)
    dropped += [Dropped(d.item_id, "duplicate", _of(d)) for d in duplicates]
    found: list[Overlap] = []
    if questions:
        found = [*overlaps(kept, questions, words=config.ngram), *_in_meaning(kept, questions, config)]
    if config.drop_overlaps and found:
        touched = {overlap.item_id: overlap for overlap in reversed(found)}
        dropped += [
            Dropped(name, "contaminated", f"{overlap.benchmark} {overlap.question_id}: {overlap.sign}")
            for name, overlap in touched.items()
        ]
        kept = Picked(kept, (at for at, item in enumerate(kept) if item.id not in touched))
    if not kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(d.reason for d in dropped).items())
        raise StoreError(f"no item is left ({reasons or 'the runs accepted none'}); questwell status RUN says why")
    parted = split(kept, parse_shares(config.split), seed=config.seed)
    for key, named in (("at_most", set(config.counts)), ("sealed", set(config.sealed))):
        if unknown := named - parted.keys():
            raise ConfigError(f"{key}: there is no split {min(unknown)!r}; there are {', '.join(parted)}")
    for name, count in config.counts.items():
        few = thin(parted[name], count, seed=config.seed)
        left = set(few.places)
        surplus = Picked(parted[name].of, (at for at in parted[name].places if at not in left))
        dropped += [Dropped(item.id, "surplus", f"{name} holds {count}") for item in surplus]
        parted[name] = few
    return Parts(
        splits=parted,
        dropped=dropped,
        overlaps=found,
        benchmarks=dict(Counter(question.benchmark for question in questions)),
        largest_component=len(components(kept)[0]),
    )


def _apart(items: Picked[Item], taken: dict[str, str]) -> tuple[Picked[Item], list[Dropped]]:
    """Drop the items that share a document with `taken`, which names its file."""
    kept: list[int] = []
    dropped: list[Dropped] = []
    for at, item in enumerate(items):
        if shared := documents(item) & taken.keys():
            dropped.append(Dropped(item.id, "shares_evidence", f"with an item of {taken[min(shared)]}"))
        else:
            kept.append(at)
    return Picked(items, kept), dropped


def _in_meaning(items: Picked[Item], questions: Sequence[Question], config: DatasetConfig) -> list[Overlap]:
    """Find overlaps by vectors, if requested."""
    if config.meaning is None:
        return []
    embedder = connect_embedder(config.embedder)  # raises with the name of a missing extra
    from questwell.datasets.meaning import overlaps_in_meaning

    async def whole(threshold: float) -> list[Overlap]:
        async with aclosing(embedder):
            return await overlaps_in_meaning(items, questions, embedder, threshold)

    return asyncio.run(whole(config.meaning))


def _of(duplicate: Duplicate) -> str:
    return f"of {duplicate.of}, similarity {duplicate.similarity:.2f}"
