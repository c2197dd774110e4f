"""Rules of form that every proposal must keep. A broken rule is reported as one sentence."""

import re
from collections.abc import Iterable, Sequence

from questwell.agents.derived import derivation_problem
from questwell.agents.tools import neutralise
from questwell.scoring.answers import contains, normalise
from questwell.scoring.kinds import has_type
from questwell.types.corpus import Passage
from questwell.types.derivation import Derivation
from questwell.types.game import AnswerType, Seed

_FORBIDDEN = re.compile(
    r"^\s*(why\b|how\b(?!\s+(many|much|long|old|far|tall|high|large|big|deep|wide|heavy|often|fast)\b))", re.I
)
MAX_ANSWER_WORDS = 10


_TYPE = {AnswerType.NUMBER: "a number", AnswerType.DATE: "a date", AnswerType.ENTITY: "an entity"}


def rewrite_problem(
    question: str, references: Sequence[str], evidence: Iterable[Passage], derivation: Derivation | None = None
) -> str | None:
    """The first rule that a rewritten question breaks; `references` are its given answer, then aliases."""
    if found := _question_problem(question):
        return found
    if any(contains(question, reference) for reference in references):
        return "The question contains its own answer."
    passages = tuple(evidence)
    if not passages:
        return "No step names a passage that you retrieved as its evidence."
    if derivation is not None:
        return derivation_problem(question, references[0], derivation, passages)
    texts = [f"{passage.title} {passage.text}" for passage in passages]
    if normalise(references[0]) not in _YES_OR_NO and not any(
        contains(text, reference) for text in texts for reference in references
    ):
        return "The answer does not stand in the passages that the steps name: name the one that says it too."
    return None


_YES_OR_NO = frozenset({"yes", "no", "true", "false"})


def _question_problem(question: str) -> str | None:
    if not 10 <= len(question.strip()) <= 1000:
        return "The question must have 10 to 1000 characters."
    if neutralise(question) != question:
        return "The question or the answer holds a tag, a chat marker or a control character."
    return "A question must not begin with How or Why." if _FORBIDDEN.match(question) else None


def problem(
    question: str, answer: str, seed: Seed, evidence: Iterable[Passage], derivation: Derivation | None = None
) -> str | None:
    """The first rule that question and answer break, as a sentence for the proposer; None if they keep all."""
    if found := _question_problem(question):
        return found
    if neutralise(answer) != answer:
        return "The question or the answer holds a tag, a chat marker or a control character."
    if not answer.strip():
        return "The answer is empty."
    if len(answer.split()) > MAX_ANSWER_WORDS or len(answer) > 100:
        return f"The answer is too long: at most {MAX_ANSWER_WORDS} words."
    if contains(question, answer):
        return "The question contains its own answer."
    types = (seed.answer_type, *seed.other_types)
    if not any(has_type(answer, answer_type, question) for answer_type in types):
        return f"The answer {answer!r} is not {' or '.join(_TYPE[answer_type] for answer_type in types)}."
    passages = tuple(evidence)
    if not passages:
        return "No step names a passage that you retrieved as its evidence."
    if derivation is not None:
        return derivation_problem(question, answer, derivation, passages)
    if not any(contains(f"{passage.title} {passage.text}", answer) for passage in passages):
        return (
            "The answer does not stand in the passages that the steps name. If it is worked out from facts, name the "
            "operation and its operands."
        )
    return None
