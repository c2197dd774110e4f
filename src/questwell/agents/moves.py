"""Moves: what an agent may do in a message, whatever way it writes it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Search:
    """The model wants to search."""

    query: str
    others: tuple[str, ...] = ()
    """Further queries of the same call, which are not executed."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The model ends with an answer (solver) or a proposal (proposer)."""

    answer: str
    question: str = ""
    steps: tuple[tuple[str, str, int | None], ...] = ()
    """(query, sub-answer, number of the supporting passage)."""
    also: tuple[int, ...] = ()
    """Numbers of further passages that steps name."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """The message holds no move; `problem` tells the model what to write instead."""

    problem: str
    name: str = ""
    """Of the function that was called, where one was."""
    arguments: str = ""
    """As the model wrote them."""


Move = Search | Finish | Malformed
