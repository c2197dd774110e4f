"""How one seed was played, in a form for people to read."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from questwell.errors import StoreError
from questwell.llm.speech import spoken, thoughts
from questwell.recipes.generate.gates_results import results_of
from questwell.recipes.rejudge.results import Second, judges_of, seconds
from questwell.recipes.reports.certified import certified
from questwell.store.pages import PlayFilter, each_by_interest, page
from questwell.store.reader import RunReader
from questwell.store.records import Play, PlayStatus
from questwell.types.certificate import Certificate
from questwell.types.corpus import Hit, Passage
from questwell.types.derivation import Derivation, Operation
from questwell.types.game import Accepted, Attempt, Judgement, Proposal, Rejected, Repair, Round, Seed, Verdict
from questwell.types.gates import GateResult
from questwell.types.ids import seed_number
from questwell.types.trajectory import Reading, StopReason, Trajectory, Turn
from questwell.types.usage import Usage


@dataclass(frozen=True, slots=True)
class SearchStory:
    """One executed search."""

    query: str
    found: tuple[str, ...]
    """Titles of the hits, best first."""
    thought: str = ""
    """The agent's thoughts before it, if stored."""


@dataclass(frozen=True, slots=True)
class TurnStory:
    """One message of an agent, and its result."""

    thought: str
    """The agent's thoughts, if stored."""
    text: str
    """The agent's text without thoughts."""
    query: str | None
    """Its search query; None if it did not search."""
    reading: Reading | None
    """The step inside a document, if it took one."""
    hits: tuple[Hit, ...]
    told: str
    """The message it received if it neither searched nor read, for example that its message contained no move."""


@dataclass(frozen=True, slots=True)
class SolutionStepStory:
    """One intended search step."""

    query: str
    answer: str
    passage_id: str
    title: str
    """Title of the supporting passage; empty if none was named."""


@dataclass(frozen=True, slots=True)
class OperandStory:
    """One fact that a derived answer is based on."""

    span: str
    """The words from the passage; for an ordering, `name = value`."""
    passage_id: str
    title: str
    """Title of the passage; empty if none was named."""


@dataclass(frozen=True, slots=True)
class DerivationStory:
    """How an answer was derived."""

    operation: Operation
    operands: tuple[OperandStory, ...]


@dataclass(frozen=True, slots=True)
class AttemptStory:
    """One solver rollout."""

    index: int
    searches: tuple[SearchStory, ...]
    answer: str | None
    stop: StopReason
    judgement: Judgement
    judge_said: str
    """The judge's reason without its verdict; empty if it gave none."""
    turns: tuple[TurnStory, ...]
    error: str
    """The failure; empty if there was none."""


@dataclass(frozen=True, slots=True)
class RoundStory:
    """One question and its outcome."""

    index: int
    feedback: Repair | None
    """The feedback that led to this round."""
    changed: tuple[str, ...]
    """Which of question and answer differ from the previous round."""
    question: str
    answer: str
    steps: tuple[SolutionStepStory, ...]
    evidence: tuple[Passage, ...]
    searches: tuple[SearchStory, ...]
    """Searches of the proposer."""
    turns: tuple[TurnStory, ...]
    """Messages of the proposer."""
    aliases: tuple[str, ...]
    attempts: tuple[AttemptStory, ...]
    verdict: Verdict
    gates: tuple[GateResult, ...]
    derivation: DerivationStory | None = None
    """How the answer was derived; None if it is copied from the evidence."""
    weak_attempts: tuple[AttemptStory, ...] = ()
    """Attempts of the weak solver, if there was one."""
    weak_verdict: Verdict | None = None
    """Verdict on the weak attempts; too_easy if the weak solver was right too often."""


