"""Plays one step of search self-play (SSP, arXiv 2510.18821, section 3): from a batch of answers to their episodes.

A step is played as a whole, because a question is verified among documents of the other proposers' searches, and
because slots without a valid question are filled. `play` reads in the paper's order. Its result depends only on its
arguments and its sessions' answers. `recipes/selfplay/loop.py` trains the policy on it.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from questwell.agents.selfplay_proposer import SelfPlayProposer
from questwell.agents.session import Sessions
from questwell.agents.solver import Solver
from questwell.games import gates
from questwell.games.pool import EmptySlots, Pool
from questwell.games.ssp_rewards import Payments, repetition, solver_reward
from questwell.retrieval.corpora.passages import count_words
from questwell.types.corpus import Passage
from questwell.types.game import Attempt, Place, failed_rollout
from questwell.types.gates import GateOutcome, GateResult
from questwell.types.selfplay import SILENT, AnswerSeed, Episode, Invalid, Problem, Proposed
from questwell.types.trajectory import Role, StopReason, Trajectory

_T = TypeVar("_T")


class DistractorUnit(StrEnum):
    """The unit of noise that is mixed into a proposer's documents when its question is verified."""

    PASSAGES = "passages"
    """Single passages of other proposers' searches (paper)."""
    TRAJECTORIES = "trajectories"
    """All passages of a number of other proposers (release)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules of a step. The defaults are the paper's; differences of the release are mentioned."""

    attempts: int = 5
    """n, the number of solver rollouts per problem."""
    searches: int = 1
    """Minimum number of executed searches of a proposer; 2 in the release."""
    characters: tuple[int, int] = (10, 1000)
    """Minimum and maximum length of a question in characters."""
    words: int = 0
    """Minimum number of words of a question; 10 in the release. Scripts without spaces are counted by characters."""
    distinct_queries: bool = False
    """Whether to reject a proposer that repeated a query, as in the release."""
    verify: bool = True
    """Whether questions are checked by RAG verification."""
    noise: int = 4
    """Number of units of noise among the documents that verify a question."""
    distractor_unit: DistractorUnit = DistractorUnit.PASSAGES
    payments: Payments = field(default_factory=Payments)
    proposals: int = 1
    """Number of neighbouring slots that share an answer; they lend each other no documents as noise."""
    resamples: int = 3
    """Maximum number of further proposals per slot under dynamic resampling."""


@dataclass(frozen=True, slots=True)
class Players:
    """The agents and the judge of self-play.

    In the paper proposer, solver and reader are one policy; the judge should be another model.
    """

    selfplay_proposer: SelfPlayProposer
    solver: Solver
    gatekeeper: gates.Gatekeeper
    """Verifies questions and judges the solver's answers."""


@dataclass(frozen=True, slots=True)
class StepContext:
    """The inputs of one step of self-play."""

    index: int
    """Number of the step, from 1."""
    rules: Rules
    players: Players
    sessions: Sessions
    pool: Pool
    draw: Callable[[int], Sequence[AnswerSeed]]
    """Returns this many further answers, for dynamic resampling."""


async def play(batch: Sequence[AnswerSeed], step: StepContext) -> tuple[Episode, ...]:
    """One episode for each answer of the batch, in order.

    A failure of a model, the judge or the retriever is data of its slot. Errors that end the run (BudgetReached,
    StoreError) are raised once all calls in flight have ended.
    """
    proposed = await propose(batch, step)
    discarded = [0] * len(batch)
    if step.pool.empty_slots is EmptySlots.RESAMPLING:
        proposed, discarded = await _resample(proposed, step)

    problems = _fill(proposed, step)
    attempts = await all_ended(
        _attempt(slot, problem, seed, step) for slot, (problem, seed) in enumerate(zip(problems, batch, strict=True))
    )
    return _pay(proposed, problems, attempts, discarded, step)


