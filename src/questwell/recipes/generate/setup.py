"""Opens the setup of a run: the corpus for seeds and searches, the models, and the agents."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from questwell.agents.baselines import OneCall
from questwell.agents.prompts import Prompts
from questwell.agents.proposer import FreeProposer
from questwell.agents.protocol import Dialect, Functions, Sampling, Tags
from questwell.agents.reader import PromptedReader
from questwell.agents.rewriter import FreeRewriter
from questwell.agents.rollout import RolloutLimits
from questwell.agents.solver import FreeSolver, Solver
from questwell.games.gates import Gatekeeper
from questwell.games.rules import Players
from questwell.llm.client import LLM
from questwell.llm.fingerprint import fingerprints
from questwell.recipes.corpus.index import in_order, open_index
from questwell.recipes.corpus.search import open_elsewhere, readers_of, reranker_of
from questwell.recipes.generate.playing import PlayConfig
from questwell.recipes.runs.agents import StyleChoice, is_embedded
from questwell.recipes.runs.caller import IndexProgress
from questwell.recipes.runs.judging import make_judge
from questwell.recipes.runs.lent import Lent
from questwell.recipes.runs.models import connect_roles
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.retriever import Retriever
from questwell.staged.proposer import StagedProposer
from questwell.staged.rewriter import StagedRewriter
from questwell.staged.solver import StagedSolver
from questwell.types.corpus import Passage
from questwell.types.trajectory import Role, Style


class Library(Retriever, Protocol):
    """A corpus that can be searched, and whose passages can be drawn by position."""

    @property
    def snapshot(self) -> str:
        """Identifies this exact content and this exact way of indexing it."""
        ...

    def __len__(self) -> int:
        """Number of passages."""
        ...

    def passage_at(self, place: int) -> Passage:
        """Return the passage at a position, from 0; the same for the same snapshot."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything a run gets from outside."""

    library: Library
    llms: Mapping[Role, LLM]
    players: Players
    prompts_hash: str
    styles: Mapping[Role, Style]
    elsewhere: Retriever | None = None
    """The retriever that agents search, if it is not the corpus itself; seeds still come from the corpus."""
    lent: Lent = field(default_factory=Lent)
    """Clients and retrievers that stay open when the run ends."""

    @property
    def retriever(self) -> Retriever:
        """The retriever that agents search."""
        return self.elsewhere or self.library

    def fingerprint(self) -> dict[str, str]:
        """Return what a resume must match, in addition to the config."""
        models = {f"{role.value} model": llm.name for role, llm in self.llms.items()}
        models |= fingerprints({role.value: llm for role, llm in self.llms.items()})
        shared = {"index snapshot": self.library.snapshot, "prompts": self.prompts_hash, **models}
        # The snapshot identifies a lexical index; runs older than this entry have a lexical one.
        return shared if isinstance(self.retriever, LexicalIndex) else {**shared, "retriever": self.retriever.name}

    async def aclose(self) -> None:
        """Release models and index, except those of the caller."""
        for llm in {id(llm): llm for llm in self.llms.values() if not self.lent.holds(llm)}.values():
            await llm.aclose()
        await self.library.aclose()
        if self.elsewhere is not None and not self.lent.holds(self.elsewhere):
            await self.elsewhere.aclose()


def open_setup(
    config: PlayConfig,
    index_progress: IndexProgress | None = None,
    clients: Mapping[str, LLM] | None = None,
    lent: Lent | None = None,
) -> Setup:
    """Open what `config` names; builds the index if it does not exist. Calls no model.

    Args:
        config: config of the run.
        index_progress: callbacks for building the index.
        clients: the caller's own models, by their names in `config`; they are closed with the setup.
        lent: the caller's own models and retriever, which stay open.

    Raises:
        ConfigError: a model name or a prompt file is invalid.
        AssetError, CorpusError, IndexMismatch: the corpus or its index cannot be opened.
    """
    prompts = Prompts(config.prompts)
    styles = {role: _style(config, role) for role in config.playing}
    lent = lent or Lent()
    llms = _connect(config, {**(clients or {}), **lent.llms})
    # before the index, which may take long: reports a missing key at once
    elsewhere, reranker = lent.retriever or open_elsewhere(config), reranker_of(config)
    free = any(style is Style.FREE for role, style in styles.items() if role is not Role.JUDGE)
    readers_of(config.tools, free=free, retriever=elsewhere)  # or fail at once if it cannot be fetched
    players = make_players(config, prompts, styles)
    library = open_index(config, index_progress)
    searched = in_order(config, elsewhere or library, reranker, lent=lent.retriever is not None)
    return Setup(library, llms, players, prompts.hash, styles, None if searched is library else searched, lent)