@dataclass(frozen=True, slots=True)
class DraftStory:
    """A proposer's rollout that produced no usable question."""

    searches: tuple[SearchStory, ...]
    stop: StopReason
    last_words: str
    """Its last message, without thoughts unless it contains nothing else; or the error if there is no message."""
    turns: tuple[TurnStory, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """How one seed was played."""

    id: str
    play: Play
    seed: Seed
    rounds: tuple[RoundStory, ...]
    draft: DraftStory | None
    usage: Usage
    styles: tuple[str, ...]
    """How proposer and solver were driven (free or staged)."""
    certificate: Certificate | None = None
    """Certificate of an accepted question, including what `questwell gates` found later."""
    seconds: tuple[Second, ...] = ()
    """Results of `questwell rejudge` for its last question, by judge."""


def find(run: RunReader, name: str) -> Play:
    """Return the play named `s00000007`, `s7`, just `7`, or `first` for the first in the listing.

    Raises:
        StoreError: the run has no play of that name.
    """
    drawn = run.drawn()
    if name == "first" and drawn:
        return _first(run)
    index = seed_number(name)
    if index is None or not index < drawn:
        last = f"; the last one is {run.play(drawn - 1).seed_id}" if drawn else ""
        raise StoreError(f"the run has no item {name!r}{last}; questwell show RUN lists them")
    return run.play(index)


def _first(run: RunReader) -> Play:
    """Return the first play of the listing, by an index if one is accepted."""
    accepted = page(run, PlayFilter(PlayStatus.ACCEPTED), size=1)
    return accepted[0] if accepted else next(each_by_interest(run))


def listing(folder: Path) -> list[Play]:
    """Return all plays of a run, most interesting first."""
    return list(each_listed(folder))


def each_listed(folder: Path) -> Iterator[Play]:
    """Yield all plays of a run, most interesting first, with only a part of them in memory."""
    with RunReader(folder) as run, run.snapshot():
        yield from each_by_interest(run)


def story(folder: Path, name: str) -> Story:
    """Return how the named seed was played so far.

    Raises:
        StoreError: there is no such run or no such play.
    """
    with RunReader(folder) as run, run.snapshot():
        play = find(run, name)
        outcome = run.outcome(play.index)
        seed = run.seed(play.index)
        usage = run.usage_of(play.seed_id)
    rounds = outcome.rounds if outcome else ()
    judges = judges_of(folder)
    certificate = None
    if isinstance(outcome, Accepted):
        later = results_of(folder).get(play.seed_id)
        certificate = certified(outcome.rounds[-1], later, play.seed_id, judges)
    last = outcome.trajectory if isinstance(outcome, Rejected) else None
    played = [trajectory for round_ in rounds for trajectory in _trajectories(round_)] + ([last] if last else [])
    return Story(
        id=play.seed_id,
        play=play,
        seed=seed,
        rounds=tuple(_round(now, before) for before, now in zip((None, *rounds), rounds, strict=False)),
        draft=draft_story(last) if last else None,
        usage=usage,
        styles=tuple(dict.fromkeys(trajectory.style.value for trajectory in played)),
        certificate=certificate,
        seconds=seconds(judges, play.seed_id, rounds[-1].proposal.question, rounds[-1].proposal.answer)
        if rounds
        else (),
    )


def _round(now: Round, before: Round | None) -> RoundStory:
    proposal = now.proposal
    titles = {hit.passage.id: hit.passage.title for hit in proposal.trajectory.hits}
    titles.update({passage.id: passage.title for passage in proposal.evidence})
    return RoundStory(
        index=now.index,
        feedback=now.feedback,
        changed=_changed(proposal, before.proposal) if before else (),
        question=proposal.question,
        answer=proposal.answer,
        steps=tuple(
            SolutionStepStory(step.query, step.answer, step.passage_id, titles.get(step.passage_id, ""))
            for step in proposal.steps
        ),
        evidence=proposal.evidence,
        searches=_searches(proposal.trajectory),
        turns=turns_of(proposal.trajectory),
        aliases=proposal.aliases,
        attempts=tuple(map(_attempt, now.attempts)),
        verdict=now.verdict,
        gates=now.gates,
        derivation=_derivation(proposal.derivation, titles),
        weak_attempts=tuple(map(_attempt, now.weak.attempts)) if now.weak else (),
        weak_verdict=now.weak.verdict if now.weak else None,
    )


def _derivation(found: Derivation | None, titles: Mapping[str, str]) -> DerivationStory | None:
    if found is None:
        return None
    operands = (OperandStory(one.span, one.passage_id, titles.get(one.passage_id, "")) for one in found.operands)
    return DerivationStory(found.operation, tuple(operands))


def _changed(now: Proposal, before: Proposal) -> tuple[str, ...]:
    differs = {"question": now.question != before.question, "answer": now.answer != before.answer}
    return tuple(part for part, is_new in differs.items() if is_new)


def _attempt(attempt: Attempt) -> AttemptStory:
    trajectory = attempt.trajectory
    return AttemptStory(
        index=attempt.index,
        searches=_searches(trajectory),
        answer=trajectory.answer,
        stop=trajectory.stop,
        judgement=attempt.judgement,
        judge_said=judge_said(attempt.judgement),
        turns=turns_of(trajectory),
        error=trajectory.error,
    )


def draft_story(last: Trajectory) -> DraftStory:
    """Return the rollout that produced no question."""
    turns = turns_of(last)
    said = turns[-1].text if turns else last.error
    if turns and not said and turns[-1].thought:
        said = f"(only a thought) {turns[-1].thought}"
    return DraftStory(_searches(last), last.stop, said, turns)


def turns_of(trajectory: Trajectory) -> tuple[TurnStory, ...]:
    """Return the messages of a rollout with their results."""
    return tuple(
        TurnStory(
            thought=thoughts(turn.reasoning, turn.text),
            text=spoken(turn.text),
            query=turn.query,
            reading=turn.reading,
            hits=turn.hits,
            told=turn.observation if turn.query is None and turn.reading is None else "",
        )
        for turn in trajectory.turns
    )


def judge_said(judgement: Judgement) -> str:
    """Return the judge's reason in words; for a JSON reply, everything but the verdict, which is shown separately."""
    try:
        tree: object = json.loads(judgement.reason)
    except (ValueError, RecursionError):
        return judgement.reason.strip()
    if not isinstance(tree, dict):
        return judgement.reason.strip()
    fields = cast(dict[str, object], tree)
    return "\n".join(f"{name}: {value}" for name, value in fields.items() if name != "verdict")


def _searches(trajectory: Trajectory) -> tuple[SearchStory, ...]:
    return tuple(
        SearchStory(turn.query, tuple(hit.passage.title or hit.passage.id for hit in turn.hits), _thought(turn))
        for turn in trajectory.turns
        if turn.query is not None
    )


def _thought(turn: Turn) -> str:
    return thoughts(turn.reasoning, turn.text)


def _trajectories(round_: Round) -> list[Trajectory]:
    weak = round_.weak.attempts if round_.weak else ()
    return [round_.proposal.trajectory, *(attempt.trajectory for attempt in (*round_.attempts, *weak))]
