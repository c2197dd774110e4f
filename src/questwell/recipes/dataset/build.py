"""Implements `questwell dataset`: turns runs into a folder with splits, exports, a manifest and a card.

The folder is written atomically. The same runs and config give the same files, except for the date in the manifest.
Items are kept in a temporary file meanwhile; what each has in memory is its place, and a few hashes and names.
"""

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from uuid import NAMESPACE_URL, UUID

from pydantic import TypeAdapter

from questwell.datasets.card import card
from questwell.datasets.census import Census
from questwell.datasets.croissant import croissant
from questwell.datasets.demonstrations import SolvedItem
from questwell.datasets.filters import Dropped
from questwell.datasets.manifest import Manifest, SourceRun, total
from questwell.datasets.picked import Picked
from questwell.datasets.qrels import corpus_rows, query_rows
from questwell.errors import StoreError
from questwell.evaluation.benchmarks import load, parse_benchmark
from questwell.recipes.dataset.choosing import Parts, choose_parts, documents_in
from questwell.recipes.dataset.config import DatasetConfig, Export
from questwell.recipes.dataset.item_file import ItemFile
from questwell.recipes.dataset.writing import Writer
from questwell.recipes.reports.funnel import funnel_of
from questwell.recipes.reports.items import Chosen, Policy, each, retriever_of
from questwell.recipes.runs.description import config_of, info_of
from questwell.store.reader import RunReader
from questwell.types.dataset import Item
from questwell.version import __version__

_MANIFEST = TypeAdapter(Manifest)
_RULES = (
    *("variant", "steps", "mix", "kinds", "attempts", "rounds", "early_stop", "accept", "band", "min_difficulty"),
    *("unscored_is_wrong", "last_round_takes_correct", "gates", "solver_turns", "solver_searches", "top_k"),
    *("temperature", "seed"),
)
"""Config keys of a run that its dataset records."""
CROISSANT = "croissant.json"
PLACES = ".sources.json"
"""Hidden file with the location of each run on this machine, by id; `push` reads it but never uploads it."""


def build(runs: Sequence[Path], out: Path, config: DatasetConfig) -> Manifest:
    """Build the dataset of `runs` in the new folder `out`.

    Raises:
        StoreError: a run cannot be read, no item is left, or `out` already exists or cannot be written.
        BenchmarkError: a benchmark or an --apart-from file cannot be read.
        ConfigError: a split would be empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{str(out)!r} already exists; choose another --out")
    with _fresh(out) as fresh, ItemFile(fresh / "items") as file:
        found, out_by_review, sources = _gather(runs, Policy(config.reviewed, config.edited), file)
        questions = [question for text in config.benchmarks for question in load(parse_benchmark(text)).questions]
        parts = choose_parts(found, out_by_review, questions, documents_in(config.apart_from), config)
        folder = fresh / out.name
        try:
            manifest = _write(folder, out.name, parts, file, sources, config)
            places = {source.run_id: str(run.resolve()) for source, run in zip(sources, runs, strict=True)}
            (folder / PLACES).write_text(json.dumps(places, indent=1) + "\n", encoding="utf-8")
            if out.exists():
                out.rmdir()
            shutil.move(folder, out)
        except OSError as error:
            raise _unwritable(out, error) from error
    return manifest


@contextmanager
def _fresh(out: Path) -> Generator[Path]:
    """Return a temporary folder next to `out`."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        fresh = tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.")
    except OSError as error:
        raise _unwritable(out, error) from error
    with fresh as folder:
        yield Path(folder)


def _unwritable(out: Path, error: OSError) -> StoreError:
    return StoreError(f"the dataset {str(out)!r} cannot be written: {error}")