def make_players(config: PlayConfig, prompts: Prompts, styles: Mapping[Role, Style]) -> Players:
    """Build the agents of a run."""
    sampling = {role: _sampling(config, role) for role in styles if role is not Role.JUDGE}
    thinking = {role: 0 if is_embedded(config.model_of(role)) else sampling[role].max_tokens for role in sampling}
    searches = 20 if config.proposer_searches is None else config.proposer_searches
    proposing = RolloutLimits(config.proposer_turns, searches, config.top_k, forced_last_turn=True)
    solving = RolloutLimits(config.solver_turns, config.solver_searches, config.top_k)
    judge = make_judge(config, prompts, config.model_of(Role.JUDGE), structured=styles[Role.JUDGE] is Style.STAGED)
    reader = PromptedReader(
        prompts,
        structured=True,
        max_tokens=config.reading_tokens(config.model_of(Role.SOLVER)),
    )

    def searching(role: Role) -> Solver:
        if styles[role] is Style.STAGED:
            return StagedSolver(prompts, solving, sampling[role].temperature, thinking[role])
        return FreeSolver(prompts, _dialect(config, proposing=False), solving, sampling[role])

    def weak() -> Solver | None:
        match config.weak_mode:
            case None:
                return None
            case "search":
                return searching(Role.WEAK)
            case mode:
                top_k = config.top_k if mode == "one-search" else 0
                return OneCall(prompts, sampling[Role.WEAK], top_k, structured=styles[Role.WEAK] is Style.STAGED)

    # a staged proposer counts its searches by step, unless it is told how many in all
    by_step = proposing if config.proposer_searches is not None else replace(proposing, searches=sys.maxsize)
    return Players(
        proposer=StagedProposer(prompts, by_step, thinking[Role.PROPOSER])
        if styles[Role.PROPOSER] is Style.STAGED
        else FreeProposer(prompts, _dialect(config, proposing=True), proposing, sampling[Role.PROPOSER]),
        solver=searching(Role.SOLVER),
        weak=weak(),
        rewriter=StagedRewriter(prompts, proposing, thinking[Role.PROPOSER])
        if styles[Role.PROPOSER] is Style.STAGED
        else FreeRewriter(prompts, _dialect(config, proposing=True), proposing, sampling[Role.PROPOSER]),
        judge=judge,
        gatekeeper=Gatekeeper(reader, judge, config.top_k, config.closed_book_attempts),
    )


def turn_tokens(config: PlayConfig, role: Role) -> int:
    """Return the maximum tokens of one message of an agent."""
    return config.tokens_of(role, config.model_of(role), config.turn_tokens, embedded=1024, endpoint=8192)


def _sampling(config: PlayConfig, role: Role) -> Sampling:
    own = config.role(role).temperature
    return Sampling(turn_tokens(config, role), config.temperature if own is None else own)


def _dialect(config: PlayConfig, *, proposing: bool) -> Dialect:
    readers = readers_of(config.tools, free=True)
    return Functions(proposing, readers) if config.protocol == "functions" else Tags(proposing, readers)


def _style(config: PlayConfig, role: Role) -> Style:
    """Return the style of a role. `auto` means staged for small local models, and free for endpoints."""
    if config.style is not StyleChoice.AUTO:
        return Style(config.style.value)
    return Style.STAGED if is_embedded(config.model_of(role)) else Style.FREE


def _connect(config: PlayConfig, own: Mapping[str, LLM]) -> Mapping[Role, LLM]:
    parallel = 1 if config.early_stop else config.attempts
    named = {role: config.model_of(role) for role in config.playing}
    return connect_roles(config, named, config.plays_at_once * parallel, config.price, own)
