"""What agents are measured on: questions of a benchmark."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a benchmark, as its own files state it."""

    id: str
    """Unique in its benchmark."""
    question: str
    answers: tuple[str, ...]
    """Spellings that count as right, the reference first; never joined into one string."""
    benchmark: str
    group: str = ""
    """Group of the question in the benchmark's own terms: `2 hops`, `level 1`, `difficulty 4`; may be empty."""
    evidence: tuple[str, ...] = ()
    """Ids or titles of the passages that answer it, as the benchmark names them; empty when it does not."""
