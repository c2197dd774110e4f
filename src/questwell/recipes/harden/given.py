"""Reads the questions that hardening starts from: a file that `evaluate` can read, or a run's accepted items."""

from dataclasses import dataclass, replace
from pathlib import Path

from questwell.errors import BenchmarkError, ConfigError
from questwell.evaluation.benchmarks import BenchmarkFile, load, parse_benchmark
from questwell.recipes.harden.config import HardenConfig
from questwell.recipes.runs.opening import digest, info_of
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


@dataclass(frozen=True, slots=True)
class Given:
    """The questions that a run of `harden` starts from."""

    questions: tuple[GivenQuestion, ...]
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
    found = _of_run(path, config) if path.is_dir() else _of_file(path, config)
    if not found:
        raise BenchmarkError(f"{config.source} contains no question to harden")
    texts = (text for one in found for text in _texts(one))
    return Given(tuple(found if config.seeds is None else found[: config.seeds]), digest(*texts))


def _texts(one: GivenQuestion) -> tuple[str, ...]:
    pair = one.proposal
    return one.seed.passage.id, pair.question, pair.answer, str(len(pair.aliases)), *pair.aliases


def _of_file(path: Path, config: HardenConfig) -> list[GivenQuestion]:
    named = config.source is not None and "=" in config.source and not path.exists()
    source = parse_benchmark(config.source or "") if named else BenchmarkFile("plain", path)
    found: list[GivenQuestion] = []
    for index, question in enumerate(load(source).questions):
        answer, *aliases = question.answers
        kind = type_of(answer, AnswerType.ENTITY)
        start = Passage(question.id, "", "", question.id)
        seed = Seed(index, start, config.steps, kind, random_seed=config.seed)
        found.append(GivenQuestion(seed, Proposal(question.question, answer, tuple(aliases), (), (), _NOTHING)))
    return found


def _of_run(folder: Path, config: HardenConfig) -> list[GivenQuestion]:
    found: list[GivenQuestion] = []
    with RunReader(folder) as run, run.snapshot():
        info = info_of(run)
        for play in run.each_play():
            outcome = run.outcome(play.index) if play.status is PlayStatus.ACCEPTED else None
            if outcome is None:
                continue
            start = Passage(f"{info.run_id}-{play.seed_id}", "", "", outcome.seed.passage.document_id)
            seed = replace(outcome.seed, index=len(found), passage=start, target=config.steps, random_seed=config.seed)
            found.append(GivenQuestion(seed, outcome.rounds[-1].proposal))
    return found
