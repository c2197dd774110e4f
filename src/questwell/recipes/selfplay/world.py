"""What self-play is played in: retriever, answers, held-out questions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from questwell.games.answers import Answers, Position
from questwell.recipes.selfplay.metrics import Truth
from questwell.retrieval.retriever import Retriever

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A question to evaluate on."""

    question: str
    references: tuple[str, ...]
    hops: int | None
    """Searches that it needs, if known."""


@dataclass(frozen=True, slots=True)
class World:
    """The world that is played in: where agents search, and which questions they get."""

    retriever: Retriever
    answers: Callable[[Position], Answers]
    """A source of answers that goes on from a position."""
    held_out: tuple[HeldOut, ...]
    held_out_retriever: Retriever
    snapshot: str
    """Names exactly this content."""
    known: str = ""
    """Names exactly these known answers."""
    truth: Truth | None = None
    """The right answer of any question, where the world knows it."""
