"""What a run leaves behind: items with their full lineage."""

from dataclasses import dataclass
from typing import TypeVar

from questwell.types.certificate import Certificate
from questwell.types.derivation import Derivation
from questwell.types.game import Label, SolutionStep
from questwell.types.gates import GateResult

_N = TypeVar("_N", int, float)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and money. None means not known, which is not 0."""

    calls: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        """Both together; what is not known of one is not known of the sum."""
        return Usage(
            self.calls + other.calls,
            _plus(self.prompt_tokens, other.prompt_tokens),
            _plus(self.completion_tokens, other.completion_tokens),
            _plus(self.cost_usd, other.cost_usd),
        )


@dataclass(frozen=True, slots=True)
class AttemptSummary:
    """An attempt in short."""

    label: Label
    searches: int
    """Number of search steps."""
    answer: str | None


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
    """Fewest search steps in a right attempt."""
    solve_rate: float
    """Right among scored attempts, a fraction in [0, 1]."""
    right: int
    scored: int
    round: int
    """The round that was accepted; 0 is the first proposal."""
    style: str
    seed_passage_id: str
    evidence_ids: tuple[str, ...]
    """Passages that the proposer retrieved and used; the next three are theirs, in the same order."""
    evidence_document_ids: tuple[str, ...]
    evidence_titles: tuple[str, ...]
    evidence_texts: tuple[str, ...]
    steps: tuple[SolutionStep, ...]
    """The intended solution."""
    attempts: tuple[AttemptSummary, ...]
    """The solver's attempts at this question: what the counts above are counted from."""
    licences: tuple[str, ...]
    """Licences of the evidence, each once."""
    corpus: str
    """A built-in name, or the name of the user's file or folder, without its path."""
    index_snapshot: str
    proposer_model: str
    solver_model: str
    judge_model: str
    prompts: str
    """Hash of the prompt files."""
    run_id: str
    usage: Usage
    """Usage of the whole play, rejected rounds included."""
    gates: tuple[GateResult, ...] = ()
    """What further checks found; empty when none were asked for."""
    review: str = ""
    """What a person decided: `accepted`, `edited, rechecked`, or `edited, not rechecked`; empty when nobody did.

    Of the last kind difficulty and solve rate are those of the question before the edit, and it has no attempts.
    """
    reviewers: tuple[str, ...] = ()
    """Who decided."""
    given_id: str = ""
    """Id of the question that a hardened one was made from."""
    given_question: str = ""
    """Text of the question that a hardened one was made from."""
    certificate: Certificate | None = None
    """What was measured about it; None of an item whose question was edited and not tried again."""
    derivation: Derivation | None = None
    """How the answer was worked out: the operation, and each operand with its words and its passage. None: copied."""
    kind: str = ""
    """Kind of question that was asked for and that its steps have; empty when none was asked for."""
    retriever: str = ""
    """What the agents searched, with the version of its ranking where it has one; empty in files of older versions."""


def _plus(one: _N | None, other: _N | None) -> _N | None:
    return None if one is None or other is None else one + other
