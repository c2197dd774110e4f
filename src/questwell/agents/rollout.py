"""THE loop: model message, move, observation, until the agent finishes or a budget ends.

Both roles use it, and so does evaluation.
"""

from collections.abc import Callable
from dataclasses import dataclass

from questwell.agents.protocol import Dialect, Finish, Limits, Malformed, Search
from questwell.agents.session import Session
from questwell.agents.tokens import token_view
from questwell.agents.tools import Shelf
from questwell.errors import ContextOverflow, LLMError, RetrievalError
from questwell.llm.client import Completion, Message
from questwell.types.trajectory import StopReason, TokenView, Turn


@dataclass(frozen=True, slots=True)
class Budget:
    """What one rollout may use."""

    turns: int = 10
    """Model messages. A message without a search costs a turn, not a search step."""
    searches: int = 20
    top_k: int = 3
    """Passages a search."""
    forced_last_turn: bool = False
    """When the turns end without an answer: say so, and ask once more (SAGE does this for proposers only)."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a rollout went; its agent makes a `Trajectory` of it."""

    turns: tuple[Turn, ...]
    stop: StopReason
    finish: Finish | None = None
    error: str = ""
    refused: Finish | None = None
    """What the last turn would have finished with, when the budget ended upon an objection to it."""
    tokens: TokenView | None = None
    """The same as token ids, when the model's client gives them."""


_LAST = "Your budget is used up: no more searches. End now with what you have."
_NO_SEARCHES = "You have used all your searches. End now with what you have."


async def rollout(
    opening: tuple[Message, ...],
    dialect: Dialect,
    session: Session,
    budget: Budget,
    limits: Limits,
    random_seed: int,
    shelf: Shelf,
    objection: Callable[[Finish], str | None] = lambda finish: None,
) -> Rollout:
    """Play one agent from its opening messages until it finishes.

    `shelf` gives each passage its number and is left holding all that was seen. `objection` may refuse a finish:
    what it says is shown to the model, which goes on within its budget.

    Failures of the endpoint or the retriever end the rollout as ERRORED; they are data, not a crash.
    """
    dialogue = list(opening)
    turns: list[Turn] = []
    completions: list[Completion] = []
    searches = 0
    refused: Finish | None = None

    def ended(
        stop: StopReason,
        *last: Turn,
        finish: Finish | None = None,
        error: str = "",
        refused: Finish | None = None,
    ) -> Rollout:
        return Rollout((*turns, *last), stop, finish, error, refused, token_view(completions))

    total = budget.turns + budget.forced_last_turn
    for number in range(total):
        forced = number >= budget.turns
        refused = None
        if forced:
            dialogue.append(Message("user", _LAST))
        try:
            completion = await session.complete(dialect.request(dialogue, limits, random_seed + number))
            completions.append(completion)
            text, move = dialect.read(completion)
            match move:
                case Search(query, others) if not forced and searches < budget.searches:
                    hits = await session.search(query, budget.top_k)
                    searches += 1
                    left = f"\nNot executed, one query a search: {'; '.join(others)}" if others else ""
                    turn = Turn(text, query, hits, f"{shelf.show(hits)}{left}")
                case Search():
                    if forced:
                        return ended(StopReason.TURNS, Turn(text))
                    turn = Turn(text, observation=_NO_SEARCHES)
                case Finish() as finish:
                    problem = objection(finish)
                    if problem is None:
                        return ended(StopReason.FINISHED, Turn(text), finish=finish)
                    refused = finish
                    turn = Turn(text, observation=problem)
                case Malformed(problem):
                    turn = Turn(text, observation=problem)
        except ContextOverflow:
            return ended(StopReason.CONTEXT)
        except (LLMError, RetrievalError) as error:
            return ended(StopReason.ERRORED, error=f"{type(error).__name__}: {error}")
        turns.append(turn)
        dialogue.extend(dialect.reply(text, completion, turn.observation))
    return ended(StopReason.TURNS, refused=refused)
