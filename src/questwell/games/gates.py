"""Gates: what a question must pass beside attempts, as functions that return a reason. Every gate fails closed.

Rules look at the words alone. The others ask a reader (`agents/reader.py`) and judge what it says: RAG verification
(SSP, arXiv 2510.18821, section 3.2) and four cheap checks that both games can use. A model, judge or retriever that
fails, or says nothing usable, never lets a question through.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from questwell.agents.reader import Reader
from questwell.agents.session import Sessions
from questwell.errors import ContextOverflow, LLMError, RetrievalError
from questwell.scoring.answers import contains
from questwell.scoring.exact import AnswerJudge
from questwell.types.corpus import Passage
from questwell.types.game import Gate, GateOutcome, GateResult, Judgement, Label, Place, Reason
from questwell.types.trajectory import Role

FIRST_ATTEMPT = 100
"""Gates play at attempts from here on, so that their calls are told from those of solver attempts (at most 100)."""
_ORDER = tuple(Gate)
FAILED = {
    Gate.CLOSED_BOOK: Reason.CLOSED_BOOK,
    Gate.EVIDENCE: Reason.UNSUPPORTED,
    Gate.SHORTCUT: Reason.SHORTCUT,
    Gate.UNIQUE: Reason.AMBIGUOUS,
}
"""Why a proposal that a gate stops gives no item."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What is checked."""

    question: str
    references: tuple[str, ...]
    """The reference answer, then other spellings of it."""
    evidence: tuple[Passage, ...]
    """What the proposer retrieved and used."""
    derived: bool = False
    """The answer is worked out from facts, so that it need not stand in a passage."""


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Who checks."""

    reader: Reader
    judge: AnswerJudge
    top_k: int = 3
    """Passages that the gates' own search takes."""


def reason_of(result: GateResult) -> Reason:
    """Why the game rejects what this gate did not let through."""
    match result.outcome:
        case GateOutcome.UNSCORED:
            return Reason.UNSCORED
        case GateOutcome.ERRORED:
            return Reason.ERRORED
        case GateOutcome.FAILED:
            return FAILED[result.gate]
        case GateOutcome.PASSED:
            raise ValueError(f"{result} let the question through")


async def check_all(
    gates: Iterable[Gate],
    pair: Pair,
    keeper: Gatekeeper,
    place: Place,
    sessions: Sessions,
    random_seed: int,
    *,
    stop: bool = True,
) -> tuple[GateResult, ...]:
    """The results of `gates`, in their fixed order; with `stop`, up to the first that does not let the pair through."""
    results: list[GateResult] = []
    for gate in sorted(set(gates), key=_ORDER.index):
        results.append(await check(gate, pair, keeper, place, sessions, random_seed))
        if stop and results[-1].outcome is not GateOutcome.PASSED:
            break
    return tuple(results)


async def check(
    gate: Gate, pair: Pair, keeper: Gatekeeper, place: Place, sessions: Sessions, random_seed: int
) -> GateResult:
    """What `gate` finds. Seed and round are those of `place`; the calls are kept under places of the gate's own."""
    asking = _Asking(pair, keeper, place, FIRST_ATTEMPT + _ORDER.index(gate), sessions, random_seed)
    try:
        match gate:
            case Gate.CLOSED_BOOK:
                outcome, reason = await asking.closed_book()
            case Gate.EVIDENCE:
                outcome, reason = await asking.verified(pair.evidence)
            case Gate.SHORTCUT:
                outcome, reason = await asking.shortcut()
            case Gate.UNIQUE:
                outcome, reason = await asking.unique()
    except ContextOverflow as error:
        outcome, reason = GateOutcome.UNSCORED, f"{type(error).__name__}: {error}"
    except (LLMError, RetrievalError) as error:
        outcome, reason = GateOutcome.ERRORED, f"{type(error).__name__}: {error}"
    return GateResult(gate, outcome, reason)


async def verify(
    pair: Pair, noise: Sequence[Passage], keeper: Gatekeeper, place: Place, sessions: Sessions, random_seed: int
) -> GateResult:
    """RAG verification: whether the pair's evidence, shuffled among `noise`, gives the reference answer.

    The paper takes 4 noise documents, from other proposers' searches; without any it is the evidence gate.
    """
    shown = list({passage.id: passage for passage in (*pair.evidence, *noise)}.values())
    random.Random(random_seed).shuffle(shown)
    shuffled = replace(pair, evidence=tuple(shown)) if pair.evidence else pair
    return await check(Gate.EVIDENCE, shuffled, keeper, place, sessions, random_seed)


