"""What a dataset is made of: its runs, what was dropped and why, files with their hashes, licences, cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from questwell.types.dataset import Item, Usage
from questwell.types.gates import Gate


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
    """Seeds played."""
    accepted: int
    rejected: Mapping[str, int]
    """By reason."""
    usage: Usage
    """Of the whole run, rejected seeds included."""
    retriever: str = ""
    """What its agents searched; empty in manifests of older versions."""
    rules: Mapping[str, str] = field(default_factory=dict[str, str])
    """How it was played: the keys of its config that decide what is accepted."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An item to show."""

    question: str
    answer: str
    difficulty: int
    solve_rate: float


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Numbers of items and documents in a split."""

    items: int
    documents: int
    """Evidence documents; none is in another split."""
    by_difficulty: Mapping[str, int]
    by_answer_type: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class File:
    """A file of the dataset."""

    path: str
    """From the dataset's folder."""
    rows: int | None
    """None where rows mean nothing."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of it; `manifest.json`."""

    name: str
    canary: str
    """A string to search training data for; it depends on the items only."""
    created: str
    """ISO 8601, UTC."""
    questwell: str
    sources: Sequence[SourceRun]
    licences: Mapping[str, int]
    """Items by licence of their evidence; `unknown` where the corpus states none."""
    splits: Mapping[str, SplitCounts]
    largest_component: int
    """Items that share evidence directly or through others, the largest group: it cannot be split."""
    dropped: Mapping[str, int]
    """By reason; each is a line of `dropped.jsonl`."""
    overlaps: Mapping[str, int]
    """Overlaps found by benchmark; each is a line of `overlaps.jsonl`."""
    benchmarks: Mapping[str, int]
    """Questions that were looked for, by benchmark; a benchmark that is not here was not looked for."""
    usage: Usage
    """Of all runs together; a sum over what is not known is not known."""
    settings: Mapping[str, object]
    """The resolved config."""
    files: Sequence[File]
    reviews: Mapping[str, int] = field(default_factory=dict[str, int])
    """Items by what a person decided about them; empty: nobody reviewed any."""
    certificates: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    """Of each gate that was asked of any item: items by what it found; `not asked` of the others."""
    languages: Sequence[str] = ()
    """ISO 639-1 codes of the questions' languages; empty: not known."""
    samples: Sequence[Sample] = ()
    """Items to show, of splits that are not sealed."""
    sealed: Sequence[str] = ()
    """Splits that are only written obfuscated, as `sealed/SPLIT.csv`."""


def counts(items: Sequence[Item], documents: int) -> SplitCounts:
    """What `items` are, counted."""
    difficulty = Counter(item.difficulty for item in items)
    return SplitCounts(
        items=len(items),
        documents=documents,
        by_difficulty={str(steps): difficulty[steps] for steps in sorted(difficulty)},
        by_answer_type=dict(sorted(Counter(str(item.answer_type) for item in items).items())),
    )


def samples(items: Sequence[Item], most: int = 3) -> list[Sample]:
    """Items to show, of different difficulties as far as there are any; the same for the same items."""
    groups: dict[int, list[Item]] = {}
    for item in sorted(items, key=lambda one: one.id):
        groups.setdefault(item.difficulty, []).append(item)
    rows = sorted(groups.items())
    taken = [found[at] for at in range(most) for _, found in rows if at < len(found)][:most]
    return [Sample(one.question, one.answer, one.difficulty, one.solve_rate) for one in taken]


def certificates(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """Items by what each gate found of them, for the gates that were asked at all."""
    found: dict[str, dict[str, int]] = {}
    for gate in Gate:
        said = [next((r.outcome.value for r in item.gates if r.gate is gate), "not asked") for item in items]
        if set(said) - {"not asked"}:
            found[gate.value] = dict(Counter(said).most_common())
    return found


def licences(items: Sequence[Item]) -> dict[str, int]:
    """Items by licence; an item of several counts for each."""
    found = Counter(name for item in items for name in (item.licences or ("unknown",)))
    return dict(sorted(found.items()))


def total(usages: Sequence[Usage]) -> Usage:
    """The sum; None stays None."""

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
