"""Benchmarks by name: reads the questions of their published files, all of them or a seeded sample.

No benchmark is shipped or downloaded: users supply the files, which have their own licences.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from questwell.errors import BenchmarkError, ConfigError
from questwell.evaluation.choices import LeftOutError
from questwell.evaluation.judged import judged_beside
from questwell.evaluation.layouts import LAYOUTS, NAMES, Fields, Layout, Skipped
from questwell.evaluation.records import Record, records
from questwell.types.evaluation import Question

FULL: Mapping[str, int] = {
    "musique": 2_417,
    "hotpotqa": 7_405,
    "2wiki": 12_576,
    "frames": 824,
    "bamboogle": 125,
    "nq": 3_610,
    "triviaqa": 11_313,
    "popqa": 14_267,
    "browsecomp": 1_266,
    "browsecomp-plus": 830,
    "simpleqa": 4_326,
}
"""Number of questions in published results (Search-R1, arXiv 2503.09516, table 2; FRAMES; BrowseComp).

A score over fewer questions is not comparable.
"""

SAMPLES: Mapping[str, int | None] = {
    "full": None,
    "ircot": 500,  # arXiv 2212.10509, section 4.1: 500 of each development set
    "quick": 50,
}
"""Number of questions by the name of a sample."""


@dataclass(frozen=True, slots=True)
class BenchmarkFile:
    """A benchmark and its file."""

    benchmark: str
    path: Path


@dataclass(frozen=True, slots=True)
class Loaded:
    """The contents of a file."""

    questions: tuple[Question, ...]
    skipped: Mapping[str, int]
    """Number of skipped records by reason."""


def parse_benchmark(text: str) -> BenchmarkFile:
    """Parse `NAME=FILE`, such as `musique=musique_ans_v1.0_dev.jsonl`; the name of an existing file means `plain=FILE`.

    Raises:
        ConfigError: `text` is neither, or no benchmark has that name.
    """
    if _is_file(text):
        return BenchmarkFile("plain", Path(text).expanduser())
    name, equals, path = text.partition("=")
    name = name.strip().lower().replace("_", "-")
    name = NAMES.get(name, name)
    if not equals or not path or name not in LAYOUTS:
        missing = "" if equals else "no such file; "
        raise ConfigError(
            f"benchmark = {text!r}: {missing}expected FILE or NAME=FILE, NAME one of {', '.join(LAYOUTS)}"
        )
    return BenchmarkFile(name, Path(path).expanduser())


def _is_file(text: str) -> bool:
    """Return whether `text` names an existing file, without a benchmark's name before it."""
    known = NAMES.keys() | LAYOUTS.keys()
    return text.partition("=")[0].strip().lower().replace("_", "-") not in known and Path(text).expanduser().is_file()


def load(source: BenchmarkFile, where: Mapping[str, str] | None = None) -> Loaded:
    """Read the questions of a file, in file order.

    Args:
        source: the benchmark and its file.
        where: values that a record's fields must have, as in {"split": "dev"}.

    Raises:
        BenchmarkError: the file cannot be read, a record is malformed, an id occurs twice, or no question is left.
    """
    layout = LAYOUTS[source.benchmark]
    questions: dict[str, Question] = {}
    skipped: Counter[str] = Counter()
    judged = judged_beside(source.path) if source.benchmark == "browsecomp-plus" else {}
    for number, (place, record) in enumerate(records(source.path)):
        if where and not _meets(record, where, place):
            skipped["not asked for"] += 1
            continue
        match _read(layout, record, place):
            case Skipped(reason):
                skipped[reason] += 1
            case Fields() as found:
                question = _question(found, source.benchmark, number, place)
                if not question.evidence and question.id in judged:
                    question = replace(question, evidence=judged[question.id])
                if question.id in questions:
                    raise BenchmarkError(f"{place}: a second question with the id {question.id!r}")
                questions[question.id] = question
    if not questions:
        why = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
        raise BenchmarkError(f"{source.path} holds no {source.benchmark} question{f' ({why})' if why else ''}")
    return Loaded(tuple(questions.values()), dict(skipped))


def sample(questions: Sequence[Question], size: int | None, seed: int, *, per_group: bool = False) -> list[Question]:
    """Return `size` questions, drawn without replacement and kept in order; all of them if there are fewer.

    A larger sample with the same seed contains the smaller one. `per_group` draws `size` questions of each group.
    """
    if size is None:
        return list(questions)
    groups: dict[str, list[int]] = defaultdict(list)
    for at, question in enumerate(questions):
        groups[question.group if per_group else ""].append(at)
    drawn: list[int] = []
    for group, members in groups.items():
        random.Random(f"{seed}/{group}").shuffle(members)
        drawn.extend(members[:size])
    return [questions[at] for at in sorted(drawn)]


def _meets(record: Record, where: Mapping[str, str], place: str) -> bool:
    for name, value in where.items():
        if name not in record:
            raise BenchmarkError(f"{place}: no field {name!r} to look for {value!r} in; there are {sorted(record)}")
        if str(record[name]) != value:
            return False
    return True


def _read(layout: Layout, record: Record, place: str) -> Fields | Skipped:
    try:
        return layout(record)
    except LeftOutError as error:
        return Skipped(str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchmarkError(
            f"{place} does not have the published layout ({type(error).__name__}: {error}); "
            f"it has {sorted(map(str, record))}"
        ) from error


def _question(found: Fields, benchmark: str, number: int, place: str) -> Question:
    answers = tuple(dict.fromkeys(text.strip() for text in found.answers if text.strip()))
    if not isinstance(found.question, str) or not found.question.strip() or not answers:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BenchmarkError(f"{place}: question or answer is empty; a test split without answers cannot be scored")
    return Question(
        found.id or f"{benchmark}-{number}", found.question.strip(), answers, benchmark, found.group, found.evidence
    )