async def propose(batch: Sequence[AnswerSeed], step: StepContext, earlier: Sequence[Proposed] = ()) -> list[Proposed]:
    """Proposer rollouts, the rules, and RAG verification among the documents of the whole batch and of `earlier`.

    `play` begins with this; called alone, it shows what verification accepts.
    """
    drafts = await all_ended(_challenge(seed, step) for seed in batch)
    found = [documents(draft) for draft in (*drafts, *earlier)]
    return await all_ended(
        _verified(draft, noise(slot, found, step.rules, _chance(draft.seed, "noise")), step)
        for slot, draft in enumerate(drafts)
    )


async def _challenge(seed: AnswerSeed, step: StepContext) -> Proposed:
    place = Place(seed.id, step.index, Role.PROPOSER)
    made = await step.players.selfplay_proposer.challenge(
        seed, step.sessions(place), place.random_seed(seed.random_seed)
    )
    invalid, detail = broken_rule(made.question, made.trajectory, seed, step.rules)
    return Proposed(seed, made.question, made.trajectory, invalid, made.problem or detail)


def broken_rule(
    question: str | None, trajectory: Trajectory, seed: AnswerSeed, rules: Rules
) -> tuple[Invalid | None, str]:
    """(the first rule that a proposal breaks, how it breaks it); None if it keeps all rules."""
    if trajectory.stop is StopReason.ERRORED:
        return Invalid.ERRORED, trajectory.error
    if question is None or not question.strip():
        return Invalid.NO_QUESTION, "there is no question"
    low, high = rules.characters
    if not low <= len(question.strip()) <= high:
        return Invalid.LENGTH, f"{len(question.strip())} characters, not {low} to {high}"
    if rules.words and (words := count_words(question)) < rules.words:
        return Invalid.LENGTH, f"{words:g} words, not {rules.words} at least"
    if trajectory.searches < rules.searches:
        return Invalid.NO_SEARCH, f"{trajectory.searches} searches, not {rules.searches} at least"
    queries = [" ".join(query.casefold().split()) for query in trajectory.queries]
    if rules.distinct_queries and len(set(queries)) < len(queries):
        return Invalid.REPEATED_QUERY, "a query was asked twice"
    if leaked := gates.leak(question, seed.references):
        return Invalid.LEAK, leaked
    return None, ""


def documents(proposed: Proposed) -> tuple[Passage, ...]:
    """The passages that the proposer saw: the one with its answer, if it was given one, and all that it found."""
    given = (proposed.seed.passage,) if proposed.seed.passage else ()
    found = (hit.passage for hit in proposed.trajectory.hits)
    return tuple({passage.id: passage for passage in (*given, *found)}.values())


def noise(slot: int, found: Sequence[Sequence[Passage]], rules: Rules, random_seed: str) -> tuple[Passage, ...]:
    """Documents found by slots with another answer, but not by `slot`; fewer if there are not enough."""
    rng = random.Random(random_seed)
    own = {passage.id for passage in found[slot]}
    others = [
        tuple(passage for passage in passages if passage.id not in own)
        for at, passages in enumerate(found)
        if at // rules.proposals != slot // rules.proposals
    ]
    if rules.distractor_unit is DistractorUnit.TRAJECTORIES:
        useful = [passages for passages in others if passages]
        chosen = [passage for passages in rng.sample(useful, min(rules.noise, len(useful))) for passage in passages]
        return tuple({passage.id: passage for passage in chosen}.values())
    single = list({passage.id: passage for passages in others for passage in passages}.values())
    return tuple(rng.sample(single, min(rules.noise, len(single))))


async def _verified(draft: Proposed, among: Sequence[Passage], step: StepContext) -> Proposed:
    """The draft with the result of RAG verification. Only PASSED makes it valid."""
    if not draft.valid or not step.rules.verify:
        return draft
    assert draft.question is not None
    pair = gates.Pair(draft.question, draft.seed.references, documents(draft))
    place = Place(draft.seed.id, step.index, Role.SOLVER)
    random_seed = place.random_seed(draft.seed.random_seed)
    found = await gates.verify(pair, among, step.players.gatekeeper, place, step.sessions, random_seed)
    return replace(draft, verification=found, invalid=_failed(found), detail=found.reason)


