"""Opens the setup of a self-play run: policy and trainer, agents, answers, judge and held-out questions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.reader import PromptedReader, Reader
from questwell.agents.rollout import RolloutLimits
from questwell.agents.selfplay_proposer import FreeSelfPlayProposer
from questwell.agents.solver import FreeSolver, Solver
from questwell.errors import ConfigError
from questwell.games.answers import Answers, GroundedAnswers, KnownAnswer, ListedAnswers, Position
from questwell.games.gates import Gatekeeper
from questwell.games.ssp import Players
from questwell.llm.client import LLM
from questwell.llm.fingerprint import fingerprints
from questwell.recipes.corpus.index import in_order, open_index, open_reranker
from questwell.recipes.runs.agents import policy_weights
from questwell.recipes.runs.caller import IndexProgress
from questwell.recipes.runs.extras import check_extra
from questwell.recipes.runs.judging import make_judge
from questwell.recipes.runs.learning import learning_values, memory_of, place
from questwell.recipes.runs.models import connect_roles
from questwell.recipes.runs.opening import digest
from questwell.recipes.selfplay import toy
from questwell.recipes.selfplay.config import TOY, Config
from questwell.recipes.selfplay.world import HeldOut, World
from questwell.scoring.exact import AnswerJudge, ExactJudge
from questwell.text.files import read_jsonl
from questwell.toy.world import PROMPTS as TOY_PROMPTS
from questwell.training.update import Update
from questwell.types.corpus import Passage
from questwell.types.trajectory import Role

if TYPE_CHECKING:
    from questwell.llm.pretrained import Pretrained, Size
    from questwell.training.memory import Need
    from questwell.training.trainer import Trainer

_VERIFIER_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Environment:
    """What a run gets from outside, without its policy."""

    world: World
    prompts: Prompts
    players: Players
    llms: Mapping[Role, LLM]
    """See `Setup.llms`."""
    fingerprint: dict[str, str]
    """See `Setup.fingerprint`; without the policy's entries."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything a run gets from outside."""

    trainer: "Trainer"
    world: World
    players: Players
    evaluated: Solver
    """The solver that is evaluated."""
    llms: Mapping[Role, LLM]
    """Separate models: the judge's, and under SOLVER the verifier's. The policy plays the roles that are missing."""
    fingerprint: dict[str, str]
    """What a resume must match, in addition to the config."""

    async def aclose(self) -> None:
        """Release models and indexes."""
        for llm in self.llms.values():
            await llm.aclose()
        await self.world.retriever.aclose()


def open_setup(config: Config, folder: Path, index_progress: IndexProgress | None = None) -> Setup:
    """Open what `config` names, for a run in `folder`.

    Raises:
        ConfigError: a model, a file or a prompt is invalid, or the extra 'train' is not installed.
        AssetError, CorpusError, IndexMismatch: the model, the corpus or its index cannot be opened.
    """
    check_extra()
    environment = open_environment(config, index_progress)
    if config.corpus == TOY:
        from questwell.recipes.selfplay.toy import warm_started

        start = warm_started(config, folder, environment.prompts)
    else:
        from questwell.llm.pretrained import load

        device, dtype = place(config)
        start = load(config.model, device=device, dtype=dtype)
    return Setup(
        make_trainer(config, start),
        environment.world,
        environment.players,
        make_solver(config, environment.prompts, config.eval_temperature),
        environment.llms,
        {**environment.fingerprint, "policy": start.name, **policy_weights(config.model)},
    )


def open_environment(config: Config, index_progress: IndexProgress | None = None) -> Environment:
    """Open what `config` names, without the policy. See `open_setup` for the errors; needs no extra."""
    if config.corpus == TOY:
        from questwell.recipes.selfplay.toy import world as toy_world

        prompts, world = Prompts(TOY_PROMPTS), toy_world(config)
    else:
        prompts, world = Prompts(config.prompts), _world(config, index_progress)
    named = {Role.JUDGE: config.judge_llm, Role.SOLVER: config.verifier_llm}
    asked = {role: spec for role, spec in named.items() if spec is not None}
    llms = connect_roles(config, asked, 64, config.price, {})
    fingerprint = {"world": world.snapshot, "prompts": prompts.hash}
    by_name = {"judge" if role is Role.JUDGE else "verifier": llm for role, llm in llms.items()}
    fingerprint |= {f"{name} model": llm.name for name, llm in by_name.items()}
    fingerprint |= fingerprints(by_name)
    if config.corpus != TOY:
        held_out = ((one.question, one.references, one.hops) for one in world.held_out)
        fingerprint |= {"held-out questions": digest(map(repr, held_out)), "answers": world.known}
    return Environment(world, prompts, make_players(config, prompts, judged=Role.JUDGE in llms), llms, fingerprint)


def make_trainer(config: Config, start: "Pretrained") -> "Trainer":
    """Build the trainer of both roles: GRPO for the solver, REINFORCE for the proposer (paper), or as `config` says."""
    from questwell.training.algorithms import Algorithm
    from questwell.training.algorithms.grpo import GRPO
    from questwell.training.algorithms.reinforce import Baseline, Reinforce
    from questwell.training.policy import Lora
    from questwell.training.trainer import Trainer

    baselines: dict[str, Baseline] = {"none": "none", "batch": "batch", "hops": "stratum"}
    algorithms: dict[Role, Algorithm] = {
        Role.SOLVER: GRPO() if config.solver_algorithm == "grpo" else Reinforce("none"),
        Role.PROPOSER: (
            GRPO() if config.proposer_baseline == "group" else Reinforce(baselines[config.proposer_baseline])
        ),
    }
    values = learning_values(config, Update)
    values |= {"lr_warmup_steps": config.lr_warmup_steps * config.updates, "kl_in": "loss"}
    update = Update(**cast(dict[str, Any], values))
    lora = Lora(config.lora_rank, 2 * config.lora_rank) if config.lora_rank else None
    return Trainer(start, algorithms, update, lora=lora, compute_dtype=config.compute_dtype)


