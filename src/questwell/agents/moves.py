"""Moves: what an agent may do in a message, whatever way it writes it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Search:
    """The model wants to search."""

    query: str
    others: tuple[str, ...] = ()
    """Further queries of the same call, which are not executed."""


@dataclass(frozen=True, slots=True)
class Open:
    """The model wants to read the document of a passage that it has seen."""

    passage: int
    """Its number."""
    page: int = 1


@dataclass(frozen=True, slots=True)
class Find:
    """The model wants to search inside the document of a passage that it has seen."""

    passage: int
    query: str


@dataclass(frozen=True, slots=True)
class Derived:
    """How an answer is worked out, as the model wrote it."""

    operation: str
    """A value of `Operation`."""
    operands: tuple[tuple[str, int | None], ...]
    """(words, number of the passage in which they stand)."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The model ends with an answer (solver) or a proposal (proposer)."""

    answer: str
    question: str = ""
    steps: tuple[tuple[str, str, int | None], ...] = ()
    """(query, sub-answer, number of the supporting passage)."""
    also: tuple[int, ...] = ()
    """Numbers of further passages that steps name."""
    derived: Derived | None = None
    """How the answer is worked out, where it is not copied."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """The message contains no move; `problem` tells the model what to write instead."""

    problem: str
    name: str = ""
    """Of the function that was called, where one was."""
    arguments: str = ""
    """As the model wrote them."""


Reader = Literal["open", "find"]
"""Tools for documents, which an agent may be offered besides the search."""
Move = Search | Open | Find | Finish | Malformed
