"""Estimates the input tokens of models per seed before any call, from the actual prompts and their growth.

An agent reads its dialogue again on each turn, so input tokens grow with the square of its turns. The number of turns
is unknown before playing, so the estimate is a range: from a question that one attempt decides to a seed that uses
every round, attempt and turn. A prompt cache would lower the cost by an unknown amount.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from questwell.errors import LLMRefused
from questwell.games.rules import Variant
from questwell.games.seeds import draw_order, draw_seed
from questwell.llm.client import Completion, Request
from questwell.llm.openai import OpenAIClient
from questwell.llm.prices import Usage
from questwell.recipes.corpus.index import run_apart
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.setup import Setup
from questwell.recipes.runs.agents import is_free
from questwell.retrieval.corpora.passages import count_words
from questwell.types.corpus import Hit, Passage
from questwell.types.trajectory import Role

BYTES_PER_TOKEN = 4
"""Bytes of UTF-8 per token: typical for English prose; fewer in most other languages."""
SHORT, LONG = 50, 400
"""Tokens of a message that an agent reads again: a plain search, and one with reasoning before it."""
SAMPLE = 50
"""Number of passages whose length is measured."""
_REPAIR_CALLS = 2
_EVIDENCE = 4
"""Number of passages that we assume a gate reads."""
_QUESTION = "In which year was the reservoir that supplies the largest town of the island finished?"
_UNDECIDED = ("the old dam above Ostia", "a reservoir of the town, it seems")
"""A reference and an answer that cannot be compared without a model."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Input tokens of models for one seed, and the numbers behind the estimate."""

    least: int
    """Tokens for one round that a single attempt decides."""
    most: int
    """Tokens for all rounds, attempts and turns, each with a long message."""
    least_usd: float | None
    """Cost of `least` in US dollars; None if a price is unknown."""
    most_usd: float | None
    opening_tokens: Mapping[Role, int]
    """Tokens of the first request of each role, as it will be sent."""
    passage_tokens: int
    """Mean tokens of a passage as an agent sees it, over a sample of the corpus."""
    sampled: int
    """Number of passages in that sample."""


def reading(config: Config, setup: Setup) -> Reading:
    """Estimate for a run whose agents are driven freely; calls no model and no external retriever."""
    passages = _sample(config, setup)
    passage = round(sum(map(_shown, passages)) / max(len(passages), 1))
    openings = run_apart(_openings(config, setup, passages))
    least = _least(config, openings, passage)
    most = _most(config, openings, passage, setup.players.judge.asks)
    return Reading(
        least=sum(least.values()),
        most=sum(most.values()),
        least_usd=_cost(config, setup, least),
        most_usd=_cost(config, setup, most),
        opening_tokens=openings,
        passage_tokens=passage,
        sampled=len(passages),
    )


def dialogue(opening: int, turns: int, added: int) -> int:
    """Return tokens read over `turns` turns, if each but the last adds `added` tokens to the next one."""
    return turns * opening + added * turns * (turns - 1) // 2


def _least(config: Config, openings: Mapping[Role, int], passage: int) -> dict[Role, int]:
    found = SHORT + config.top_k * passage
    bins = config.targets.bins if config.targets else ()
    searches = min((one.low for one in bins), default=1)
    attempts = 1 if config.early_stop else config.attempts
    return {
        Role.PROPOSER: dialogue(openings[Role.PROPOSER], min(searches, config.proposer_turns) + 1, found),
        Role.SOLVER: attempts * dialogue(openings[Role.SOLVER], min(2, config.solver_turns), found),
    }


