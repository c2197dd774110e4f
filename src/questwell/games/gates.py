"""Gates: further checks of a question, in addition to the attempts. Every gate fails closed.

Rules look only at the words. The other gates ask a reader (`agents/reader.py`) and judge its answer: RAG verification
(SSP, arXiv 2510.18821, section 3.2) and cheap checks that every game can use. If a model, judge or retriever fails, or
replies with nothing usable, the question is never accepted.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

from questwell.agents.session import Sessions
from questwell.errors import ContextOverflow, LLMError, RetrievalError
from questwell.games.asking import FIRST_ATTEMPT as FIRST_ATTEMPT
from questwell.games.asking import Asking, Found
from questwell.games.asking import Gatekeeper as Gatekeeper
from questwell.games.asking import Pair as Pair
from questwell.scoring.answers import contains
from questwell.types.corpus import Passage
from questwell.types.game import Place, Proposal, Reason
from questwell.types.gates import Gate, GateOutcome, GateResult

_ORDER = tuple(Gate)
FAILED = {
    Gate.CLOSED_BOOK: Reason.CLOSED_BOOK,
    Gate.EVIDENCE: Reason.UNSUPPORTED,
    Gate.SHORTCUT: Reason.SHORTCUT,
    Gate.UNIQUE: Reason.AMBIGUOUS,
    Gate.SINGLE_DOCUMENT: Reason.SINGLE_DOCUMENT,
    Gate.LEAVE_ONE_OUT: Reason.UNNEEDED_EVIDENCE,
    Gate.FINDABLE: Reason.NOT_FINDABLE,
    Gate.DATED: Reason.UNDATED,
}
"""The reason for which the game rejects a proposal, by gate."""


def pair_of(proposal: Proposal) -> Pair:
    """The parts of a proposal that gates check."""
    return Pair(
        proposal.question,
        (proposal.answer, *proposal.aliases),
        tuple(proposal.evidence),
        derived=proposal.derivation is not None,
        queries=tuple(step.query for step in proposal.steps),
    )


def reason_of(result: GateResult) -> Reason:
    """Why the game rejects a question that this gate did not pass."""
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
    """The results of `gates` in their fixed order; with `stop`, only up to the first gate that rejects the pair."""
    results: list[GateResult] = []
    for gate in sorted(set(gates), key=_ORDER.index):
        results.append(await check(gate, pair, keeper, place, sessions, random_seed))
        if stop and results[-1].outcome is not GateOutcome.PASSED:
            break
    return tuple(results)


async def check(
    gate: Gate, pair: Pair, keeper: Gatekeeper, place: Place, sessions: Sessions, random_seed: int
) -> GateResult:
    """The result of `gate`. Its calls are recorded under the seed and round of `place` and the gate's own role."""
    asking = Asking(pair, keeper, place, FIRST_ATTEMPT + _ORDER.index(gate), sessions, random_seed)
    try:
        found = await asking.ask(gate)
    except ContextOverflow as error:
        found = Found(GateOutcome.UNSCORED, f"{type(error).__name__}: {error}")
    except (LLMError, RetrievalError) as error:
        found = Found(GateOutcome.ERRORED, f"{type(error).__name__}: {error}")
    return GateResult(gate, found.outcome, found.reason, found.right, found.asked, found.ranks)


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


def leak(question: str, references: Iterable[str]) -> str | None:
    """Which answer the question contains as whole words, ignoring case, as a sentence; None if it contains none."""
    for reference in references:
        if contains(question, reference):
            return f"the question holds its answer {reference!r}"
    return None
