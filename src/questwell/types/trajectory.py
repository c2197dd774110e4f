"""The record of a rollout: its turns, how it stopped, and its tokens if the client returns them."""

from dataclasses import dataclass
from enum import StrEnum

from questwell.types.corpus import Hit


class Role(StrEnum):
    """The role for which a call is made."""

    PROPOSER = "proposer"
    SOLVER = "solver"
    JUDGE = "judge"
    WEAK = "weak"
    """A second, weaker solver that must fail on accepted questions; many runs have none."""


class Style(StrEnum):
    """How an agent is driven (docs/architecture.md)."""

    FREE = "free"
    """The model decides each move, as in the paper."""
    STAGED = "staged"
    """The same game, with each move a small constrained call, for models too weak to play freely."""


class StopReason(StrEnum):
    """Why a rollout ended."""

    FINISHED = "finished"
    """The agent gave its answer or its proposal."""
    GAVE_UP = "gave_up"
    """A staged agent ran out of moves, or the model ended without an answer."""
    TURNS = "turns"
    """The budget of turns is used up."""
    SEARCHES = "searches"
    """The budget of searches is used up."""
    CONTEXT = "context"
    """The dialogue no longer fits the model's context."""
    NO_MOVES = "no_moves"
    """Several messages in a row contained no move."""
    LOOPING = "looping"
    """The agent repeated the same request, even after it was told to end."""
    FILTERED = "filtered"
    """The endpoint's content filter rejected the text; retrying cannot help."""
    ERRORED = "errored"
    """The model endpoint or the retriever failed, so the rollout says nothing about the question."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A step inside a found document: opening a page of it, or searching in it."""

    document_id: str
    page: int | None = None
    """Number of the opened page, from 1; None for a search."""
    query: str = ""
    """The query, for a search inside the document; empty for a page."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the model and the observation it got in return."""

    text: str
    """Exactly what the model wrote."""
    query: str | None = None
    """The executed search query, or None; a turn with a query is a search step."""
    hits: tuple[Hit, ...] = ()
    """Hits of the search."""
    observation: str = ""
    """Text that the model was shown next; empty in the last turn."""
    reasoning: str = ""
    """The model's reasoning, if the endpoint returns it separately from the text."""
    reading: Reading | None = None
    """The reading step of the turn, or None. It is not a search step; `hits` contains the passages read."""


@dataclass(frozen=True, slots=True)
class TokenView:
    """The rollout as token ids, if the client returns them, so that training uses exactly the sampled tokens."""

    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    response_mask: tuple[int, ...]
    """1 where the model wrote the token, 0 where it was retrieved or inserted; as long as `response_ids`."""
    response_logprobs: tuple[float, ...]
    """Natural logarithms at sampling time, 0.0 where the mask is 0; as long as `response_ids`."""

    def __post_init__(self) -> None:
        """Raise ValueError if the parts differ in length."""
        if not len(self.response_ids) == len(self.response_mask) == len(self.response_logprobs):
            raise ValueError(
                "a token view needs one mask and one log-probability per response token, not "
                f"{len(self.response_mask)} and {len(self.response_logprobs)} for {len(self.response_ids)}"
            )

    def truncated(self, length: int) -> "TokenView":
        """Return the view with only the first `length` response tokens, their mask and log-probabilities."""
        return TokenView(
            self.prompt_ids,
            self.response_ids[:length],
            self.response_mask[:length],
            self.response_logprobs[:length],
        )


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The record of one rollout."""

    role: Role
    style: Style
    turns: tuple[Turn, ...]
    stop: StopReason
    answer: str | None = None
    """The solver's final answer; None if it gave none."""
    error: str = ""
    """The error if `stop` is ERRORED; else empty."""
    model: str = ""
    prompts: str = ""
    """Hash of the prompt files that drove the agent."""
    tokens: TokenView | None = None

    @property
    def searches(self) -> int:
        """Number of search steps, that is of executed searches."""
        return sum(turn.query is not None for turn in self.turns)

    @property
    def queries(self) -> tuple[str, ...]:
        """The executed queries, in order."""
        return tuple(turn.query for turn in self.turns if turn.query is not None)

    @property
    def hits(self) -> tuple[Hit, ...]:
        """The hits of all its searches, in order, repeats included."""
        return tuple(hit for turn in self.turns for hit in turn.hits)
