"""Implements `questwell dataset`: turns runs into a folder with splits, exports, a manifest and a card.

The folder is written atomically. The same runs and config give the same files, except for the date in the manifest.
"""

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from pydantic import TypeAdapter

from questwell.datasets.card import card
from questwell.datasets.croissant import croissant
from questwell.datasets.decontaminate import Overlap, overlaps
from questwell.datasets.dedup import Duplicate, deduplicate
from questwell.datasets.demonstrations import SolvedItem
from questwell.datasets.filters import Dropped, choose
from questwell.datasets.language import languages
from questwell.datasets.manifest import Manifest, SourceRun, certificates, counts, licences, samples, total
from questwell.datasets.qrels import corpus_rows, query_rows
from questwell.datasets.split import components, documents, documents_of, parse_shares, split, thin
from questwell.errors import BenchmarkError, ConfigError, StoreError
from questwell.evaluation.benchmarks import load, parse_benchmark
from questwell.evaluation.records import records
from questwell.recipes.corpus.embedders import connect_embedder
from questwell.recipes.dataset.config import DatasetConfig, Export
from questwell.recipes.dataset.writing import Writer
from questwell.recipes.reports.funnel import funnel_of
from questwell.recipes.reports.items import Policy, retriever_of
from questwell.recipes.reports.items import choose as choose_items
from questwell.recipes.runs.opening import config_of, info_of
from questwell.store.reader import RunReader
from questwell.types.dataset import Item
from questwell.types.evaluation import Question
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


@dataclass(frozen=True, slots=True)
class _Parts:
    """The content of a dataset before it is written."""

    splits: dict[str, list[SolvedItem]]
    dropped: list[Dropped]
    overlaps: list[Overlap]
    benchmarks: dict[str, int]
    largest_component: int

    @property
    def items(self) -> list[Item]:
        return [sample.item for samples in self.splits.values() for sample in samples]


def build(runs: Sequence[Path], out: Path, config: DatasetConfig) -> Manifest:
    """Build the dataset of `runs` in the new folder `out`.

    Raises:
        StoreError: a run cannot be read, no item is left, or `out` already exists or cannot be written.
        BenchmarkError: a benchmark or an --apart-from file cannot be read.
        ConfigError: a split would be empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{str(out)!r} already exists; choose another --out")
    gathered = [_gather(run, Policy(config.reviewed, config.edited)) for run in runs]
    samples = {sample.item.id: sample for found, _, _ in gathered for sample in found}
    out_by_review = [one for _, dropped, _ in gathered for one in dropped]
    questions = [question for text in config.benchmarks for question in load(parse_benchmark(text)).questions]
    parts = _parts(samples, out_by_review, questions, _documents_in(config.apart_from), config)
    name = out.name
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{name}.") as fresh:
            folder = Path(fresh) / name
            sources = [source for _, _, source in gathered]
            manifest = _write(folder, name, parts, sources, config)
            places = {source.run_id: str(run.resolve()) for source, run in zip(sources, runs, strict=True)}
            (folder / PLACES).write_text(json.dumps(places, indent=1) + "\n", encoding="utf-8")
            if out.exists():
                out.rmdir()
            shutil.move(folder, out)
    except OSError as error:
        raise StoreError(f"the dataset {str(out)!r} cannot be written: {error}") from error
    return manifest


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


def _gather(run: Path, policy: Policy) -> tuple[list[SolvedItem], list[Dropped], SourceRun]:
    """Return a run's items with their right attempts, the items that reviews exclude, and the run's description."""
    chosen, out = choose_items(run, policy)
    found = [SolvedItem(one.item, one.solutions) for one in chosen]
    with RunReader(run) as reader, reader.snapshot():
        info = info_of(reader)
        stands = funnel_of(reader)
        made_with = info.fingerprint
        source = SourceRun(
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
    return found, [Dropped(one.id, "review", one.reason) for one in out], source


def _rules(config: Mapping[str, object]) -> dict[str, str]:
    """Return the run's config keys that determine what was requested and accepted, in a fixed order."""
    return {key: str(config[key]) for key in _RULES if config.get(key) not in (None, [], "")}


def _documents_in(files: Sequence[Path]) -> dict[str, str]:
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


