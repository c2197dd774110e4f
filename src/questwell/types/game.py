"""What a game makes of rollouts, in the order of the flow: seed, proposal, attempts, verdict, feedback, outcome."""

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
    """Several clues, each from another passage, that fit one thing together."""
    COMPARISON = "comparison"
    """Which of several things comes first, or last."""
    CALCULATION = "calculation"
    """A number that is worked out from facts of several passages."""
    TEMPORAL = "temporal"
    """A time decides the answer."""


@dataclass(frozen=True, slots=True)
class Seed:
    """What one SAGE proposal starts from."""

    index: int
    """Position in the run, from 0: with the run's random seed it fixes everything else here."""
    passage: Passage
    target: int | None
    """S, the search steps that a right attempt must need; None is the paper's "S unspecified"."""
    answer_type: AnswerType
    """The kind of answer to ask for."""
    other_types: tuple[AnswerType, ...] = ()
    """Kinds that are accepted too, when the corpus offers none of the first."""
    random_seed: int = 0
    """Start of every random choice of this play."""
    kind: QuestionKind | None = None
    """The kind of question to ask for; None leaves it open."""
    about: str = ""
    """The user's topic, or the words that name the cluster of the corpus, that the passage was drawn for."""
    digits: int = ID_DIGITS
    """Digits of the id."""

    @property
    def id(self) -> str:
        """Name within the run, sortable: `s00000042`."""
        return seed_name(self.index, self.digits)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a game an agent plays: with the order of its calls, the key under which they are kept."""

    seed: str
    round: int
    role: Role
    attempt: int = 0

    def random_seed(self, start: int) -> int:
        """A number in [0, 2**31) fixed by `start` and this place: what is sampled here differs from any other place."""
        text = f"{start}/{self.seed}/{self.round}/{self.role}/{self.attempt}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


@dataclass(frozen=True, slots=True)
class SolutionStep:
    """One search step of the intended solution."""

    query: str
    answer: str
    """The sub-answer that this step yields."""
    passage_id: str
    """The passage that supports it; empty when the proposer named none that it retrieved."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A question with its reference answer, and where both come from."""

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
    """How the answer was worked out; None for one that is copied from the evidence."""


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
    """What decided: `exact_match`, `no_answer`, `numbers`, `llm`, `rollout`."""
    reason: str = ""
    """What the judge wrote, or what failed."""


def failed_rollout(trajectory: Trajectory) -> Judgement | None:
    """The judgement of a rollout that failed; None for one that a judge can decide.

    ERRORED for a call that failed and may be made again, UNSCORED for a text that the endpoint's filter never takes:
    neither says anything about the question.
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
    """One independent solver rollout, judged."""

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
    """Solved, in fewer search steps (or more often) than was asked for."""
    TOO_HARD = "too_hard"
    """Solved, but less often than the pass-rate band asks for (that policy only)."""
    UNSOLVED = "unsolved"
    """No attempt was right: the reference answer may be wrong."""
    UNSCORED = "unscored"
    ERRORED = "errored"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the attempts say about a proposal."""

    outcome: Outcome
    right: int
    """Number of attempts judged right."""
    scored: int
    """Number of attempts judged right or wrong; the rest say nothing about the question."""
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
    """Which of SAGE's two kinds (section 3)."""

    DIFFICULTY = "difficulty"
    CORRECTNESS = "correctness"
    GATE = "gate"
    """Not of SAGE: a gate did not let the question through."""
    WEAK = "weak"
    """Not of SAGE: a weak solver answered it too."""


@dataclass(frozen=True, slots=True)
class ExecutionFeedback:
    """What the attempts at a proposal showed, given to the proposer (SAGE section 3)."""

    kind: FeedbackKind
    shown: Attempt | None
    """The attempt that it is shown; None when there was none."""
    verdict: str = ""
    """The outcome of the attempts, in a sentence."""
    gate: Gate | None = None
    """The gate that stopped the question, if one did."""
    weak: Attempt | None = None
    """The weak solver's attempt that it is shown too, if that stopped the question."""

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
    """Why a seed gave no item: exactly one each, so that the funnel adds up."""

    NO_PROPOSAL = "no_proposal"
    """The proposer ended without a question and an answer that can be read."""
    NO_REPAIR = "no_repair"
    """The same after a proposal that failed, when a repair was asked for; the rounds are kept, and why it failed."""
    UNCHANGED_REPAIR = "unchanged_repair"
    """A repair that changed neither question nor answer: what failed once is not attempted again."""
    NO_MOVES = "no_moves"
    """Several messages of the proposer in a row held no move."""
    LOOPING = "looping"
    """The proposer searched for the same again and again."""
    FILTERED = "filtered"
    """The content filter of the proposer's endpoint does not take the passage or what followed from it."""
    BAD_FORM = "bad_form"
    """The proposal breaks a rule of form: answer inside the question, no evidence, wrong type ..."""
    WRONG_KIND = "wrong_kind"
    """The pair is no question of the kind that was asked for, by its steps and its derivation."""
    TOO_EASY = "too_easy"
    """A right attempt needed fewer searches than wanted, or more attempts were right than may be."""
    TOO_HARD = "too_hard"
    """Fewer attempts were right than must be."""
    UNSOLVED = "unsolved"
    """No attempt was right."""
    CLOSED_BOOK = "closed_book"
    """A gate: answered without any passage."""
    UNSUPPORTED = "unsupported"
    """A gate: not answered from its own evidence."""
    SHORTCUT = "shortcut"
    """A gate: one search with the question itself was enough."""
    AMBIGUOUS = "ambiguous"
    """A gate: another answer fits too."""
    SINGLE_DOCUMENT = "single_document"
    """A gate: one document of the evidence was enough."""
    UNNEEDED_EVIDENCE = "unneeded_evidence"
    """A gate: the answer was given although a document of the evidence was left out."""
    NOT_FINDABLE = "not_findable"
    """A gate: the retriever does not find a document of the evidence."""
    UNDATED = "undated"
    """A gate: the answer may change with time, and the question does not say for when."""
    WEAK_SOLVED = "weak_solved"
    """The weak solver answered it too, more often than it may."""
    HARD_OR_BROKEN = "hard_or_broken"
    """In hardening, no attempt gave the answer: the question is very hard, or its answer is wrong."""
    DUPLICATE = "duplicate"
    """The same question was accepted from an earlier seed of the run."""
    NEAR_DUPLICATE = "near_duplicate"
    """Nearly a question that was accepted in an earlier wave; it was not attempted."""
    UNSCORED = "unscored"
    """The judge could not say whether the attempts were right: nothing is known about the question."""
    ERRORED = "errored"
    """Calls failed until nothing could be decided; a resume plays the seed again."""


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
    """The proposer's last rollout when it led to no round (nothing parseable, bad form, errored)."""
