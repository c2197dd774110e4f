"""The SSP proposer: starts from a known answer, searches backwards through the corpus, and writes a question.

It ends with only a question, because the answer was given to it. Moves are tags; the loop is that of all agents.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from questwell.agents.moves import Finish, Malformed, Move, Search
from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling, carried, too_long
from questwell.agents.rollout import RolloutLimits, rollout
from questwell.agents.session import Session
from questwell.agents.tools import Shelf, neutralise, show
from questwell.llm.client import Completion, FinishReason, Message, Request
from questwell.llm.speech import hear
from questwell.types.selfplay import AnswerSeed
from questwell.types.trajectory import Role, Style, Trajectory


@dataclass(frozen=True, slots=True)
class SelfPlayDraft:
    """The result of the proposer: a question or the reason why there is none, and its trajectory."""

    question: str | None
    trajectory: Trajectory
    problem: str = ""
    """Why there is no question; empty if there is one."""


class SelfPlayProposer(Protocol):
    """An agent that writes a question for a given answer."""

    async def challenge(self, seed: AnswerSeed, session: Session, random_seed: int) -> SelfPlayDraft:
        """One rollout. Failures of a provider are in the trajectory (ERRORED), not raised."""
        ...


_MOVE = re.compile(r"<(search|question)>(.*?)</\1>", re.DOTALL)
_OPEN = re.compile(r"<(search|question)>(?!.*</\1>)", re.DOTALL)
_OPEN_SEARCH = re.compile(r"<(search)>(?!.*</?search>)", re.DOTALL)
_LAST_SEARCH = re.compile(r"<(search)>((?:(?!<search>).)*)</search>\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AskingTags:
    """`<think> <search> <information>`, and `<question>` to end. Implements `Dialect`."""

    @property
    def rules(self) -> str:
        """How to write a move."""
        return (
            "Think inside <think>...</think>. Then write exactly one move: <search>your query</search>, whose results "
            "you will be shown inside <information>, or, to end, <question>your question</question>."
        )

    def request(self, dialogue: Sequence[Message], sampling: Sampling, seed: int) -> Request:
        """A chat request that stops at the end of a move."""
        return Request(
            tuple(dialogue),
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            stop=("</search>", "</question>", "<information>"),
            seed=seed,
        )

    def read(self, completion: Completion) -> tuple[str, Move]:
        """Close the tag at which the engine stopped, then read the first move after the thoughts.

        If a message was cut off at its limit, an open tag stays open, so it is not a move.
        """
        text = completion.text
        if completion.finish is not FinishReason.LENGTH:
            heard = hear(text)
            if opened := _OPEN.search(heard.masked) or (heard.unclosed and _OPEN_SEARCH.search(text)):
                text = f"{text}</{opened[1]}>"
        move, end = _move(text)
        return text if not text[end:].strip() else text[:end], too_long(move, completion)

    def reply(self, text: str, completion: Completion, observation: str) -> tuple[Message, ...]:
        """The observation goes inside `<information>`."""
        return (
            replace(carried(completion), content=text),
            Message("user", f"<information>\n{observation}\n</information>"),
        )


def _move(text: str) -> tuple[Move, int]:
    """(the first move of a message, the index where it ends). A search may also end an unclosed thought."""
    heard = hear(text)
    found = _MOVE.search(heard.masked) or (_LAST_SEARCH.search(text) if heard.unclosed else None)
    if found is None:
        return Malformed("No move was found. Write <search>your query</search> or <question>...</question>."), len(text)
    tag, said = found[1], found[2].strip()
    if not said:
        return Malformed(f"The {tag} was empty. Write <{tag}>...</{tag}>."), found.end()
    return Search(said) if tag == "search" else Finish("", said), found.end()


@dataclass(frozen=True, slots=True)
class FreeSelfPlayProposer:
    """The paper's proposer: the model decides each move."""

    prompts: Prompts
    limits: RolloutLimits
    sampling: Sampling

    async def challenge(self, seed: AnswerSeed, session: Session, random_seed: int) -> SelfPlayDraft:
        """One rollout of the loop, from the answer."""
        dialect = AskingTags()
        opening = self.prompts.messages(
            "ssp_proposer",
            rules=dialect.rules,
            turns=self.limits.turns,
            hops=seed.hops,
            answer=neutralise(seed.answer, 200),
            passage=show(seed.passage, 1) if seed.passage else "(not said)",
        )
        shelf = Shelf([seed.passage] if seed.passage else ())
        played = await rollout(
            opening, dialect, session, replace(self.limits, repeats=True), self.sampling, random_seed, shelf
        )
        trajectory = Trajectory(
            role=Role.PROPOSER,
            style=Style.FREE,
            turns=played.turns,
            stop=played.stop,
            error=played.error,
            model=session.model,
            prompts=self.prompts.hash,
            tokens=played.tokens,
        )
        if played.finish is None:
            last = played.turns[-1].observation if played.turns else played.error
            return SelfPlayDraft(None, trajectory, f"ended without a question ({played.stop.value}): {last}")
        return SelfPlayDraft(played.finish.question, trajectory)