def write_croissant(path: Path, manifest: Manifest, url: str = "README.md") -> None:
    """Write the dataset's Croissant document; `url` is the address of its page."""
    path.write_text(json.dumps(croissant(manifest, url), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of the dataset in `folder`; raises StoreError if it is missing or cannot be read."""
    try:
        return _MANIFEST.validate_json((folder / "manifest.json").read_bytes())
    except FileNotFoundError:
        raise StoreError(
            f"{str(folder)!r} is not a dataset: it has no manifest.json; questwell dataset makes one"
        ) from None
    except (OSError, ValueError) as error:
        raise StoreError(f"the manifest of the dataset {str(folder)!r} cannot be read: {error}") from error


def _gather(
    runs: Sequence[Path], policy: Policy, file: ItemFile
) -> tuple[Picked[Item], list[Dropped], list[SourceRun]]:
    """Add the items of `runs` to `file`; return them, the items that reviews exclude, and the runs' descriptions.

    If an item is in two of the runs, the last one counts.
    """
    places: dict[str, int] = {}
    dropped: list[Dropped] = []
    sources: list[SourceRun] = []
    for run in runs:
        for one in each(run, policy):
            if isinstance(one, Chosen):
                places[one.item.id] = file.add(SolvedItem(one.item, one.solutions))
            else:
                dropped.append(Dropped(one.id, "review", one.reason))
        sources.append(_source(run))
    file.complete()
    return Picked(file.items, places.values()), dropped, sources


def _source(run: Path) -> SourceRun:
    with RunReader(run) as reader, reader.snapshot():
        info = info_of(reader)
        stands = funnel_of(reader)
        made_with = info.fingerprint
        return SourceRun(
            run_id=info.run_id,
            corpus=Path(str(config_of(info)["corpus"])).name,
            index_snapshot=made_with["index snapshot"],
            proposer_model=made_with["proposer model"],
            solver_model=made_with["solver model"],
            judge_model=made_with["judge model"],
            prompts=made_with["prompts"],
            questwell=info.questwell,
            candidates=stands.candidates,
            accepted=stands.accepted,
            rejected={reason.value: count for reason, count in stands.rejected.items()},
            usage=reader.usage(),
            retriever=retriever_of(info),
            rules=_rules(config_of(info)),
        )


def _rules(config: Mapping[str, object]) -> dict[str, str]:
    """Return the run's config keys that determine what was requested and accepted, in a fixed order."""
    return {key: str(config[key]) for key in _RULES if config.get(key) not in (None, [], "")}


def _write(
    folder: Path, name: str, parts: Parts, file: ItemFile, sources: Sequence[SourceRun], config: DatasetConfig
) -> Manifest:
    """Write everything to `folder`, the manifest last."""
    writer = Writer(folder, config)
    canary = _canary(parts.splits)
    census = Census(parts.splits, config.sealed, detect=not config.language)
    hidden = set[str]()
    for split_name, items in parts.splits.items():
        for item in items:
            census.add(split_name, item)
            if split_name in config.sealed and parts.overlaps:
                hidden.add(item.id)
        if split_name in config.sealed:
            writer.sealed(split_name, items, canary)
        else:
            writer.split(split_name, items, file.with_solutions(items))
    if Export.BEIR in config.exports:
        opened = [items for split_name, items in parts.splits.items() if split_name not in config.sealed]
        writer.lines("beir/corpus.jsonl", corpus_rows(chain.from_iterable(opened)))
        writer.lines("beir/queries.jsonl", query_rows(chain.from_iterable(opened)))
    writer.lines("dropped.jsonl", map(asdict, parts.dropped))
    shown = (replace(one, detail="") if one.item_id in hidden else one for one in parts.overlaps)
    writer.lines("overlaps.jsonl", map(asdict, shown))
    manifest = Manifest(
        name=name,
        canary=canary,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        questwell=__version__,
        sources=sources,
        licences=census.licences(),
        splits=census.splits(),
        largest_component=parts.largest_component,
        dropped=dict(sorted(Counter(dropped.reason for dropped in parts.dropped).items())),
        overlaps=dict(sorted(Counter(overlap.benchmark for overlap in parts.overlaps).items())),
        benchmarks=parts.benchmarks,
        usage=total([source.usage for source in sources]),
        settings={
            **config.model_dump(mode="json"),
            "benchmarks": sorted(parts.benchmarks),
            "apart_from": ["/".join(path.parts[-3:]) for path in config.apart_from],
            "prompts": writer.hash,
        },
        files=writer.files,
        reviews=census.reviews(),
        certificates=census.certificates(),
        languages=config.language or census.languages(),
        samples=census.examples(),
        sealed=[name for name in parts.splits if name in config.sealed],
    )
    (folder / "README.md").write_text(card(manifest), encoding="utf-8")
    write_croissant(folder / CROISSANT, manifest)
    (folder / "manifest.json").write_bytes(_MANIFEST.dump_json(manifest, indent=1) + b"\n")
    return manifest


def _canary(splits: Mapping[str, Picked[Item]]) -> str:
    """Return a string that depends on ids, questions and answers: `uuid5` of their sorted lines, hashed one by one."""
    whole = next(iter(splits.values())).of
    places = sorted((f"{whole[at].id}\t", at) for items in splits.values() for at in items.places)
    digest = hashlib.sha1(NAMESPACE_URL.bytes, usedforsecurity=False)
    for number, (start, at) in enumerate(places):
        item = whole[at]
        digest.update(f"{chr(10) * (number > 0)}{start}{item.question}\t{item.answer}".encode())
    return f"questwell canary {UUID(bytes=digest.digest()[:16], version=5)}"
