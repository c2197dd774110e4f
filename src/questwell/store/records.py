"""What a run file holds, row by row, as values."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AliasChoices, Field

from questwell.store.passage_refs import Json
from questwell.types.dataset import Usage
from questwell.types.evaluation import Question
from questwell.types.game import (
    Accepted,
    AnswerType,
    Judgement,
    Outcome,
    Place,
    QuestionKind,
    Reason,
    Rejected,
    Seed,
)
from questwell.types.gates import Gate, GateOutcome
from questwell.types.ids import ID_DIGITS, seed_name
from questwell.types.trajectory import StopReason

ADAPTED = "adapted for "
"""Start of the entries of a fingerprint that say how requests are changed for an endpoint. They grow, and differ from
no run."""


class CallKind(StrEnum):
    """The kind of a call."""

    LLM = "llm"
    SEARCH = "search"
    OPEN = "open"
    """A page of a document."""
    FIND = "find"
    """A search inside a document."""
    RERANK = "rerank"
    """Hits of a search put in order by a reranker."""


@dataclass(frozen=True, slots=True)
class CallKey:
    """The identity of a call: a recorded answer is used again only for exactly the same one."""

    place: Place
    turn: int
    """Ordinal of the call at its place, from 0; model calls and searches count alike."""
    digest: str
    """Hash of the exact request."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier request at the same place."""

    digest: str
    request: str
    """As JSON text."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was answered."""

    key: CallKey
    kind: CallKind
    request: str
    """As JSON text."""
    response: Json
    model: str
    """Name of the model, or of the retriever with its snapshot."""
    prompt_tokens: int | None
    """None when not known, which is not 0."""
    completion_tokens: int | None
    cost_usd: float | None
    latency_s: float
    base: Earlier | None = None
    """An earlier request that this one probably repeats; the file keeps only the difference."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that gave no answer."""

    key: CallKey
    kind: CallKind
    error: str
    """Class name of the error."""
    message: str
    prompt_tokens: int = 0
    """Tokens of replies that were paid for and rejected."""
    completion_tokens: int = 0
    cost_usd: float | None = 0.0
    """None when not known, which is not 0."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """How requests are changed for an endpoint."""

    place: str
    """Model and address."""
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a play ended."""

    outcome: Accepted | Rejected
    question_key: str | None
    """Two accepted plays of one key are one question."""


News = Call | Failure | Learnt | Ended
"""What a run records while it plays."""


class PlayStatus(StrEnum):
    """The state of a seed's play."""

    PENDING = "pending"
    """Drawn, but not played to its end."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Play:
    """Summary of a seed's play; duplicates are already marked."""

    index: int
    wave: int
    target: int | None
    answer_type: AnswerType
    status: PlayStatus
    reason: Reason | None
    detail: str
    question: str | None
    """Question of the last round; None if there was none."""
    answer: str | None
    question_key: str | None = None
    """Key that is equal for equal questions; only accepted plays have one."""
    digits: int = ID_DIGITS
    """Digits of the seed's id."""

    @property
    def seed_id(self) -> str:
        """As in `Seed.id`."""
        return seed_name(self.index, self.digits)


@dataclass(frozen=True, slots=True)
class RoundRow:
    """A round's verdict in short."""

    seed_index: int
    round: int
    outcome: Outcome
    right: int
    scored: int
    skipped: int
    difficulty: int | None


@dataclass(frozen=True, slots=True)
class PlayCount:
    """Number of ended plays with the same result of one round."""

    target: int | None
    status: PlayStatus
    """Duplicates still count as accepted."""
    reason: Reason | None
    round: int | None
    """None for plays without a round."""
    final: bool
    """Whether it was the last round of these plays; each play is counted once with `final`."""
    outcome: Outcome | None
    right: int
    scored: int
    skipped: int
    difficulty: int | None
    plays: int
    calls: int
    """Model calls of the attempts of this round, judges included."""


@dataclass(frozen=True, slots=True)
class GateCount:
    """Number of proposals with the same result of a gate."""

    gate: Gate
    outcome: GateOutcome
    proposals: int


@dataclass(frozen=True, slots=True)
class KindCount:
    """Seeds that were asked for one kind of question."""

    kind: QuestionKind
    seeds: int
    items: int
    """Accepted ones, duplicates left out."""


@dataclass(frozen=True, slots=True)
class AboutCount:
    """Seeds that were drawn for one topic or cluster of the corpus."""

    about: str
    """As in `Seed.about`."""
    seeds: int
    items: int
    """Accepted ones, duplicates left out."""


@dataclass(frozen=True, slots=True)
class CallCount:
    """Answered calls of one kind, role, model and round in one minute, or in all."""

    kind: CallKind
    role: str
    model: str
    round: int
    minute: str
    """ISO 8601 without seconds, UTC; empty: over the whole run."""
    usage: Usage
    latency_s: float
    """Sum of the latencies of these calls in seconds."""


@dataclass(frozen=True, slots=True)
class FailedUsage:
    """Failed calls and what they cost anyway: replies that were paid for but unusable."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0
    """None when not known, which is not 0."""


@dataclass(frozen=True, slots=True)
class RoleUsage:
    """Calls, tokens and cost of one role with one model."""

    role: str
    model: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class SearchUsage:
    """Number and cost of searches."""

    searches: int
    """Number of answered searches."""
    cost_usd: float | None
    """None when not known, which is not 0."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The description of a run."""

    run_id: str
    created: str
    """Start of the run, ISO 8601, UTC."""
    questwell: str
    """Version of Questwell that started it."""
    config: Json
    """The resolved config."""
    fingerprint: Annotated[dict[str, str], Field(validation_alias=AliasChoices("fingerprint", "facts"))]
    """What must not change on a resume, in addition to the config: index snapshot, hash of the prompts, models."""
    kind: str = "generate"
    """The verb that made it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of an evaluation."""

    position: int
    """Position in the benchmarks as they were loaded, from 0."""
    question: Question

    @property
    def seed_id(self) -> str:
        """The name under which its calls are kept: `q00042`."""
        return f"q{self.position:05d}"


@dataclass(frozen=True, slots=True)
class Trial:
    """An attempt at a question in short."""

    position: int
    attempt: int
    stop: StopReason
    answer: str | None
    searches: int
    turns: int


@dataclass(frozen=True, slots=True)
class Scoring:
    """A judge of the answers of an evaluation."""

    number: int
    judge: str
    """A model's name, or `exact_match`."""
    prompts: str
    """Hash of the prompt files."""


@dataclass(frozen=True, slots=True)
class Score:
    """The judgement of one answer in a scoring."""

    scoring: int
    position: int
    attempt: int
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class WaveSeed:
    """A seed as it was drawn."""

    seed: Seed
    wave: int
