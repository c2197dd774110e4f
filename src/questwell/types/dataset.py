"""Items, the results of a run, with their full history."""

from dataclasses import dataclass

from questwell.types.certificate import Certificate
from questwell.types.derivation import Derivation
from questwell.types.game import Label, SolutionStep
from questwell.types.gates import GateResult
from questwell.types.usage import Usage


@dataclass(frozen=True, slots=True)
class AttemptSummary:
    """Summary of an attempt."""

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
    """Share of right attempts among the scored ones, a fraction in [0, 1]."""
    right: int
    scored: int
    round: int
    """The round that was accepted; 0 is the first proposal."""
    style: str
    seed_passage_id: str
    evidence_ids: tuple[str, ...]
    """Ids of the passages that the proposer retrieved and used; the next three fields have the same order."""
    evidence_document_ids: tuple[str, ...]
    evidence_titles: tuple[str, ...]
    evidence_texts: tuple[str, ...]
    steps: tuple[SolutionStep, ...]
    """The intended solution."""
    attempts: tuple[AttemptSummary, ...]
    """The solver's attempts at this question, from which the counts above are computed."""
    licences: tuple[str, ...]
    """Licences of the evidence, without repeats."""
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
    """Results of further checks; empty if none ran."""
    review: str = ""
    """Decision of a reviewer: `accepted`, `edited, rechecked`, or `edited, not rechecked`; empty without a review.

    For `edited, not rechecked`, difficulty and solve rate are those before the edit, and there are no attempts.
    """
    reviewers: tuple[str, ...] = ()
    """Names of the reviewers."""
    given_id: str = ""
    """Id of the question that a hardened one was made from."""
    given_question: str = ""
    """Text of the question that a hardened one was made from."""
    certificate: Certificate | None = None
    """Measurements of the item; None if the question was edited and not tried again."""
    derivation: Derivation | None = None
    """How the answer was computed: the operation and its operands. None if the answer is copied from a passage."""
    kind: str = ""
    """Kind of question that was requested and confirmed by its steps; empty if none was requested."""
    retriever: str = ""
    """Retriever that the agents used, with the version of its ranking if it has one; empty in older files."""
