"""Reads the questions that a recheck tries: the edited items of a run, or questions in a file."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from questwell.errors import BenchmarkError, ConfigError, StoreError
from questwell.evaluation.reading import is_hollow, texts
from questwell.evaluation.records import records
from questwell.recipes.runs.description import info_of
from questwell.scoring.kinds import type_of
from questwell.store.reader import RunReader
from questwell.store.reviews import read_reviews
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType, Proposal, Seed
from questwell.types.review import Decision, Review, in_force, pair_digest
from questwell.types.trajectory import Role, StopReason, Style, Trajectory

_NOTHING = Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.FINISHED)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question to try."""

    seed: Seed
    proposal: Proposal
    wanted: bool
    """Whether this is the current edit; False if another decision has replaced it."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The questions that a recheck tries."""

    of: str
    """The run's id, or the file's name with a digest of its questions; the same on a resume."""
    questions: tuple[Candidate, ...]


def read_candidates(source: Path, random_seed: int) -> Candidates:
    """Read the edited items of a run, or a JSONL or parquet file with `question`, `answer`, `aliases`, `target`.

    Args:
        source: folder of the run, or the file.
        random_seed: seed for attempts at a file's questions; questions of a run keep their own seeds.

    Raises:
        BenchmarkError: the file cannot be read, or a row has no question or answer.
        ConfigError: no item of the run was edited.
        StoreError: there is no run.
    """
    return _of_run(source) if source.is_dir() else _of_file(source, random_seed)


def _of_run(folder: Path) -> Candidates:
    edits = [entry for entry in read_reviews(folder) if entry.decision is Decision.EDIT]
    if not edits:
        raise ConfigError(f"no item of {str(folder)!r} was edited: edit items in questwell view {folder}")
    with RunReader(folder) as run, run.snapshot():
        info = info_of(run)
        found = [_edited(run, entry, index) for index, entry in enumerate(each_once(edits))]
    force = {kept.id for kept in _in_force(folder)}
    known = {pair_digest(one.question, one.answer, one.aliases) for one in edits if one.id in force}
    return Candidates(info.run_id, tuple(replace(one, wanted=_digest(one.proposal) in known) for one in found))


def _of_file(path: Path, random_seed: int) -> Candidates:
    candidates: list[Candidate] = []
    for place, record in records(path):
        question, target = record.get("question"), record.get("target")
        answers = [text for text in texts(record.get("answer")) if text.strip()]
        if not isinstance(question, str) or not question.strip() or not answers:
            raise BenchmarkError(f"{place}: question and answer must be non-empty text")
        answer, *also = answers
        steps = None if is_hollow(target) else next(texts(target), "")
        if steps is not None and not steps.isdecimal():
            raise BenchmarkError(f"{place}: target must be a number of search steps, not {target!r}")
        index = len(candidates)
        kind = type_of(answer, AnswerType.ENTITY)
        start = Passage(f"row-{index}", "", "", f"row-{index}")
        seed = Seed(index, start, None if steps is None else int(steps), kind, random_seed=random_seed)
        others = (*also, *(text for text in texts(record.get("aliases")) if text.strip()))
        candidates.append(Candidate(seed, Proposal(question, answer, others, (), (), _NOTHING), wanted=True))
    if not candidates:
        raise BenchmarkError(f"{path.name} contains no question")
    content = "".join(_digest(one.proposal) for one in candidates)
    return Candidates(f"{path.name} {hashlib.sha256(content.encode()).hexdigest()[:12]}", tuple(candidates))


def each_once(edits: Sequence[Review]) -> list[Review]:
    """Return the first edit to each question and answer of a seed. Entries are only added, so positions are stable."""
    found: dict[tuple[str, str], Review] = {}
    for entry in edits:
        found.setdefault((entry.seed, pair_digest(entry.question, entry.answer, entry.aliases)), entry)
    return list(found.values())


def _in_force(folder: Path) -> list[Review]:
    by_seed: dict[str, list[Review]] = {}
    for entry in read_reviews(folder):
        by_seed.setdefault(entry.seed, []).append(entry)
    decisions = (in_force(entries) for entries in by_seed.values())
    return [one for one in decisions if one is not None and one.decision is Decision.EDIT]


def _edited(run: RunReader, entry: Review, index: int) -> Candidate:
    outcome = run.outcome(int(entry.seed[1:]))
    if outcome is None or not outcome.rounds:
        raise StoreError(f"{entry.seed} was edited, but the run has no question for it")
    last = outcome.rounds[-1].proposal
    worked_out = last.derivation if entry.answer == last.answer else None  # aliases do not apply to another answer
    proposal = replace(last, question=entry.question, answer=entry.answer, aliases=entry.aliases, derivation=worked_out)
    return Candidate(replace(outcome.seed, index=index), proposal, wanted=True)


def _digest(proposal: Proposal) -> str:
    return pair_digest(proposal.question, proposal.answer, proposal.aliases)