@dataclass(frozen=True, slots=True)
class _Asking:
    """One gate at one pair."""

    pair: Pair
    keeper: Gatekeeper
    at: Place
    attempt: int
    sessions: Sessions
    random_seed: int

    async def closed_book(self) -> tuple[GateOutcome, str]:
        reader = self.sessions(self._place(Role.SOLVER))
        answer = await self.keeper.reader.recall(self.pair.question, reader, self.random_seed)
        match await self._judged(answer):
            case None:
                return GateOutcome.PASSED, "not known without searching"
            case Judgement(label=Label.RIGHT):
                return GateOutcome.FAILED, f"answered without any passage: {answer!r}"
            case Judgement(label=Label.WRONG):
                return GateOutcome.PASSED, f"without any passage the answer is {answer!r}, which is wrong"
            case judgement:
                return _unusable(judgement)

    async def verified(self, passages: tuple[Passage, ...]) -> tuple[GateOutcome, str]:
        if not passages:
            return GateOutcome.FAILED, "there is no evidence"
        reader = self.sessions(self._place(Role.SOLVER))
        answer = await self.keeper.reader.read(self.pair.question, passages, reader, self.random_seed)
        match await self._judged(answer):
            case None:
                return GateOutcome.FAILED, f"the {len(passages)} passages do not settle it"
            case Judgement(label=Label.RIGHT):
                return GateOutcome.PASSED, f"the {len(passages)} passages give {answer!r}"
            case Judgement(label=Label.WRONG):
                return GateOutcome.FAILED, f"the {len(passages)} passages give {answer!r}"
            case judgement:
                return _unusable(judgement)

    async def shortcut(self) -> tuple[GateOutcome, str]:
        reader = self.sessions(self._place(Role.SOLVER))
        hits = await reader.search(self.pair.question, self.keeper.top_k)
        found = tuple(hit.passage for hit in hits)
        if not found:
            return GateOutcome.PASSED, "one search with the question itself finds nothing"
        answer = await self.keeper.reader.read(self.pair.question, found, reader, self.random_seed)
        match await self._judged(answer):
            case None:
                return GateOutcome.PASSED, "one search with the question itself does not settle it"
            case Judgement(label=Label.RIGHT):
                return GateOutcome.FAILED, f"one search with the question itself gives {answer!r}"
            case Judgement(label=Label.WRONG):
                return GateOutcome.PASSED, f"one search with the question itself gives {answer!r}, which is wrong"
            case judgement:
                return _unusable(judgement)

    async def unique(self) -> tuple[GateOutcome, str]:
        reader = self.sessions(self._place(Role.SOLVER))
        hits = await reader.search(self.pair.question, self.keeper.top_k)
        shown = tuple({p.id: p for p in (*self.pair.evidence, *(hit.passage for hit in hits))}.values())
        answers = await self.keeper.reader.every(self.pair.question, shown, reader, self.random_seed)
        if answers is None:
            return GateOutcome.UNSCORED, "the reader's reply cannot be read"
        text = " ".join(f"{passage.title} {passage.text}" for passage in shown)
        others: list[str] = []
        right = False
        for answer in answers:
            judgement = await self._judged(answer)
            if judgement is None or judgement.label is Label.WRONG:
                others.append(answer)
            elif judgement.label is Label.RIGHT:
                right = True
            else:
                return _unusable(judgement)
        # What stands nowhere fits nothing, unless answers are worked out.
        grounded = others if self.pair.derived else [other for other in others if contains(text, other)]
        if grounded:
            return GateOutcome.FAILED, f"also fits: {', '.join(map(repr, grounded))}"
        if not right:
            return GateOutcome.FAILED, "the reference is not among the answers that the passages allow"
        return GateOutcome.PASSED, f"of {len(shown)} passages no other answer was read"

    async def _judged(self, answer: str | None) -> Judgement | None:
        """The judgement of what the reader said; None when it said that it does not know."""
        if answer is None:
            return Judgement(Label.UNSCORED, "reader", "the reader's reply cannot be read")
        if not answer:
            return None
        judge = self.sessions(self._place(Role.JUDGE))
        return await self.keeper.judge.judge(self.pair.question, self.pair.references, answer, judge.complete)

    def _place(self, role: Role) -> Place:
        return Place(self.at.seed, self.at.round, role, self.attempt)


def _unusable(judgement: Judgement) -> tuple[GateOutcome, str]:
    """What a judgement that is neither right nor wrong makes of a gate."""
    outcome = GateOutcome.UNSCORED if judgement.label is Label.UNSCORED else GateOutcome.ERRORED
    return outcome, judgement.reason or "the judge said nothing usable"


def leak(question: str, references: Iterable[str]) -> str | None:
    """Which answer stands in the question, as a sentence; None when none does: by whole words, case aside."""
    for reference in references:
        if contains(question, reference):
            return f"the question holds its answer {reference!r}"
    return None
