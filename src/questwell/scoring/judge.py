"""Judges one answer: by code if that is safe, otherwise by a strict LLM judge that fails closed."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from questwell.errors import LLMError, LLMFiltered
from questwell.llm.client import Completion, Message, Request
from questwell.llm.json_replies import json_value, said
from questwell.llm.speech import spoken
from questwell.scoring.answers import same
from questwell.scoring.quantities import compare_numbers
from questwell.types.game import Judgement, Label

Complete = Callable[[Request], Awaitable[Completion]]
"""The call to the judge model: a session's `complete`."""

Opening = Callable[[str, tuple[str, ...], str], tuple[Message, ...]]
"""From (question, references, answer) to the messages of the judge's prompt."""

_STATED = re.compile(r"^\W*verdict\W*\b(\w+)\W*$", re.MULTILINE)
_YES_NO = {"yes": True, "true": True, "no": False, "false": False}
_SCHEMA = (  # `schema_of` with other spaces; recorded judgements are keyed by this text, so it must not change
    '{"type":"object","properties":{"verdict":{"type":"string","enum":["yes","no"]}},'
    '"required":["verdict"],"additionalProperties":false}'
)


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides whether an answer means the same as the reference."""

    opening: Opening
    structured: bool = False
    """Whether to ask for a verdict that follows a JSON schema; for small models."""
    asks: int = 2
    """Maximum number of times that the model is asked; without a usable reply the answer is unscored."""
    max_tokens: int = 4096
    """Maximum number of tokens of a reply, thoughts included."""
    temperature: float = 0.0
    always: bool = False
    """Whether to ask the model about every answer, even if equal words or numbers already decide."""

    async def judge(
        self, question: str, references: tuple[str, ...], answer: str | None, complete: Complete
    ) -> Judgement:
        """The judgement of `answer`; ERRORED if the judge model failed, UNSCORED if its reply was unusable."""
        if answer is None or not answer.strip():
            return Judgement(Label.WRONG, "no_answer")
        if not self.always and (decided := decide_unasked(references, answer)):
            return decided
        messages = self.opening(question, references, answer)
        reply = ""
        for ask in range(self.asks):
            request = Request(
                messages,
                max_tokens=self.max_tokens,
                temperature=self.temperature,
                seed=ask,
                schema=_SCHEMA if self.structured else None,
            )
            try:
                completion = await complete(request)
            except LLMFiltered as error:
                return Judgement(Label.UNSCORED, "llm", str(error))
            except LLMError as error:
                return Judgement(Label.ERRORED, "llm", f"{type(error).__name__}: {error}")
            reply = completion.text
            match verdict(said(completion)):
                case True:
                    return Judgement(Label.RIGHT, "llm", reply)
                case False:
                    return Judgement(Label.WRONG, "llm", reply)
                case None:
                    continue
        return Judgement(Label.UNSCORED, "llm", reply if reply.strip() else "the judge's reply was empty")


def verdict(reply: str) -> bool | None:
    """The verdict in a judge's reply: True for yes, False for no, None if it is not exactly one of the two.

    The reply, thoughts removed, must be the bare word, `{"verdict": "yes"}`, or end with a line `verdict: yes`.
    A substring never counts: "Incorrect" contains "correct". Text after the verdict may withdraw it, and a thought that
    was cut off has reached no verdict.
    """
    text = spoken(reply).lower()
    if (written := json_value(reply, "verdict")) is not None:
        taken_back = text.rpartition("}")[2].strip(" \n`.]")
        return None if taken_back else _YES_NO.get(str(written).strip(" .!").lower())
    stated = list(_STATED.finditer(text))
    if stated and stated[-1].end() < len(text):
        return None
    words = {found[1] for found in stated} or {text.strip(" .!*\"'`")}
    if words == {"yes"}:
        return True
    if words == {"no"}:
        return False
    return None


def decide_unasked(references: tuple[str, ...], answer: str) -> Judgement | None:
    """The judgement if no model is needed: equal words, or plain numbers on both sides; otherwise None.

    A small judge model may accept a wrong year; arithmetic does not. `method` records that no judge was asked.
    """
    if same(answer, references):
        return Judgement(Label.RIGHT, "exact_match")
    compared = [compare_numbers(answer, reference) for reference in references]
    if True in compared:
        return Judgement(Label.RIGHT, "numbers", "the same number")
    if compared and all(equal is False for equal in compared):
        return Judgement(Label.WRONG, "numbers", "another number")
    return None