def _most(config: Config, openings: Mapping[Role, int], passage: int, asks: int) -> dict[Role, int]:
    found = LONG + config.top_k * passage
    rounds = 1 if config.variant is Variant.INITIAL else 1 + config.rounds
    proposal = dialogue(openings[Role.PROPOSER], config.proposer_turns + 1, found)
    attempt = dialogue(openings[Role.SOLVER], config.solver_turns, found)
    # A repair sees both dialogues, and is requested again if it breaks a rule.
    transcripts = openings[Role.PROPOSER] + (config.proposer_turns + config.solver_turns) * found
    repairs = proposal if config.variant is Variant.RESAMPLE else dialogue(transcripts, _REPAIR_CALLS, LONG)
    checked = rounds if config.gate_feedback else 1
    gates = checked * len(config.gates or ()) * (openings[Role.SOLVER] + _EVIDENCE * passage)
    judged = rounds * config.attempts
    taken = {
        Role.PROPOSER: proposal + (rounds - 1) * repairs,
        Role.SOLVER: rounds * config.attempts * attempt + gates,
    }
    if config.weak_mode is not None:
        judged += rounds * config.weak_attempts
        turns = config.solver_turns if config.weak_mode == "search" else 1
        taken[Role.WEAK] = rounds * config.weak_attempts * dialogue(openings[Role.WEAK], turns, found)
    return {**taken, Role.JUDGE: judged * asks * openings[Role.JUDGE]}


def _cost(config: Config, setup: Setup, taken: Mapping[Role, int]) -> float | None:
    costs: list[float] = []
    for role, tokens in taken.items():
        if is_free(config.model_of(role)):
            continue
        llm = setup.llms[role]
        cost = llm.quote(Usage(tokens, 0)) if isinstance(llm, OpenAIClient) else None
        if cost is None:
            return None
        costs.append(cost)
    return sum(costs)


def _sample(config: Config, setup: Setup) -> list[Passage]:
    order = draw_order(len(setup.library), config.seed)
    drawn = map(setup.library.passage_at, order[: 20 * SAMPLE])
    return list(islice((one for one in drawn if count_words(one.text) >= config.seed_words), SAMPLE))


def _shown(passage: Passage) -> int:
    return _tokens(f"[1] {passage.title}: {passage.text}\n")


def _tokens(text: str) -> int:
    return round(len(text.encode(errors="surrogatepass")) / BYTES_PER_TOKEN)


@dataclass
class _Unsent:
    """A session that stores requests instead of sending them."""

    passages: Sequence[Passage]
    asked: list[Request] = field(default_factory=list[Request])
    model: str = ""

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request)
        raise LLMRefused("a dry run calls no model")

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        return tuple(Hit(passage, 1.0, rank) for rank, passage in enumerate(self.passages[:k], 1))

    def tokens(self) -> int:
        """Number of tokens in the longest request."""
        return max(map(_request_tokens, self.asked), default=0)


def _request_tokens(request: Request) -> int:
    texts = [message.content for message in request.messages]
    texts += [f"{tool.name} {tool.description} {tool.parameters}" for tool in request.tools]
    return sum(map(_tokens, [*texts, request.schema or ""]))


async def _openings(config: Config, setup: Setup, passages: Sequence[Passage]) -> dict[Role, int]:
    """Return the tokens of the first request of each role."""
    players = setup.players
    at_work = {role: _Unsent(passages) for role in config.playing}
    kinds = list(config.wanted_kinds.shares) if config.wanted_kinds else [None]
    rng = random.Random(config.seed)
    for start in sorted(passages, key=_shown)[len(passages) // 2 :][:1]:  # a passage of typical length
        for kind in kinds:
            target = config.targets.draw(rng, {}, {}) if config.targets else None
            seed = draw_seed(0, start, target, config.answer_types, config.seed, kind)
            await players.proposer.propose(seed, at_work[Role.PROPOSER], 0)
    await players.solver.solve(_QUESTION, at_work[Role.SOLVER], 0)
    if players.weak is not None:
        await players.weak.solve(_QUESTION, at_work[Role.WEAK], 0)
    reference, answer = _UNDECIDED
    await players.judge.judge(_QUESTION, (reference,), answer, at_work[Role.JUDGE].complete)
    return {role: session.tokens() for role, session in at_work.items()}
