"""The data types of a game, in the order of its flow: seed, proposal, attempts, verdict, feedback, outcome."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from questwell.types.corpus import Passage
from questwell.types.derivation import Derivation
from questwell.types.gates import TOO_EASY, Gate, GateResult
from questwell.types.ids import ID_DIGITS, seed_name
from questwell.types.trajectory import Role, StopReason, Trajectory


class AnswerType(StrEnum):
    """The kind of answer that a proposal should have (SAGE section 3)."""

    NUMBER = "number"
    DATE = "date"
    ENTITY = "entity"


class QuestionKind(StrEnum):
    """The shape of a question: how its facts lead to the answer (`agents/kinds.py` checks it)."""

    BRIDGE = "bridge"
    """A chain: each step finds what the next one asks about."""
    INTERSECTION = "intersection"
    """Several clues from different passages that together identify one thing."""
    COMPARISON = "comparison"
    """The first or last of several things."""
    CALCULATION = "calculation"
    """A number computed from facts in several passages."""
    TEMPORAL = "temporal"
    """A time decides the answer."""


@dataclass(frozen=True, slots=True)
class Seed:
    """The starting point of one SAGE proposal: a passage and a target."""

    index: int
    """Position in the run, from 0. Together with the run's random seed it determines all other fields."""
    passage: Passage
    target: int | None
    """Number of search steps that a right attempt must need (S in the paper); None: the paper's "S unspecified"."""
    answer_type: AnswerType
    """The kind of answer to ask for."""
    other_types: tuple[AnswerType, ...] = ()
    """Answer types that are also accepted if the corpus has no answer of the first type."""
    random_seed: int = 0
    """Seed of all random choices in this play."""
    kind: QuestionKind | None = None
    """The kind of question to ask for; None: any kind."""
    about: str = ""
    """The user's topic, or the words that name the corpus cluster, for which the passage was drawn."""
    digits: int = ID_DIGITS
    """Digits of the id."""

    @property
    def id(self) -> str:
        """Name within the run, sortable: `s00000042`."""
        return seed_name(self.index, self.digits)


@dataclass(frozen=True, slots=True)
class Place:
    """The position of an agent in a game. With the number of a call it is the key under which the call is stored."""

    seed: str
    round: int
    role: Role
    attempt: int = 0

    def random_seed(self, start: int) -> int:
        """Return a seed in [0, 2**31) derived from `start` and this place, so that every place samples differently."""
        text = f"{start}/{self.seed}/{self.round}/{self.role}/{self.attempt}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


@dataclass(frozen=True, slots=True)
class SolutionStep:
    """One search step of the intended solution."""

    query: str
    answer: str
    """The sub-answer that this step yields."""
    passage_id: str
    """Id of the supporting passage; empty if the proposer named no passage that it had retrieved."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A question with its reference answer, its intended solution and its evidence."""

    question: str
    answer: str
    aliases: tuple[str, ...]
    """Other spellings that count as the reference answer; never joined into one string."""
    steps: tuple[SolutionStep, ...]
    """The intended solution."""
    evidence: tuple[Passage, ...]
    """Passages that the proposer retrieved and used, without repeats."""
    trajectory: Trajectory
    derivation: Derivation | None = None
    """How the answer was computed; None if it is copied from the evidence."""


class Label(StrEnum):
    """The label of one answer. The three outcomes are never mixed: only RIGHT and WRONG count."""

    RIGHT = "right"
    WRONG = "wrong"
    UNSCORED = "unscored"
    """The judge gave no usable verdict."""
    ERRORED = "errored"
    """The rollout or the judge failed: a provider, the retriever or the protocol."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judgement of one answer against the reference."""

    label: Label
    method: str
    """How the label was decided: `exact_match`, `no_answer`, `numbers`, `llm` or `rollout`."""
    reason: str = ""
    """The judge's explanation, or the failure."""


def failed_rollout(trajectory: Trajectory) -> Judgement | None:
    """Return the judgement of a failed rollout; None if a judge can decide it.

    ERRORED: a call failed and may be repeated. UNSCORED: the endpoint's content filter always rejects the text. Neither
    says anything about the question.
    """
    match trajectory.stop:
        case StopReason.ERRORED:
            return Judgement(Label.ERRORED, "rollout", trajectory.error)
        case StopReason.FILTERED:
            return Judgement(Label.UNSCORED, "rollout", f"filtered: {trajectory.error}")
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One independent solver rollout with its judgement."""

    index: int
    trajectory: Trajectory
    judgement: Judgement

    @property
    def right(self) -> bool:
        """Whether the judge called the answer right."""
        return self.judgement.label is Label.RIGHT


class Outcome(StrEnum):
    """The outcome of one proposal, from its attempts."""

    PASS = "pass"
    TOO_EASY = "too_easy"
    """Solved in fewer search steps, or more often, than requested."""
    TOO_HARD = "too_hard"
    """Solved, but less often than the pass-rate band requires (only with that policy)."""
    UNSOLVED = "unsolved"
    """No attempt was right: the reference answer may be wrong."""
    UNSCORED = "unscored"
    ERRORED = "errored"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of the attempts at a proposal."""

    outcome: Outcome
    right: int
    """Number of attempts judged right."""
    scored: int
    """Number of attempts judged right or wrong; unscored and errored ones are not counted."""
    difficulty: int | None
    """Fewest search steps in a right attempt; None when none was right."""
    skipped: int = 0
    """Number of attempts that the exact early stop made unnecessary."""
    detail: str = ""

    @property
    def solve_rate(self) -> float | None:
        """Right attempts among the scored ones, a fraction in [0, 1]; None when none was scored."""
        return self.right / self.scored if self.scored else None


