"""Behind `questwell recheck`: K attempts, the judge and the gates on questions that a person edited or somebody wrote.

What comes out is a run like any other, in a folder of its own: `show`, `status`, `view` and `export` read it, an
interrupted one goes on where it stopped, and no call is paid twice. The run that is rechecked stays as it is.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from questwell.errors import BenchmarkError, BudgetReached, ConfigError, StoreError
from questwell.evaluation.records import records
from questwell.games.sage import examine
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.loop import KIND
from questwell.recipes.generate.playing import played_with
from questwell.recipes.generate.setup import Setup, open_setup
from questwell.recipes.runs.budget import Budget, Stopped, refuse_unknown_prices
from questwell.recipes.runs.config import Values, resolve, resolve_saved
from questwell.recipes.runs.opening import Run, info_of
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.signals import stopping_on_signals
from questwell.scoring.answers import normalise
from questwell.scoring.kinds import type_of
from questwell.store.reader import RunReader
from questwell.store.records import WaveSeed
from questwell.store.reviews import read_reviews
from questwell.store.run import RunStore
from questwell.types.corpus import Passage
from questwell.types.game import Accepted, AnswerType, Proposal, Seed
from questwell.types.review import Decision, Review, in_force, pair_digest
from questwell.types.trajectory import Role, StopReason, Style, Trajectory

FOLDER = "recheck"
"""Of a run's folder: where its edited items are tried."""
_OF = "recheck of"
_NOTHING = Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.FINISHED)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question to try."""

    seed: Seed
    proposal: Proposal
    wanted: bool
    """False: an edit that another decision has replaced."""


@dataclass(frozen=True, slots=True)
class Recheck:
    """What came out."""

    tried: int
    accepted: int
    left: int
    """Not tried, or errored: the same command goes on."""
    message: str
    """Why it ended early; empty when it did not."""


def recheck_run(folder: Path, out: Path, given: Values, index_progress: IndexProgress | None = None) -> Recheck:
    """Try the edited items of the run in `folder`, with its config and what is `given` over it.

    Raises:
        ConfigError: nothing was edited.
        StoreError: there is no run.
    """
    edits = [entry for entry in read_reviews(folder) if entry.decision is Decision.EDIT]
    if not edits:
        raise ConfigError(f"no item of {str(folder)!r} was edited: questwell view {folder} has the form")
    with RunReader(folder) as run, run.snapshot():
        info = info_of(run)
        if info.kind == KIND.name:
            config = resolve_saved(Config, info, given)
        else:
            config = resolve(Config, {"items": 1}, played_with(info).model_dump(), given)
        candidates = [_edited(run, entry, index) for index, entry in enumerate(each_once(edits))]
    force = {kept.id for kept in _in_force(folder)}
    known = {pair_digest(one.question, one.answer, one.aliases) for one in edits if one.id in force}
    candidates = [replace(one, wanted=_digest(one.proposal) in known) for one in candidates]
    return _recheck(config, out, candidates, info.run_id, index_progress)


def recheck_file(path: Path, out: Path, given: Values, index_progress: IndexProgress | None = None) -> Recheck:
    """Try the questions of a JSONL or parquet file: `question`, `answer`, perhaps `aliases` and `target`.

    Raises:
        BenchmarkError: the file cannot be read, or a row has no question or answer.
    """
    config = resolve(Config, {"items": 1}, given)  # how much is tried is what the file holds
    candidates: list[Candidate] = []
    for place, record in records(path):
        question, answer = record.get("question"), record.get("answer")
        aliases: object = record.get("aliases") or []
        target: object = record.get("target")
        if not isinstance(question, str) or not isinstance(answer, str) or not question.strip() or not answer.strip():
            raise BenchmarkError(f"{place}: question and answer must be texts that are not empty")
        if not isinstance(aliases, list | tuple) or not (target is None or isinstance(target, int)):
            raise BenchmarkError(f"{place}: aliases must be a list of texts, target a number of search steps")
        index = len(candidates)
        kind = type_of(answer, AnswerType.ENTITY)
        seed = Seed(index, Passage(f"row-{index}", "", "", f"row-{index}"), target, kind, random_seed=config.seed)
        others = tuple(map(str, cast("Sequence[object]", aliases)))
        candidates.append(Candidate(seed, Proposal(question, answer, others, (), (), _NOTHING), wanted=True))
    if not candidates:
        raise BenchmarkError(f"{path.name} holds no question")
    content = "".join(_digest(one.proposal) for one in candidates)
    name = f"{path.name} {hashlib.sha256(content.encode()).hexdigest()[:12]}"
    return _recheck(config, out, candidates, name, index_progress)


def _recheck(
    config: Config, out: Path, candidates: Sequence[Candidate], of: str, index_progress: IndexProgress | None
) -> Recheck:
    config = config.model_copy(update={"early_stop": False, "seeds": None, "items": 1})  # all K: a solve rate is wanted

    async def whole(opened: Run[Config], setup: Setup) -> Recheck:
        try:
            return await recheck(opened, setup, candidates, of)
        finally:
            await setup.aclose()

    with Run(KIND, config, out, resume=True) as opened:
        return asyncio.run(whole(opened, open_setup(config, index_progress)))


async def recheck(opened: Run[Config], setup: Setup, candidates: Sequence[Candidate], of: str) -> Recheck:
    """Try `candidates` in the run that is `opened`; those that it holds already are not tried again."""
    config = opened.config
    refuse_unknown_prices(config.limits(), setup.llms.values(), setup.retriever)
    with RunStore(opened.folder, opened.lock) as store:
        await store.begin(opened.compare({**setup.fingerprint(), _OF: of}))
        drawn = store.read.drawn()
        if drawn > len(candidates):
            raise StoreError(f"{str(opened.folder)!r} holds more questions than are here now; name another --out")
        await store.add_seeds([WaveSeed(one.seed, 0) for one in candidates[drawn:]])
        budget = Budget(config.limits(), store.read.usage())
        recorder = Recorder(store, setup.llms, setup.retriever, budget)
        waiting = {drawn.seed.index for drawn in store.read.unplayed()}
        todo = iter([one for one in candidates if one.wanted and one.seed.index in waiting])
        halted: list[Exception] = []
        rules = config.rules()

        async def player() -> None:
            while not halted and not budget.stopping and (one := next(todo, None)):
                try:
                    found = await examine(one.seed, one.proposal, rules, setup.players, recorder.sessions(one.seed.id))
                except (BudgetReached, Stopped) as halt:
                    halted.append(halt)
                    return
                key = f"{one.seed.index} {normalise(one.proposal.question)}" if isinstance(found, Accepted) else None
                await store.finish(found, key)

        with stopping_on_signals(budget.stop):
            async with asyncio.TaskGroup() as group:
                for _ in range(config.plays_at_once):
                    group.create_task(player())
        waiting = {drawn.seed.index for drawn in store.read.unplayed()}
        wanted = [one for one in candidates if one.wanted]
        accepted = sum(isinstance(store.read.outcome(one.seed.index), Accepted) for one in wanted)
        left = sum(one.seed.index in waiting for one in wanted)
        return Recheck(len(wanted) - left, accepted, left, str(halted[0]) if halted else "")


def each_once(edits: Sequence[Review]) -> list[Review]:
    """The first edit to each question and answer of a seed: entries are only added, so places stay."""
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
        raise StoreError(f"{entry.seed} was edited, and the run holds no question of it")
    last = outcome.rounds[-1].proposal
    proposal = replace(last, question=entry.question, answer=entry.answer, aliases=entry.aliases)
    return Candidate(replace(outcome.seed, index=index), proposal, wanted=True)


def _digest(proposal: Proposal) -> str:
    return pair_digest(proposal.question, proposal.answer, proposal.aliases)
