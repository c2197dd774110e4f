"""Reads the questions that hardening starts from: a file that `evaluate` can read, or a run's accepted items."""

from abc import abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

from questwell.errors import BenchmarkError, ConfigError, StoreError
from questwell.evaluation.benchmarks import BenchmarkFile, load, parse_benchmark
from questwell.recipes.harden.config import HardenConfig
from questwell.recipes.runs.description import info_of
from questwell.recipes.runs.opening import digest
from questwell.scoring.kinds import type_of
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType, Proposal, Seed
from questwell.types.trajectory import Role, StopReason, Style, Trajectory

_NOTHING = Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.FINISHED)


@dataclass(frozen=True, slots=True)
class GivenQuestion:
    """A question to harden."""

    seed: Seed
    proposal: Proposal
    """The question as given; without evidence if it comes from a file."""


class Questions(Sequence[GivenQuestion]):
    """The questions of a source, in order; each is made when it is asked for."""

    @abstractmethod
    def some(self, places: Iterable[int]) -> Iterator[GivenQuestion]:
        """Yield the questions at `places`, with only one of them in memory."""

    def __iter__(self) -> Iterator[GivenQuestion]:
        return self.some(range(len(self)))

    @overload
    def __getitem__(self, at: int) -> GivenQuestion: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[GivenQuestion]: ...
    def __getitem__(self, at: int | slice) -> GivenQuestion | Sequence[GivenQuestion]:
        places = range(len(self))[at]
        return next(self.some((places,))) if isinstance(places, int) else tuple(self.some(places))


@dataclass(frozen=True, slots=True)
class Given:
    """The questions that a run of `harden` starts from."""

    questions: Questions
    content: str
    """Digest of all questions in the source, including those not taken; a resume compares it."""


def read_given(config: HardenConfig) -> Given:
    """Read the questions that `config` names, in order.

    Raises:
        ConfigError: none are named, or the benchmark is unknown.
        BenchmarkError, StoreError: the file or the run cannot be read, or contains no question.
    """
    if config.source is None:
        raise ConfigError("say which questions to harden: questwell harden FILE, or a run with accepted items")
    path = Path(config.source).expanduser()
    found = _OfRun(path, config) if path.is_dir() else _OfFile(path, config)
    content = digest(text for one in found for text in _texts(one))
    if not found:
        raise BenchmarkError(f"{config.source} contains no question to harden")
    found.take(config.seeds)
    return Given(found, content)


def _texts(one: GivenQuestion) -> tuple[str, ...]:
    pair = one.proposal
    return one.seed.passage.id, pair.question, pair.answer, str(len(pair.aliases)), *pair.aliases


class _OfFile(Questions):
    """Questions of a file. Its texts are in memory, since not every layout can be read line by line."""

    def __init__(self, path: Path, config: HardenConfig) -> None:
        named = config.source is not None and "=" in config.source and not path.exists()
        source = parse_benchmark(config.source or "") if named else BenchmarkFile("plain", path)
        self._config = config
        self._found = load(source).questions

    def take(self, most: int | None) -> None:
        """Leave out all questions after the first `most`."""
        self._found = self._found[:most]

    def __len__(self) -> int:
        return len(self._found)

    def some(self, places: Iterable[int]) -> Iterator[GivenQuestion]:
        """See `Questions`."""
        for index in places:
            question = self._found[index]
            answer, *aliases = question.answers
            kind = type_of(answer, AnswerType.ENTITY)
            start = Passage(question.id, "", "", question.id)
            seed = Seed(index, start, self._config.steps, kind, random_seed=self._config.seed)
            yield GivenQuestion(seed, Proposal(question.question, answer, tuple(aliases), (), (), _NOTHING))


class _OfRun(Questions):
    """The accepted items of a run. In memory is only the number of the seed of each."""

    def __init__(self, folder: Path, config: HardenConfig) -> None:
        self._folder = folder
        self._config = config
        with RunReader(folder) as run, run.snapshot():
            self._run_id = info_of(run).run_id
            self._seeds = array("q", (play.index for play in run.each_play() if play.status is PlayStatus.ACCEPTED))

    def take(self, most: int | None) -> None:
        """Leave out all questions after the first `most`."""
        self._seeds = self._seeds[:most]

    def __len__(self) -> int:
        return len(self._seeds)

    def some(self, places: Iterable[int]) -> Iterator[GivenQuestion]:
        """See `Questions`."""
        config = self._config
        with RunReader(self._folder) as run:
            for index in places:
                outcome = run.outcome(self._seeds[index])
                if outcome is None:
                    raise StoreError(f"{str(self._folder)!r} was changed: it has no outcome for seed {index}")
                start = Passage(f"{self._run_id}-{outcome.seed.id}", "", "", outcome.seed.passage.document_id)
                seed = replace(outcome.seed, index=index, passage=start, target=config.steps, random_seed=config.seed)
                yield GivenQuestion(seed, outcome.rounds[-1].proposal)