class FeedbackKind(StrEnum):
    """Kind of feedback: SAGE's two kinds (section 3), and two of ours."""

    DIFFICULTY = "difficulty"
    CORRECTNESS = "correctness"
    GATE = "gate"
    """A gate rejected the question. Not in SAGE."""
    WEAK = "weak"
    """The weak solver answered the question too. Not in SAGE."""


@dataclass(frozen=True, slots=True)
class ExecutionFeedback:
    """Results of the attempts at a proposal, given to the proposer for a repair (SAGE section 3)."""

    kind: FeedbackKind
    shown: Attempt | None
    """The attempt shown to the proposer; None if there was none."""
    verdict: str = ""
    """The outcome of the attempts, in a sentence."""
    gate: Gate | None = None
    """The gate that rejected the question; None if none did."""
    weak: Attempt | None = None
    """The weak solver's attempt, also shown to the proposer if it was the reason for rejecting the question."""

    @property
    def harder(self) -> bool:
        """Whether a harder question is wanted; else a better one."""
        return self.kind in (FeedbackKind.DIFFICULTY, FeedbackKind.WEAK) or self.gate in TOO_EASY


@dataclass(frozen=True, slots=True)
class Repair:
    """A verdict explained to the proposer, and what the proposer then changed."""

    kind: FeedbackKind
    attempt: int
    """Index of the attempt that was shown; -1 when there was none."""
    explanation: str
    """Why it was too easy, or why the two answers differ, in the proposer's words."""
    change: str
    """What the proposer changed, in its own words."""


@dataclass(frozen=True, slots=True)
class WeakTrial:
    """A weak solver's attempts at a question that met its target."""

    attempts: tuple[Attempt, ...]
    verdict: Verdict
    """Its outcome is TOO_EASY when the weak solver was right too often."""


@dataclass(frozen=True, slots=True)
class Round:
    """One proposal, its attempts and its verdict; `feedback` led from the round before to this proposal."""

    index: int
    proposal: Proposal
    attempts: tuple[Attempt, ...]
    verdict: Verdict
    feedback: Repair | None = None
    gates: tuple[GateResult, ...] = ()
    """Gate results of a proposal that passed its attempts, in order, up to the first gate that rejected it."""
    weak: WeakTrial | None = None
    """The weak solver's trial of a proposal that passed its attempts and gates, if there is a weak solver."""


class Reason(StrEnum):
    """Why a seed gave no item. Each rejected seed has exactly one reason, so the counts add up."""

    NO_PROPOSAL = "no_proposal"
    """The proposer ended without a readable question and answer."""
    NO_REPAIR = "no_repair"
    """A repair ended without a readable question and answer; the earlier rounds and the cause are kept."""
    UNCHANGED_REPAIR = "unchanged_repair"
    """A repair changed neither question nor answer; the failed question is not attempted again."""
    NO_MOVES = "no_moves"
    """Several proposer messages in a row contained no move."""
    LOOPING = "looping"
    """The proposer repeated the same search several times."""
    FILTERED = "filtered"
    """The content filter of the proposer's endpoint rejected the passage or the dialogue about it."""
    BAD_FORM = "bad_form"
    """The proposal breaks a rule of form: the answer is in the question, no evidence, wrong type, ..."""
    WRONG_KIND = "wrong_kind"
    """By its steps and derivation, the question is not of the requested kind."""
    TOO_EASY = "too_easy"
    """A right attempt needed fewer searches than the target, or too many attempts were right."""
    TOO_HARD = "too_hard"
    """Too few attempts were right."""
    UNSOLVED = "unsolved"
    """No attempt was right."""
    CLOSED_BOOK = "closed_book"
    """Gate: the question was answered without any passage."""
    UNSUPPORTED = "unsupported"
    """Gate: the question was not answered from its own evidence."""
    SHORTCUT = "shortcut"
    """Gate: one search with the question itself was enough."""
    AMBIGUOUS = "ambiguous"
    """Gate: another answer fits too."""
    SINGLE_DOCUMENT = "single_document"
    """Gate: one document of the evidence was enough."""
    UNNEEDED_EVIDENCE = "unneeded_evidence"
    """Gate: the question was answered although a document of the evidence was left out."""
    NOT_FINDABLE = "not_findable"
    """Gate: the retriever does not find a document of the evidence."""
    UNDATED = "undated"
    """Gate: the answer may change with time, and the question does not state a time."""
    WEAK_SOLVED = "weak_solved"
    """The weak solver answered the question more often than allowed."""
    HARD_OR_BROKEN = "hard_or_broken"
    """In hardening, no attempt gave the answer: the question is very hard, or its answer is wrong."""
    DUPLICATE = "duplicate"
    """The same question was accepted from an earlier seed of the run."""
    NEAR_DUPLICATE = "near_duplicate"
    """The question is similar to one accepted in an earlier wave, so it was not attempted."""
    UNSCORED = "unscored"
    """The judge gave no usable verdict on the attempts, so nothing is known about the question."""
    ERRORED = "errored"
    """Calls failed, so nothing could be decided; a resume plays the seed again."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A play that ended with a question of the wanted difficulty: its last round is the item."""

    seed: Seed
    rounds: tuple[Round, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A play that ended without an accepted question."""

    seed: Seed
    rounds: tuple[Round, ...]
    reason: Reason
    detail: str
    trajectory: Trajectory | None = None
    """The proposer's last rollout if it led to no round (nothing readable, bad form, errored)."""
