"""What a run leaves behind: items with their full lineage."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and money. None means not known, which is not 0."""

    calls: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    cost_usd: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Item:
    """An accepted question, flat and self-contained: one line of the exported dataset."""

    id: str
    question: str
    answer: str
    aliases: tuple[str, ...]
    answer_type: str
    target_steps: int | None
    difficulty: int
    """Fewest search steps in a right attempt, a count."""
    solve_rate: float
    """Right among scored attempts, a fraction in [0, 1]."""
    right: int
    scored: int
    round: int
    """The round that was accepted; 0 is the first proposal."""
    style: str
    seed_passage_id: str
    evidence_ids: tuple[str, ...]
    evidence_document_ids: tuple[str, ...]
    evidence_texts: tuple[str, ...]
    steps: tuple[tuple[str, str, str], ...]
    """(query, sub-answer, passage id) of the intended solution."""
    licences: tuple[str, ...]
    corpus: str
    index_snapshot: str
    proposer_model: str
    solver_model: str
    judge_model: str
    prompts: str
    run_id: str
    usage: Usage
    """Of the whole play, rejected rounds included."""
