"""Baselines for search agents: the model answers from memory, or from one search with the question itself.

Each makes one model call and asks for a best guess, because a baseline that may say "unknown" would look too weak.
"""

from dataclasses import dataclass

from questwell.agents.moves import Finish
from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.session import Session
from questwell.agents.tools import Shelf, neutralise
from questwell.errors import ContextOverflow, LLMError, LLMFiltered, RetrievalError
from questwell.llm.client import Completion, Message, Request
from questwell.llm.json_replies import json_text, said, schema_of
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn

_TAG_RULES = "Write <answer>the short answer only</answer>: a bare name, number or date, one candidate."
_SCHEMA_RULES = 'Reply with {"answer": "..."}: the short answer only, a bare name, number or date, one candidate.'
_SCHEMA = schema_of("answer", {"type": "string", "maxLength": 100})


@dataclass(frozen=True, slots=True)
class OneCall:
    """A solver that makes one model call."""

    prompts: Prompts
    sampling: Sampling
    top_k: int = 0
    """Number of passages from one search with the question; 0 does not search and answers from memory."""
    structured: bool = False
    """Whether to ask for a reply that follows a JSON schema; for small models."""

    async def solve(self, question: str, session: Session, random_seed: int) -> Trajectory:
        """One rollout with a single model call, as `Solver.solve`."""
        turns: list[Turn] = []
        answer, stop, error = None, StopReason.GAVE_UP, ""
        try:
            messages = await self._opening(question, session, turns)
            request = Request(
                messages,
                max_tokens=self.sampling.max_tokens,
                temperature=self.sampling.temperature,
                stop=() if self.structured else ("</answer>",),
                seed=random_seed,
                schema=_SCHEMA if self.structured else None,
            )
            completion = await session.complete(request)
            turns.append(Turn(completion.text, reasoning=completion.reasoning))
            answer = _read(completion, structured=self.structured)
            stop = StopReason.GAVE_UP if answer is None else StopReason.FINISHED
        except ContextOverflow:
            stop = StopReason.CONTEXT
        except LLMFiltered as failure:
            stop, error = StopReason.FILTERED, str(failure)
        except (LLMError, RetrievalError) as failure:
            stop, error = StopReason.ERRORED, f"{type(failure).__name__}: {failure}"
        return Trajectory(
            role=Role.SOLVER,
            style=Style.STAGED if self.structured else Style.FREE,
            turns=tuple(turns),
            stop=stop,
            answer=answer,
            error=error,
            model=session.model,
            prompts=self.prompts.hash,
        )

    async def _opening(self, question: str, session: Session, turns: list[Turn]) -> tuple[Message, ...]:
        rules = _SCHEMA_RULES if self.structured else _TAG_RULES
        shown = neutralise(question)
        if not self.top_k:
            return self.prompts.messages("closed_book", rules=rules, question=shown)
        hits = await session.search(question, self.top_k)
        passages = Shelf().show(hits)
        turns.append(Turn("", question, hits, passages))
        return self.prompts.messages("one_shot", rules=rules, question=shown, passages=passages)


def _read(completion: Completion, *, structured: bool) -> str | None:
    """The answer in a reply; None if there is none, or if the reply was cut off."""
    if structured:
        return json_text(said(completion), "answer") or None
    move = Tags().read(completion)[1]
    return move.answer if isinstance(move, Finish) else None
