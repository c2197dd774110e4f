"""Labels of a run's traces and failed questions by a model, recorded in the run file: asked once, then replayed."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from questwell.agents.labeller import Depth, Fault, Labeller, Strategy
from questwell.agents.prompts import Prompts
from questwell.agents.session import Session
from questwell.evaluation.failures import Easy, Unsolved, holding, why_easy, why_unsolved
from questwell.evaluation.statistics import Share, wilson
from questwell.llm.client import LLM
from questwell.recipes.evaluate.setup import NoRetriever
from questwell.recipes.runs.budget import Budget, Limits
from questwell.recipes.runs.opening import info_of
from questwell.recipes.runs.recorder import Recorder
from questwell.store.run import RunStore
from questwell.types.game import Accepted, Outcome, Place, Rejected, Round
from questwell.types.trajectory import Role

LABELLING = 1000
"""Rounds from here on are labels in the run file, so that they never meet a judge's call of the game."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Shares of what was looked at; a reply that was no label is in `unread` and in no share."""

    strategies: dict[str, Share]
    """Of right attempts of accepted questions; several may apply to one."""
    faults: dict[str, Share]
    """Of unsolved questions whose answer was found."""
    superficial: dict[str, Share]
    """Of too easy questions for which nothing else was computed."""
    unread: int


async def label(folder: Path, llm: LLM, prompts: Prompts, *, structured: bool, sample: int, seed: int = 0) -> Labels:
    """Label at most `sample` traces, and as many failed questions of each sort, drawn at random by `seed`.

    Raises:
        LLMError: a call failed; what was answered before it is kept.
        RunLocked: another process is writing the run.
        StoreError: the folder holds no run of generate.
    """
    with RunStore(folder) as store:
        info_of(store.read)
        recorder = Recorder(store, {Role.JUDGE: llm}, NoRetriever(), Budget(Limits(), store.read.usage()))
        labeller = Labeller(prompts, structured)
        plays = [(play.seed_id, out) for play in store.read.plays() if (out := store.read.outcome(play.index))]

        def session(seed_id: str, kind: int, number: int) -> Session:
            return recorder.sessions(seed_id)(Place(seed_id, LABELLING + kind, Role.JUDGE, number))

        strategies: list[frozenset[Strategy] | None] = []
        accepted = [(seed_id, out.rounds[-1]) for seed_id, out in plays if isinstance(out, Accepted)]
        for seed_id, played in _drawn(accepted, sample, seed):
            right = next(attempt for attempt in played.attempts if attempt.right)
            line = session(seed_id, 0, played.index)
            strategies.append(await labeller.strategies(played.proposal.question, right.trajectory, line))
        faults: list[Fault | None] = []
        for seed_id, played in _drawn(_failed(plays, Outcome.UNSOLVED), sample, seed):
            if why_unsolved(played) is Unsolved.SOLVER:
                answers = [a.trajectory.answer for a in played.attempts if a.trajectory.answer is not None]
                line = session(seed_id, 1, played.index)
                faults.append(await labeller.fault(played.proposal, holding(played), answers, line))
        depths: list[Depth | None] = []
        for seed_id, played in _drawn(_failed(plays, Outcome.TOO_EASY), sample, seed):
            if Easy.OTHER in why_easy(played, ()):
                depths.append(await labeller.depth(played.proposal, session(seed_id, 2, played.index)))
    read = [found for found in strategies if found is not None]
    return Labels(
        strategies={one.value: wilson(sum(one in found for found in read), len(read)) for one in Strategy},
        faults=_shares(Fault, faults),
        superficial=_shares(Depth, depths),
        unread=strategies.count(None) + faults.count(None) + depths.count(None),
    )


def _failed(plays: Sequence[tuple[str, Accepted | Rejected]], outcome: Outcome) -> list[tuple[str, Round]]:
    return [(seed, played) for seed, out in plays for played in out.rounds if played.verdict.outcome is outcome]


def _drawn(found: list[tuple[str, Round]], sample: int, seed: int) -> list[tuple[str, Round]]:
    if len(found) <= sample:
        return found
    return [found[at] for at in sorted(random.Random(seed).sample(range(len(found)), sample))]


def _shares(labels: type[Fault] | type[Depth], found: Sequence[Fault | Depth | None]) -> dict[str, Share]:
    counts = Counter(one for one in found if one is not None)
    return {one.value: wilson(counts[one], counts.total()) for one in labels}
