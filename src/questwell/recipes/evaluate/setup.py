"""Opens the setup of an evaluation: retriever, model, solver and judge."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from questwell.agents.baselines import OneCall
from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Functions, Sampling, Tags
from questwell.agents.rollout import RolloutLimits
from questwell.agents.solver import FreeSolver, Solver
from questwell.errors import RetrievalError
from questwell.llm.client import LLM
from questwell.llm.fingerprint import fingerprints
from questwell.recipes.corpus.index import in_order
from questwell.recipes.corpus.search import open_searched, readers_of, reranker_of
from questwell.recipes.evaluate.config import EXACT_MATCH, EvalConfig, JudgeConfig, Mode, at_once
from questwell.recipes.runs.agents import is_embedded
from questwell.recipes.runs.caller import IndexProgress
from questwell.recipes.runs.judging import make_judge
from questwell.recipes.runs.lent import Lent
from questwell.recipes.runs.models import connect_roles
from questwell.retrieval.retriever import Retriever
from questwell.scoring.judge import Judge
from questwell.staged.solver import StagedSolver
from questwell.types.corpus import Hit
from questwell.types.trajectory import Role


class NoRetriever:
    """Placeholder for a retriever if nothing is searched."""

    @property
    def name(self) -> str:
        """Name that says that there is no retriever."""
        return "none"

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """Always raise, because there is nothing to search."""
        raise RetrievalError("there is nothing to search in closed-book mode")

    async def aclose(self) -> None:
        """Do nothing: there is nothing to release."""


@dataclass(frozen=True, slots=True)
class EvalSetup:
    """Everything an evaluation gets from outside."""

    retriever: Retriever
    llms: Mapping[Role, LLM]
    """Clients of the solver, and of the judge if a model judges."""
    solver: Solver
    judge: Judge | None
    """The judge; None for exact match."""
    prompts_hash: str
    lent: Lent = field(default_factory=Lent)
    """Clients and retrievers that stay open when the evaluation ends."""

    @property
    def judge_name(self) -> str:
        """Name of the judging model, or `exact_match`."""
        return self.llms[Role.JUDGE].name if self.judge is not None else EXACT_MATCH

    def fingerprint(self) -> dict[str, str]:
        """Return what a resume must match, in addition to the config and its questions."""
        return {
            "retriever": self.retriever.name,
            "prompts": self.prompts_hash,
            "model": self.llms[Role.SOLVER].name,
            "judge": self.judge_name,
            **fingerprints({"model" if role is Role.SOLVER else "judge": llm for role, llm in self.llms.items()}),
        }

    async def aclose(self) -> None:
        """Release models and index, except those of the caller."""
        for llm in {id(llm): llm for llm in self.llms.values() if not self.lent.holds(llm)}.values():
            await llm.aclose()
        if not self.lent.holds(self.retriever):
            await self.retriever.aclose()


def open_eval_setup(
    config: EvalConfig, index_progress: IndexProgress | None = None, lent: Lent | None = None
) -> EvalSetup:
    """Open what `config` names; builds the index if it does not exist. Calls no model.

    Objects in `lent` are used for their names in the config.

    Raises:
        ConfigError: a model, retriever or prompt file is invalid.
        AssetError, CorpusError, RetrievalError: the corpus, its index or a retriever's server fails.
    """
    prompts = Prompts(config.prompts)
    lent = lent or Lent()
    llms = _connect(config, {Role.SOLVER: config.llm, Role.JUDGE: config.judge}, lent.llms)
    retriever = _open_retriever(config, index_progress, lent.retriever)
    readers_of(config.tools, free=config.mode is Mode.AGENT and not config.staged, retriever=retriever)
    return EvalSetup(
        retriever=retriever,
        llms=llms,
        solver=make_solver(config, prompts),
        judge=judge_of(config, prompts),
        prompts_hash=prompts.hash,
        lent=lent,
    )


def open_judge(config: JudgeConfig) -> tuple[LLM | None, Judge | None, str]:
    """Return the judging model and its judge, both None for exact match, and the hash of the prompts."""
    prompts = Prompts(config.prompts)
    judge = judge_of(config, prompts)
    return None if judge is None else _connect(config, {Role.JUDGE: config.judge})[Role.JUDGE], judge, prompts.hash


def make_solver(config: EvalConfig, prompts: Prompts) -> Solver:
    """Build the solver."""
    own = config.role(Role.SOLVER).temperature
    tokens = config.tokens_of(Role.SOLVER, config.llm, config.turn_tokens, embedded=1024, endpoint=8192)
    sampling = Sampling(tokens, config.temperature if own is None else own)
    limits = RolloutLimits(config.turns, config.searches, config.top_k)
    if config.mode is not Mode.AGENT:
        return OneCall(prompts, sampling, config.top_k if config.mode is Mode.RAG else 0, structured=config.staged)
    if config.staged:
        return StagedSolver(prompts, limits, sampling.temperature, 0 if is_embedded(config.llm) else tokens)
    readers = readers_of(config.tools, free=True)
    dialect = Functions(readers=readers) if config.protocol == "functions" else Tags(readers=readers)
    return FreeSolver(prompts, dialect, limits, sampling)


def judge_of(config: JudgeConfig, prompts: Prompts) -> Judge | None:
    """Build the judge; None for exact match."""
    return None if config.judge == EXACT_MATCH else make_judge(config, prompts, config.judge)


def _open_retriever(config: EvalConfig, index_progress: IndexProgress | None, own: Retriever | None) -> Retriever:
    if config.mode is Mode.CLOSED_BOOK:
        return NoRetriever()
    if own is not None:
        return in_order(config, own, reranker_of(config), lent=True)
    return open_searched(config, index_progress)


def _connect(config: JudgeConfig, named: Mapping[Role, str], own: Mapping[str, LLM] | None = None) -> dict[Role, LLM]:
    asked = {role: model for role, model in named.items() if model != EXACT_MATCH}
    return connect_roles(config, asked, at_once(config.concurrency, *named.values()), config.price, own or {})
