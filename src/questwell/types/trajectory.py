"""What an agent did: its turns, how it stopped, and the tokens if its client gave them."""

from dataclasses import dataclass
from enum import StrEnum

from questwell.types.corpus import Hit


class Role(StrEnum):
    """Who makes a call."""

    PROPOSER = "proposer"
    SOLVER = "solver"
    JUDGE = "judge"
    WEAK = "weak"
    """A second, weak solver, who must not answer what the solver does; many runs have none."""


class Style(StrEnum):
    """How an agent is driven (docs/architecture.md)."""

    FREE = "free"
    """The model decides each move, as in the paper."""
    STAGED = "staged"
    """The same game, each move a small constrained call, for models that are lost when free."""


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
    """Several messages in a row held no move: the model does not play."""
    LOOPING = "looping"
    """It asked for the same again and again, also after it was told to end."""
    FILTERED = "filtered"
    """The endpoint's content filter rejected the text; a retry cannot help."""
    ERRORED = "errored"
    """The model endpoint or the retriever failed: this rollout says nothing about the question."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A step inside a document that was found: a page that was opened, or a search in it."""

    document_id: str
    page: int | None = None
    """Number of the page that was opened, from 1; None for a search."""
    query: str = ""
    """The query, for a search inside the document; empty for a page."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the model and what it was shown in return."""

    text: str
    """Exactly what the model wrote."""
    query: str | None = None
    """The search that was executed, if one was: a turn with a query is a search step."""
    hits: tuple[Hit, ...] = ()
    """What the search found."""
    observation: str = ""
    """What the model was shown next; empty for a last turn."""
    reasoning: str = ""
    """What its endpoint gave as the model's thoughts, apart from the text."""
    reading: Reading | None = None
    """The document that was read, if one was: a step of its own kind, not a search step. `hits` holds what it gave."""


@dataclass(frozen=True, slots=True)
class TokenView:
    """The same rollout as token ids, when the client gives them: what is trained is what was sampled."""

    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    response_mask: tuple[int, ...]
    """1 where the model wrote the token, 0 where it was retrieved or inserted; as long as `response_ids`."""
    response_logprobs: tuple[float, ...]
    """Natural logarithms at sampling time, 0.0 where the mask is 0; as long as `response_ids`."""

    def __post_init__(self) -> None:
        """Refuse a view whose parts do not match each other in length."""
        if not len(self.response_ids) == len(self.response_mask) == len(self.response_logprobs):
            raise ValueError(
                "a token view needs one mask and one log-probability per response token, not "
                f"{len(self.response_mask)} and {len(self.response_logprobs)} for {len(self.response_ids)}"
            )

    def truncated(self, length: int) -> "TokenView":
        """The view with the first `length` response tokens; ids, mask and log-probabilities stay side by side."""
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
    """A solver's final answer; None when it gave none."""
    error: str = ""
    """What failed, when `stop` is ERRORED; else empty."""
    model: str = ""
    prompts: str = ""
    """Hash of the prompt files that drove the agent."""
    tokens: TokenView | None = None

    @property
    def searches(self) -> int:
        """Number of search steps: searches that were executed."""
        return sum(turn.query is not None for turn in self.turns)

    @property
    def queries(self) -> tuple[str, ...]:
        """The executed queries, in order."""
        return tuple(turn.query for turn in self.turns if turn.query is not None)

    @property
    def hits(self) -> tuple[Hit, ...]:
        """Everything that its searches found, in order, repeats included."""
        return tuple(hit for turn in self.turns for hit in turn.hits)
