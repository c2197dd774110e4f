"""Labels traces and questions with a model, from closed sets of labels, by prompts in the folder next to this file.

Labels are only for reports; none decides what is accepted. A reply outside the set is not a label, and is counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar, cast

from questwell.agents.prompts import Prompts
from questwell.agents.session import Session
from questwell.agents.tools import Shelf, neutralise, show
from questwell.agents.transcript import transcript
from questwell.llm.client import Request
from questwell.llm.json_replies import json_value, said, schema_of
from questwell.types.corpus import Passage
from questwell.types.game import Proposal
from questwell.types.trajectory import Trajectory


class Strategy(StrEnum):
    """How an agent reasoned (SAGE, section 4); several may apply to one trace."""

    INFERENCE = "inference"
    CONFLICT_RESOLUTION = "conflict_resolution"
    HYPOTHESIS_GENERATION = "hypothesis_generation"
    SELF_CORRECTION = "self_correction"
    CALCULATION = "calculation"
    TEMPORAL_REASONING = "temporal_reasoning"


class Fault(StrEnum):
    """Who made the error when the answer was found but no attempt gave it."""

    SOLVER = "solver"
    PROPOSER = "proposer"
    AMBIGUOUS = "ambiguous"


class Depth(StrEnum):
    """Whether a question that was too easy only looked complex."""

    SUPERFICIAL = "superficial"
    OTHER = "other"


_L = TypeVar("_L", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Labeller:
    """A model that labels. Each method returns None if the reply is not in the set, and may raise LLMError."""

    prompts: Prompts
    structured: bool = False
    """Whether to ask for a reply that follows a JSON schema; for small models."""
    max_tokens: int = 8192
    """Maximum number of tokens of a reply, thoughts included."""

    async def strategies(self, question: str, trajectory: Trajectory, session: Session) -> frozenset[Strategy] | None:
        """How the agent of `trajectory` reasoned; may be empty."""
        trace = transcript(trajectory, Shelf())
        return await self._ask("label_strategies", Strategy, session, question=neutralise(question), trace=trace)

    async def fault(
        self, pair: Proposal, holding: Iterable[Passage], answers: Iterable[str], session: Session
    ) -> Fault | None:
        """Who made the error when the answer was found but no attempt gave it.

        `holding` are found passages that contain the reference, `answers` are the answers given.
        """
        found = await self._ask(
            "label_fault",
            Fault,
            session,
            **_pair(pair),
            passages="\n".join(show(passage, number) for number, passage in enumerate(holding, 1)),
            given=" | ".join(neutralise(answer, 100) for answer in answers) or "(none)",
        )
        return next(iter(found)) if found and len(found) == 1 else None

    async def depth(self, pair: Proposal, session: Session) -> Depth | None:
        """Whether the question only looks complex."""
        found = await self._ask("label_superficial", Depth, session, **_pair(pair))
        return next(iter(found)) if found and len(found) == 1 else None

    async def _ask(self, prompt: str, labels: type[_L], session: Session, **values: str) -> frozenset[_L] | None:
        request = Request(
            self.prompts.messages(prompt, **values),
            max_tokens=self.max_tokens,
            schema=_schema(labels) if self.structured else None,
        )
        return _read(said(await session.complete(request)), labels)


def _pair(pair: Proposal) -> dict[str, str]:
    steps = "\n".join(f"- {neutralise(step.query, 300)} -> {neutralise(step.answer, 100)}" for step in pair.steps)
    return {
        "question": neutralise(pair.question),
        "answer": neutralise(pair.answer, 200),
        "steps": steps or "(none written)",
    }


def _schema(labels: type[StrEnum]) -> str:
    one = {"type": "string", "enum": [label.value for label in labels]}
    several = {"type": "array", "items": one, "maxItems": len(labels)}
    return schema_of("labels", several)


def _read(reply: str, labels: type[_L]) -> frozenset[_L] | None:
    """The labels in a reply; None unless it is a JSON object of labels of the set."""
    given = json_value(reply, "labels")
    known = {label.value: label for label in labels}
    if not isinstance(given, list) or not all(
        isinstance(name, str) and name in known for name in cast(list[object], given)
    ):
        return None
    return frozenset(known[name] for name in cast(list[str], given))
