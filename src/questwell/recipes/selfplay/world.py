"""The world of self-play: retriever, answers and held-out questions."""

from collections.abc import Callable
from dataclasses import dataclass

from questwell.games.answers import Answers, Position
from questwell.recipes.selfplay.metrics import Truth
from questwell.retrieval.retriever import Retriever


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A question to evaluate on."""

    question: str
    references: tuple[str, ...]
    hops: int | None
    """Number of searches that it needs, if known."""


@dataclass(frozen=True, slots=True)
class World:
    """The retriever that agents search, and the questions they get."""

    retriever: Retriever
    answers: Callable[[Position], Answers]
    """Returns a source of answers that continues from a position."""
    held_out: tuple[HeldOut, ...]
    held_out_retriever: Retriever
    snapshot: str
    """Identifies this exact content."""
    known: str = ""
    """Identifies these exact known answers."""
    truth: Truth | None = None
    """Returns the right answer of any question, if the world knows it."""
