"""Questions of a benchmark."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a benchmark, as stated in its files."""

    id: str
    """Id, unique in its benchmark."""
    question: str
    answers: tuple[str, ...]
    """Accepted answers, the reference first; never joined into one string."""
    benchmark: str
    group: str = ""
    """Group of the question in the benchmark's own terms: `2 hops`, `level 1`, `difficulty 4`; may be empty."""
    evidence: tuple[str, ...] = ()
    """Ids or titles of the passages that answer it, as the benchmark names them; empty if it names none."""
