"""From a run to a file of items: JSONL or parquet, self-contained, written whole or not at all."""

import json
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter

from questwell.errors import ConfigError, StoreError
from questwell.recipes.dataset.parquet import read_parquet, write_parquet
from questwell.recipes.reports.status import config_of, info_of
from questwell.store.reader import RunReader
from questwell.store.records import Play, PlayStatus, RunInfo
from questwell.types.dataset import AttemptSummary, Item, Usage
from questwell.types.game import Accepted

_ITEM = TypeAdapter(Item)


class Format(StrEnum):
    """Of an exported file."""

    JSONL = "jsonl"
    PARQUET = "parquet"


def items(folder: Path) -> list[Item]:
    """The accepted items of the run in `folder`, in the order of seeds."""
    with RunReader(folder) as run, run.snapshot():
        info = info_of(run)
        usage = run.usage_by_seed()
        accepted = [play for play in run.plays() if play.status is PlayStatus.ACCEPTED]
        return [_item(_accepted(run, play), info, usage.get(play.seed_id, Usage())) for play in accepted]


def export(folder: Path, out: Path, format_: Format) -> int:
    """Items written to `out`, a count. The file appears whole or not at all.

    Raises:
        StoreError: the run has no accepted item, or `out` cannot be written.
    """
    found = items(folder)
    if not found:
        raise StoreError(f"the run in {str(folder)!r} has no accepted item to export; questwell status says why")
    try:
        with _whole(out) as path:
            if format_ is Format.JSONL:
                lines = (json.dumps(asdict(item), ensure_ascii=False) for item in found)
                path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            else:
                write_parquet(path, Item, found)
    except OSError as error:
        raise StoreError(f"{str(out)!r} cannot be written: {error}") from error
    return len(found)


def format_of(path: Path) -> Format:
    """The format that a file's name ends in.

    Raises:
        ConfigError: it ends in none.
    """
    try:
        return Format(path.suffix.removeprefix("."))
    except ValueError:
        raise ConfigError(f"{str(path)!r}: give a name that ends in .jsonl or .parquet, or --format") from None


def read_items(path: Path) -> list[Item]:
    """The items of an exported file; ConfigError as in `format_of`."""
    if format_of(path) is Format.PARQUET:
        return read_parquet(path, Item)
    with path.open(encoding="utf-8") as lines:
        return [_ITEM.validate_json(line) for line in lines]


def _accepted(run: RunReader, play: Play) -> Accepted:
    outcome = run.outcome(play.index)
    if not isinstance(outcome, Accepted):
        raise StoreError(f"the run file is inconsistent: {play.seed_id} is accepted and has no accepted outcome")
    return outcome


def _item(outcome: Accepted, info: RunInfo, usage: Usage) -> Item:
    seed, last = outcome.seed, outcome.rounds[-1]
    proposal, verdict = last.proposal, last.verdict
    if verdict.difficulty is None or verdict.solve_rate is None:
        raise StoreError(f"the run file is inconsistent: {seed.id} is accepted and was never solved")
    return Item(
        id=f"{info.run_id}-{seed.id}",
        question=proposal.question,
        answer=proposal.answer,
        aliases=proposal.aliases,
        answer_type=seed.answer_type,
        target_steps=seed.target,
        difficulty=verdict.difficulty,
        solve_rate=verdict.solve_rate,
        right=verdict.right,
        scored=verdict.scored,
        round=last.index,
        style=proposal.trajectory.style,
        seed_passage_id=seed.passage.id,
        evidence_ids=tuple(passage.id for passage in proposal.evidence),
        evidence_document_ids=tuple(passage.document_id for passage in proposal.evidence),
        evidence_titles=tuple(passage.title for passage in proposal.evidence),
        evidence_texts=tuple(passage.text for passage in proposal.evidence),
        steps=proposal.steps,
        attempts=tuple(
            AttemptSummary(attempt.judgement.label, attempt.trajectory.searches, attempt.trajectory.answer)
            for attempt in last.attempts
        ),
        licences=tuple(dict.fromkeys(passage.licence for passage in proposal.evidence if passage.licence)),
        corpus=Path(str(config_of(info)["corpus"])).name,
        index_snapshot=info.facts["index snapshot"],
        proposer_model=info.facts["proposer model"],
        solver_model=info.facts["solver model"],
        judge_model=info.facts["judge model"],
        prompts=info.facts["prompts"],
        run_id=info.run_id,
        usage=usage,
        gates=last.gates,
    )


@contextmanager
def _whole(out: Path) -> Generator[Path]:
    """A file to write, which then takes the place of `out` in one step; nothing is left when writing fails."""
    out.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    path = Path(name)
    try:
        yield path
        os.fsync(descriptor)
        path.chmod(0o644)
        path.replace(out)
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
