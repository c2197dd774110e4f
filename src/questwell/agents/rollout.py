"""The rollout loop: model message, move, observation, until the agent finishes or a budget ends.

All agents use it, in games and in evaluation.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from questwell.agents.documents import read
from questwell.agents.moves import Find, Finish, Malformed, Open, Search
from questwell.agents.protocol import Dialect, Sampling
from questwell.agents.session import Session
from questwell.agents.tokens import token_view
from questwell.agents.tools import Shelf, neutralise
from questwell.errors import ContextOverflow, LLMError, LLMFiltered, RetrievalError
from questwell.llm.client import Completion, Message
from questwell.types.corpus import Hit
from questwell.types.trajectory import StopReason, TokenView, Turn


@dataclass(frozen=True, slots=True)
class RolloutLimits:
    """The budget of one rollout."""

    turns: int = 10
    """Maximum number of model messages. A message without a search costs a turn, but no search step."""
    searches: int = 20
    top_k: int = 3
    """Number of passages per search."""
    forced_last_turn: bool = False
    """Whether to ask once more if the turns end without an answer (SAGE does this only for proposers)."""
    repeats: bool = False
    """Whether to execute a repeated query again; self-play needs this, because its rules look at repeats."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The result of a rollout, from which its agent makes a `Trajectory`."""

    turns: tuple[Turn, ...]
    stop: StopReason
    finish: Finish | None = None
    error: str = ""
    refused: Finish | None = None
    """The last turn's finish if it was refused and then the budget ended."""
    tokens: TokenView | None = None
    """The dialogue as token ids, if the model's client returns them."""


MOST_MOVELESS = 3
"""Number of consecutive messages without a move after which a rollout ends."""
MOST_REPEATS = 3
"""Number of consecutive repeated queries after which the agent is told to end; one more ends the rollout."""

_LAST = "Your budget is used up: no more searches. End now with what you have."
_NO_SEARCHES = "You have used all your searches. End now with what you have."


async def rollout(
    opening: tuple[Message, ...],
    dialect: Dialect,
    session: Session,
    limits: RolloutLimits,
    sampling: Sampling,
    random_seed: int,
    shelf: Shelf,
    objection: Callable[[Finish], str | None] = lambda finish: None,
) -> Rollout:
    """Play one agent from its opening messages until it finishes.

    `shelf` numbers the passages, and contains all seen passages at the end. `objection` may refuse a finish: its text
    is shown to the model, which continues within its budget.

    A repeated query is not executed again; the model is told which passages it found. Failures of the endpoint or the
    retriever end the rollout as ERRORED; they are data, not a crash.
    """
    dialogue = list(opening)
    turns: list[Turn] = []
    completions: list[Completion] = []
    repeats = _Repeats(shelf)
    searches = moveless = 0
    refused: Finish | None = None

    def ended(
        stop: StopReason,
        *last: Turn,
        finish: Finish | None = None,
        error: str = "",
        refused: Finish | None = None,
    ) -> Rollout:
        return Rollout((*turns, *last), stop, finish, error, refused, token_view(completions))

    total = limits.turns + limits.forced_last_turn
    for number in range(total):
        forced = number >= limits.turns
        refused = None
        if forced:
            dialogue.append(Message("user", _LAST))
        try:
            completion = await session.complete(dialect.request(dialogue, sampling, random_seed + number))
            completions.append(completion)
            text, move = dialect.read(completion)
            turn = Turn(text, reasoning=completion.reasoning)
            moveless = moveless + 1 if isinstance(move, Malformed) else 0
            match move:
                case Search() | Open() | Find() if forced:
                    return ended(StopReason.TURNS, turn)
                case Open() | Find():
                    turn = await read(move, session, shelf, limits.top_k, turn)
                case Search(query) if not limits.repeats and (told := repeats.told(query)):
                    if repeats.in_a_row > MOST_REPEATS:
                        return ended(StopReason.LOOPING, turn)
                    turn = replace(turn, observation=told)
                case Search(query, others) if searches < limits.searches:
                    hits = await session.search(query, limits.top_k)
                    searches += 1
                    left = f"\nNot executed, one query a search: {'; '.join(others)}" if others else ""
                    turn = replace(turn, query=query, hits=hits, observation=f"{shelf.show(hits)}{left}")
                    repeats.add(query, hits)
                case Search():
                    turn = replace(turn, observation=_NO_SEARCHES)
                case Finish() as finish:
                    problem = objection(finish)
                    if problem is None:
                        return ended(StopReason.FINISHED, turn, finish=finish)
                    refused = finish
                    turn = replace(turn, observation=problem)
                case Malformed(problem):
                    turn = replace(turn, observation=problem)
                    if moveless == MOST_MOVELESS:
                        return ended(StopReason.NO_MOVES, turn)
        except ContextOverflow:
            return ended(StopReason.CONTEXT)
        except LLMFiltered as error:
            return ended(StopReason.FILTERED, error=str(error))
        except (LLMError, RetrievalError) as error:
            return ended(StopReason.ERRORED, error=f"{type(error).__name__}: {error}")
        turns.append(turn)
        dialogue.extend(dialect.reply(text, completion, turn.observation))
    return ended(StopReason.TURNS, refused=refused)


class _Repeats:
    """Remembers executed queries, to tell an agent when it repeats one."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._found: dict[str, tuple[Hit, ...]] = {}
        self.in_a_row = 0

    def add(self, query: str, hits: tuple[Hit, ...]) -> None:
        self._found[_same(query)] = hits
        self.in_a_row = 0

    def told(self, query: str) -> str | None:
        """The message for a query that was executed before; None for a new query."""
        hits = self._found.get(_same(query))
        if hits is None:
            return None
        self.in_a_row += 1
        if self.in_a_row == MOST_REPEATS:
            return f"You have asked the same {MOST_REPEATS + 1} times. No more searches: end now with what you have."
        numbers = " ".join(f"[{self._shelf.number(hit.passage)}]" for hit in hits)
        where = f"its passages stand above: {numbers}" if numbers else "nothing was found"
        return f"You have already searched for {neutralise(query, 200)!r}; {where}. Search for something else, or end."


def _same(query: str) -> str:
    return " ".join(query.casefold().split())
