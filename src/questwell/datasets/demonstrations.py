"""Turns right attempts into training dialogues, in one form for all kinds of agents.

Search turns and the answering turn are kept; turns without a move are left out. All thoughts of a free agent are kept,
those of an omitted turn before the next move; a staged agent has none. Observations look as in a rollout, so that
training and inference see the same text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Finish, Search, Tags, write_tags
from questwell.agents.tools import Shelf
from questwell.llm.client import Message
from questwell.llm.speech import thoughts
from questwell.types.dataset import Item
from questwell.types.trajectory import Trajectory, Turn


@dataclass(frozen=True, slots=True)
class SolvedItem:
    """An item with the attempts that solved it."""

    item: Item
    solutions: tuple[Trajectory, ...]


@dataclass(frozen=True, slots=True)
class SearchTurn:
    """A search, the thought before it, and the passages that it returned."""

    thought: str
    """The thought before the search; empty if there was none."""
    query: str
    observation: str


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One solution of one item."""

    item_id: str
    question: str
    searches: tuple[SearchTurn, ...]
    thought: str
    """The thought before the answer."""
    answer: str


def demonstrations(solved: SolvedItem) -> list[Demonstration]:
    """Return one demonstration per distinct solution of the item that gave an answer."""
    found: dict[tuple[tuple[str, ...], str], Demonstration] = {}
    for trajectory in solved.solutions:
        if trajectory.answer is not None:
            key = (trajectory.queries, trajectory.answer)
            found.setdefault(key, _demonstration(solved.item, trajectory, trajectory.answer))
    return list(found.values())


def tagged(shown: Demonstration, prompts: Prompts, turns: int) -> tuple[Message, ...]:
    """Return the dialogue with the tags `<think> <search> <information> <answer>`, opening included."""
    dialect = Tags()
    dialogue = list(prompts.messages("solver", rules=dialect.rules, question=shown.question, turns=turns))
    for move in shown.searches:
        dialogue.append(Message("assistant", _thinking(move.thought) + write_tags(Search(move.query))))
        dialogue.append(Message("user", f"<information>\n{move.observation}\n</information>"))
    dialogue.append(Message("assistant", _thinking(shown.thought) + write_tags(Finish(shown.answer))))
    return tuple(dialogue)


def opening(item: Item, prompts: Prompts, turns: int) -> tuple[Message, ...]:
    """Return the opening messages for an item, in the tags format."""
    return prompts.messages("solver", rules=Tags().rules, question=item.question, turns=turns)


def _thinking(thought: str) -> str:
    return f"<think>{thought}</think>\n" if thought else ""


def _demonstration(item: Item, trajectory: Trajectory, answer: str) -> Demonstration:
    shelf = Shelf()
    searches: list[SearchTurn] = []
    thoughts: list[str] = []
    for turn in trajectory.turns:
        thoughts += [thought] if (thought := _thought(turn)) else []
        if turn.query is not None:
            searches.append(SearchTurn("\n".join(thoughts), turn.query, shelf.show(turn.hits)))
            thoughts = []
    return Demonstration(item.id, item.question, tuple(searches), "\n".join(thoughts), answer)


def _thought(turn: Turn) -> str:
    return thoughts(turn.reasoning, turn.text)


def of_all(solved: Iterable[SolvedItem]) -> Iterator[Demonstration]:
    """Yield the demonstrations of all items in `solved`, in order."""
    return (shown for one in solved for shown in demonstrations(one))