def make_players(config: Config, prompts: Prompts, *, judged: bool) -> Players:
    """Build both roles, the verifier and the judge."""
    sampling = Sampling(config.turn_tokens, config.temperature)
    judge: AnswerJudge = ExactJudge()
    if judged and config.judge_llm is not None:
        judge = make_judge(config, prompts, config.judge_llm)
    reader: Reader = PromptedReader(prompts, max_tokens=min(_VERIFIER_TOKENS, config.turn_tokens))
    if config.verifier_llm is not None:  # a separate model is called as in the gates of other games
        tokens = config.role(Role.SOLVER).max_tokens or config.reading_tokens(config.verifier_llm)
        reader = PromptedReader(prompts, structured=True, max_tokens=tokens)
    if config.corpus == TOY:
        from questwell.recipes.selfplay.toy import LookingReader

        reader = LookingReader(make_solver(config, prompts, temperature=0.0))
    return Players(
        FreeSelfPlayProposer(prompts, _limits(config), sampling),
        make_solver(config, prompts, config.temperature),
        Gatekeeper(reader, judge, config.top_k),
    )


def make_solver(config: Config, prompts: Prompts, temperature: float) -> FreeSolver:
    """Build the solver at a temperature."""
    return FreeSolver(prompts, Tags(), _limits(config), Sampling(config.turn_tokens, temperature))


def _limits(config: Config) -> RolloutLimits:
    return RolloutLimits(config.turns, config.turns, config.top_k)


def _world(config: Config, index_progress: IndexProgress | None) -> World:
    reranker = open_reranker(config)
    library = open_index(config, index_progress)
    searched = in_order(config, library, reranker)
    listed = read_answers(config)
    known = None if listed is None else [_known(one, library.get) for one in listed]

    def answers(position: Position) -> Answers:
        if known is not None:
            return ListedAnswers(known, config.hop_range, config.seed, position)
        return GroundedAnswers(
            library.passage_at, len(library), config.answer_types, config.hop_range, config.seed, position
        )

    return World(
        retriever=searched,
        answers=answers,
        held_out=read_held_out(config),
        held_out_retriever=searched,
        snapshot=library.snapshot + (f"+rerank({reranker.name})" if reranker else ""),
        known="drawn out of the corpus" if listed is None else digest(_written(one) for one in listed),
    )


def read_answers(config: Config) -> "Sequence[ListedAnswer] | None":
    """Read the list of answers; returns None if they are drawn from the corpus."""
    return None if config.answers is None else _read(config.answers, ListedAnswer)


def _known(one: "ListedAnswer", passage_of: Callable[[str], Passage | None]) -> KnownAnswer:
    """Look up the passage that a line of the list names."""
    passage = passage_of(one.passage_id) if one.passage_id else None
    if one.passage_id and passage is None:
        raise ConfigError(f"answers: the corpus has no passage {one.passage_id!r}, which is named for {one.answer!r}")
    return KnownAnswer(one.answer, one.aliases, one.hops, passage)


def _written(one: "ListedAnswer") -> str:
    """Return a line of the list as text to compare at a resume; without a passage as before there were any."""
    shown = f"KnownAnswer(answer={one.answer!r}, aliases={one.aliases!r}, hops={one.hops!r})"
    return f"{shown}{one.passage_id}"


def model_size(config: Config) -> "Size":
    """Return the size of the model that `config` trains."""
    from questwell.llm.pretrained import size_of

    return toy.toy_size(config.seed) if config.model == TOY else size_of(config.model)


def needed(config: Config, size: "Size") -> "Need":
    """Return the memory that `config` needs with a model of `size`."""
    return memory_of(config, size, critic=False, reference=config.kl_coefficient > 0)


def read_held_out(config: Config) -> tuple[HeldOut, ...]:
    """Read the questions to evaluate on, in the order of their file."""
    questions: Sequence[_Question] = _read(config.held_out, _Question) if config.held_out else ()
    return tuple(HeldOut(one.question, (one.answer, *one.aliases), one.hops) for one in questions)


class _References(BaseModel):
    """What counts as right."""

    model_config = ConfigDict(extra="ignore")
    answer: str = Field(min_length=1)
    aliases: tuple[str, ...] = ()
    hops: int | None = Field(default=None, ge=1)


class ListedAnswer(_References):
    """One line of an answer list."""

    passage_id: str = ""
    """Id of the passage that contains it, which the proposer is shown; empty shows none."""


class _Question(_References):
    """One line of held-out questions."""

    question: str = Field(min_length=1)


_L = TypeVar("_L", bound=BaseModel)


def _read(path: Path, line: type[_L]) -> Sequence[_L]:
    """Read the lines of a JSONL file.

    Raises:
        ConfigError: it cannot be read, is empty, or has a malformed line, which the message names.
    """
    found = [value for _, value in read_jsonl(path, TypeAdapter(line), ConfigError)]
    if not found:
        raise ConfigError(f"{str(path)!r} contains no line")
    return found
