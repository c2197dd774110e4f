"""The rows of a run file as values."""

from dataclasses import dataclass
from enum import StrEnum

from questwell.store.passage_refs import Json
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
from questwell.types.usage import Usage

ADAPTED = "adapted for "
"""Prefix of fingerprint entries that describe how requests are changed for an endpoint. More may be added later, so
they are not compared on a resume."""


class CallKind(StrEnum):
    """The kind of a call."""

    LLM = "llm"
    SEARCH = "search"
    OPEN = "open"
    """Opening a page of a document."""
    FIND = "find"
    """A search inside a document."""
    RERANK = "rerank"
    """Reranking the hits of a search."""


@dataclass(frozen=True, slots=True)
class CallKey:
    """The identity of a call: a recorded answer is reused only for exactly the same call."""

    place: Place
    turn: int
    """Number of the call at its place, from 0; model calls and searches are counted together."""
    digest: str
    """Hash of the exact request."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier request at the same place."""

    digest: str
    request: str
    """The request as JSON text."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was answered."""

    key: CallKey
    kind: CallKind
    request: str
    """The request as JSON text."""
    response: Json
    model: str
    """Name of the model, or name and snapshot of the retriever."""
    prompt_tokens: int | None
    """None when not known, which is not 0."""
    completion_tokens: int | None
    cost_usd: float | None
    latency_s: float
    base: Earlier | None = None
    """An earlier request that this one probably repeats; only the difference is stored."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that returned no answer."""

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
    """Changes to requests that an endpoint was found to need."""

    place: str
    """Model and address."""
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a play ended."""

    outcome: Accepted | Rejected
    question_key: str | None
    """Key of the question: accepted plays with equal keys are duplicates."""


News = Call | Failure | Learnt | Ended
"""Anything that a run records while it plays."""


class PlayStatus(StrEnum):
    """The state of a seed's play."""

    PENDING = "pending"
    """Drawn, but not played to its end."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Play:
    """Summary of the play of a seed; duplicates are already marked."""

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
        """Id of the seed, as in `Seed.id`."""
        return seed_name(self.index, self.digits)


@dataclass(frozen=True, slots=True)
class RoundRow:
    """Summary of a round's verdict."""

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
    """Whether this was the round that decided these plays; each play is counted once with `final`."""
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
    """Number of seeds and items for one requested kind of question."""

    kind: QuestionKind
    seeds: int
    items: int
    """Number of accepted plays, without duplicates."""


@dataclass(frozen=True, slots=True)
class AboutCount:
    """Number of seeds and items for one topic or cluster of the corpus."""

    about: str
    """Topic or cluster, as in `Seed.about`."""
    seeds: int
    items: int
    """Number of accepted plays, without duplicates."""


@dataclass(frozen=True, slots=True)
class CallCount:
    """Sums over the answered calls of one kind, role, model and round, in one minute or the whole run."""

    kind: CallKind
    role: str
    model: str
    round: int
    minute: str
    """Minute in UTC, ISO 8601 without seconds; empty for the whole run."""
    usage: Usage
    latency_s: float
    """Sum of the latencies of these calls in seconds."""


@dataclass(frozen=True, slots=True)
class FailedUsage:
    """Number of failed calls, with tokens and cost of replies that were paid for but unusable."""

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
    fingerprint: dict[str, str]
    """What must not change on a resume, in addition to the config: index snapshot, hash of the prompts, models."""
    kind: str = "generate"
    """The command that made the run."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of an evaluation."""

    position: int
    """Position in the benchmarks as they were loaded, from 0."""
    question: Question

    @property
    def seed_id(self) -> str:
        """Name under which the calls of the question are stored: `q00042`."""
        return f"q{self.position:05d}"


@dataclass(frozen=True, slots=True)
class Trial:
    """Summary of an attempt at a question."""

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
    """A seed with the wave in which it was drawn."""

    seed: Seed
    wave: int
