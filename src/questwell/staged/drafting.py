"""Turns the work of a staged agent into a draft with its trajectory, also when a call failed on the way."""

from collections.abc import Awaitable
from dataclasses import dataclass

from questwell.agents.proposer import Draft
from questwell.errors import ContextOverflow, LLMError, LLMFiltered, RetrievalError
from questwell.staged.session import StagedSession
from questwell.staged.wording import Fact, question, steps
from questwell.types.corpus import Passage
from questwell.types.derivation import Derivation
from questwell.types.game import Proposal, SolutionStep
from questwell.types.trajectory import Role, StopReason, Style, Trajectory


@dataclass(frozen=True, slots=True)
class Written:
    """The contents of a proposal, without its trajectory."""

    question: str
    answer: str
    aliases: tuple[str, ...]
    steps: tuple[SolutionStep, ...]
    evidence: tuple[Passage, ...]
    derivation: Derivation | None = None


async def draft_of(work: Awaitable[Written | str], staged: StagedSession) -> Draft:
    """Await `work` and return its draft; a failure of model or retriever is recorded in the draft, not raised."""
    stop, error = StopReason.GAVE_UP, ""
    try:
        result = await work
    except ContextOverflow as overflow:
        result, stop = f"context overflow: {overflow}", StopReason.CONTEXT
    except LLMFiltered as failure:
        result, error, stop = str(failure), str(failure), StopReason.FILTERED
    except (LLMError, RetrievalError) as failure:
        error = f"{type(failure).__name__}: {failure}"
        result, stop = error, StopReason.ERRORED
    trajectory = Trajectory(
        role=Role.PROPOSER,
        style=Style.STAGED,
        turns=tuple(staged.turns),
        stop=stop if isinstance(result, str) else StopReason.FINISHED,
        error=error,
        model=staged.session.model,
        prompts=staged.prompts.hash,
    )
    if isinstance(result, str):
        return Draft(None, trajectory, result)
    proposal = Proposal(
        result.question, result.answer, result.aliases, result.steps, result.evidence, trajectory, result.derivation
    )
    return Draft(proposal, trajectory)


def written_of(facts: tuple[Fact, ...]) -> Written:
    """Return the question made from facts, with one solution step per hop."""
    last = facts[-1].hop
    evidence = {fact.hop.passage.id: fact.hop.passage for fact in facts}
    aliases = () if last.inverse else last.value.aliases
    return Written(question(facts), last.found, aliases, steps(facts), tuple(evidence.values()))
