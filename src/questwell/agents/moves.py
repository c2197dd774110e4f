"""Moves: the actions that an agent can take in a message, independent of how it writes them."""

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
    """Number of the passage."""
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
    """(words, number of the passage that contains them)."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The model ends with an answer (solver) or a proposal (proposer)."""

    answer: str
    question: str = ""
    steps: tuple[tuple[str, str, int | None], ...] = ()
    """(query, sub-answer, number of the supporting passage)."""
    also: tuple[int, ...] = ()
    """Numbers of other passages that the steps name."""
    derived: Derived | None = None
    """How the answer is worked out, if it is not copied from a passage."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """The message contains no move; `problem` tells the model what to write instead."""

    problem: str
    name: str = ""
    """Name of the function that was called, if one was."""
    arguments: str = ""
    """The arguments of the call, as the model wrote them."""


Reader = Literal["open", "find"]
"""Document tools that an agent may have in addition to the search."""
Move = Search | Open | Find | Finish | Malformed