def _parts(
    samples: dict[str, SolvedItem],
    out_by_review: Sequence[Dropped],
    questions: Sequence[Question],
    taken: dict[str, str],
    config: DatasetConfig,
) -> _Parts:
    chosen, dropped = choose([sample.item for sample in samples.values()], config.wanted())
    dropped = [*out_by_review, *dropped]
    shared = {item.id: taken[name] for item in chosen for name in sorted(documents(item) & taken.keys(), reverse=True)}
    dropped += [Dropped(name, "shares_evidence", f"with an item of {path}") for name, path in shared.items()]
    chosen = [item for item in chosen if item.id not in shared]
    kept, duplicates = deduplicate(chosen, threshold=config.near_duplicates or None)
    dropped += [Dropped(d.item_id, "duplicate", _of(d)) for d in duplicates]
    found = [*overlaps(kept, questions, words=config.ngram), *_in_meaning(kept, questions, config)]
    if config.drop_overlaps:
        touched = {overlap.item_id: overlap for overlap in reversed(found)}
        dropped += [
            Dropped(name, "contaminated", f"{overlap.benchmark} {overlap.question_id}: {overlap.sign}")
            for name, overlap in touched.items()
        ]
        kept = [item for item in kept if item.id not in touched]
    if not kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(d.reason for d in dropped).items())
        raise StoreError(f"no item is left ({reasons or 'the runs accepted none'}); questwell status RUN says why")
    parted = split(kept, parse_shares(config.split), seed=config.seed)
    for key, named in (("at_most", set(config.counts)), ("sealed", set(config.sealed))):
        if unknown := named - parted.keys():
            raise ConfigError(f"{key}: there is no split {min(unknown)!r}; there are {', '.join(parted)}")
    for name, count in config.counts.items():
        few = thin(parted[name], count, seed=config.seed)
        left = {item.id for item in parted[name]} - {item.id for item in few}
        dropped += [Dropped(item.id, "surplus", f"{name} holds {count}") for item in parted[name] if item.id in left]
        parted[name] = few
    return _Parts(
        splits={name: [samples[item.id] for item in part] for name, part in parted.items()},
        dropped=dropped,
        overlaps=found,
        benchmarks=dict(Counter(question.benchmark for question in questions)),
        largest_component=len(components(kept)[0]),
    )


def _in_meaning(items: Sequence[Item], questions: Sequence[Question], config: DatasetConfig) -> list[Overlap]:
    """Find overlaps by vectors, if requested."""
    if config.meaning is None or not questions:
        return []
    embedder = connect_embedder(config.embedder)  # raises with the name of a missing extra
    from questwell.datasets.meaning import overlaps_in_meaning

    async def whole(threshold: float) -> list[Overlap]:
        async with aclosing(embedder):
            return await overlaps_in_meaning(items, questions, embedder, threshold)

    return asyncio.run(whole(config.meaning))


def _of(duplicate: Duplicate) -> str:
    return f"of {duplicate.of}, similarity {duplicate.similarity:.2f}"


def _write(folder: Path, name: str, parts: _Parts, sources: Sequence[SourceRun], config: DatasetConfig) -> Manifest:
    """Write everything to `folder`, the manifest last."""
    writer = Writer(folder, config)
    content = "\n".join(sorted(f"{item.id}\t{item.question}\t{item.answer}" for item in parts.items))
    canary = f"questwell canary {uuid5(NAMESPACE_URL, content)}"
    opened: list[Item] = []
    for split_name, solved in parts.splits.items():
        found = [one.item for one in solved]
        if split_name in config.sealed:
            writer.sealed(split_name, found, canary)
        else:
            writer.split(split_name, solved)
            opened += found
    if Export.BEIR in config.exports:
        writer.lines("beir/corpus.jsonl", corpus_rows(opened))
        writer.lines("beir/queries.jsonl", query_rows(opened))
    writer.lines("dropped.jsonl", [asdict(dropped) for dropped in parts.dropped])
    hidden = {item.id for item in parts.items} - {item.id for item in opened}
    shown = [replace(one, detail="") if one.item_id in hidden else one for one in parts.overlaps]
    writer.lines("overlaps.jsonl", [asdict(overlap) for overlap in shown])
    manifest = Manifest(
        name=name,
        canary=canary,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        questwell=__version__,
        sources=sources,
        licences=licences(parts.items),
        splits={
            name: counts(found := [one.item for one in solved], len(set[str]().union(*map(documents, found))))
            for name, solved in parts.splits.items()
        },
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
        reviews=dict(sorted(Counter(item.review for item in parts.items if item.review).items())),
        certificates=certificates(parts.items),
        languages=config.language or languages(item.question for item in parts.items),
        samples=samples(opened),
        sealed=[name for name in parts.splits if name in config.sealed],
    )
    (folder / "README.md").write_text(card(manifest), encoding="utf-8")
    write_croissant(folder / CROISSANT, manifest)
    (folder / "manifest.json").write_bytes(_MANIFEST.dump_json(manifest, indent=1) + b"\n")
    return manifest
