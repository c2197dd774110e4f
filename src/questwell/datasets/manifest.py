"""The manifest of a dataset: its runs, dropped items with reasons, files with hashes, licences and cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from questwell.types.usage import Usage


@dataclass(frozen=True, slots=True)
class SourceRun:
    """A run that items came from."""

    run_id: str
    corpus: str
    index_snapshot: str
    proposer_model: str
    solver_model: str
    judge_model: str
    prompts: str
    """Hash of the prompt files."""
    questwell: str
    """Version that started the run."""
    candidates: int
    """Number of seeds played."""
    accepted: int
    rejected: Mapping[str, int]
    """Number of rejected seeds by reason."""
    usage: Usage
    """Tokens and cost of the whole run, rejected seeds included."""
    retriever: str = ""
    """The retriever of its agents; empty in manifests of older versions."""
    rules: Mapping[str, str] = field(default_factory=dict[str, str])
    """The config keys of the run that decide what is accepted."""


@dataclass(frozen=True, slots=True)
class Example:
    """An example item."""

    question: str
    answer: str
    difficulty: int
    solve_rate: float


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Numbers of items and documents in a split."""

    items: int
    documents: int
    """Number of evidence documents; none is in another split."""
    by_difficulty: Mapping[str, int]
    by_answer_type: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class File:
    """A file of the dataset."""

    path: str
    """Path, relative to the dataset's folder."""
    rows: int | None
    """Number of rows; None for files without rows."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole manifest, as in `manifest.json`."""

    name: str
    canary: str
    """A string to search training data for; it depends on the items only."""
    created: str
    """Time of creation, ISO 8601, UTC."""
    questwell: str
    sources: Sequence[SourceRun]
    licences: Mapping[str, int]
    """Items by licence of their evidence; `unknown` where the corpus states none."""
    splits: Mapping[str, SplitCounts]
    largest_component: int
    """Size of the largest group of items that share evidence, directly or through others; it cannot be split."""
    dropped: Mapping[str, int]
    """Number of dropped items by reason; each is a line of `dropped.jsonl`."""
    overlaps: Mapping[str, int]
    """Number of overlaps by benchmark; each is a line of `overlaps.jsonl`."""
    benchmarks: Mapping[str, int]
    """Number of questions that were compared, by benchmark; a benchmark that is not listed was not compared."""
    usage: Usage
    """Tokens and cost of all runs together; a sum with an unknown part is unknown."""
    settings: Mapping[str, object]
    """The resolved config of the dataset."""
    files: Sequence[File]
    reviews: Mapping[str, int] = field(default_factory=dict[str, int])
    """Number of items by review decision; empty if nothing was reviewed."""
    certificates: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    """Number of items by outcome, for each gate that ran on any item; `not asked` counts the other items."""
    languages: Sequence[str] = ()
    """ISO 639-1 codes of the questions' languages; empty: not known."""
    samples: Sequence[Example] = ()
    """Example items, from splits that are not sealed."""
    sealed: Sequence[str] = ()
    """Splits that are only written obfuscated, as `sealed/SPLIT.csv`."""


def total(usages: Sequence[Usage]) -> Usage:
    """Return the sum of `usages`; a field that is None in one of them is None in the sum."""

    def add(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) if len(known) == len(values) else None

    prompt, completion = (add([u.prompt_tokens for u in usages]), add([u.completion_tokens for u in usages]))
    return Usage(
        calls=sum(u.calls for u in usages),
        prompt_tokens=None if prompt is None else int(prompt),
        completion_tokens=None if completion is None else int(completion),
        cost_usd=add([u.cost_usd for u in usages]),
    )