def _failed(found: GateResult) -> Invalid | None:
    match found.outcome:
        case GateOutcome.PASSED:
            return None
        case GateOutcome.FAILED:
            return Invalid.UNSUPPORTED
        case GateOutcome.UNSCORED:
            return Invalid.UNSCORED
        case GateOutcome.ERRORED:
            return Invalid.ERRORED


async def _resample(proposed: list[Proposed], step: StepContext) -> tuple[list[Proposed], list[int]]:
    """(drafts with new proposals in place of invalid ones, the number that each slot discarded)."""
    proposed, discarded = list(proposed), [0] * len(proposed)
    for _ in range(step.rules.resamples):
        failing = [slot for slot, one in enumerate(proposed) if not one.valid]
        if not failing:
            break
        again = await propose(step.draw(len(failing)), step, proposed)
        for slot, one in zip(failing, again, strict=True):
            proposed[slot] = one
            discarded[slot] += 1
    return proposed, discarded


def _fill(proposed: Sequence[Proposed], step: StepContext) -> list[Problem | None]:
    """The problem that the solver attempts in each slot: the valid proposal, otherwise one from the pool, if any."""
    problems = [
        Problem(one.seed.id, one.question, one.seed.references, one.seed.hops, step.index)
        if one.valid and one.question is not None
        else None
        for one in proposed
    ]
    empty = [slot for slot, problem in enumerate(problems) if problem is None]
    start = proposed[0].seed.random_seed if proposed else 0
    for slot, problem in zip(empty, step.pool.draw(len(empty), f"{start}/{step.index}/pool"), strict=False):
        problems[slot] = problem
    return problems


async def _attempt(slot: int, problem: Problem | None, seed: AnswerSeed, step: StepContext) -> tuple[Attempt, ...]:
    """The judged solver rollouts of one slot. They are independent, and see only the question."""

    async def one(number: int) -> Attempt:
        assert problem is not None
        place = Place(seed.id, step.index, Role.SOLVER, number)
        trajectory = await step.players.solver.solve(
            problem.question, step.sessions(place), place.random_seed(seed.random_seed)
        )
        if failed := failed_rollout(trajectory):
            return Attempt(number, trajectory, failed)
        judge = step.sessions(replace(place, role=Role.JUDGE))
        judgement = await step.players.gatekeeper.judge.judge(
            problem.question, problem.references, trajectory.answer, judge.complete
        )
        return Attempt(number, trajectory, judgement)

    return tuple(await all_ended(one(number) for number in range(step.rules.attempts))) if problem else ()


def _pay(
    proposed: Sequence[Proposed],
    problems: Sequence[Problem | None],
    attempts: Sequence[tuple[Attempt, ...]],
    discarded: Sequence[int],
    step: StepContext,
) -> tuple[Episode, ...]:
    """The rewards of both roles. A proposer whose slot was filled gets the reward of an invalid proposal."""
    payments = step.rules.payments
    questions = [one.question for one in proposed if one.valid and one.question is not None]
    alike = iter(repetition(questions) if payments.repetition else [0.0] * len(questions))
    episodes: list[Episode] = []
    for one, problem, tries, thrown in zip(proposed, problems, attempts, discarded, strict=True):
        rewards = tuple(map(solver_reward, tries))
        episode = Episode(one, problem, tries, None, rewards, thrown)
        if one.valid:
            penalty = payments.repetition * next(alike)
            accuracy = episode.accuracy
            paid = None if accuracy is None else max(0.0, payments.of(accuracy) - penalty)
        else:
            paid = None if one.invalid in SILENT else payments.invalid
        episodes.append(replace(episode, proposer_reward=paid))
    return tuple(episodes)


def _chance(seed: AnswerSeed, what: str) -> str:
    return f"{seed.random_seed}/{seed.id}/{what}"


async def all_ended(work: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """All results in order. An error is raised after all have ended, so that paid calls are recorded first."""
    ended: list[_T] = []
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
        ended.append(result)
    return ended
