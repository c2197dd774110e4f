"""Opens the setup of a training run: the trainer, the solver that it trains, its search, and its reward.

Modules that need torch are imported inside functions, so that the command can start and report what is missing.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.rollout import RolloutLimits
from questwell.agents.solver import FreeSolver, Solver
from questwell.llm.client import LLM, Completion, Message
from questwell.llm.connect import ConnectOptions, connect
from questwell.llm.fingerprint import fingerprints
from questwell.recipes.corpus.search import open_searched
from questwell.recipes.runs import description
from questwell.recipes.runs.agents import policy_weights
from questwell.recipes.runs.caller import IndexProgress
from questwell.recipes.runs.config import located
from questwell.recipes.runs.extras import check_extra
from questwell.recipes.runs.files import to_be_made
from questwell.recipes.runs.judging import make_judge
from questwell.recipes.runs.learning import learning_values, memory_of, place
from questwell.recipes.runs.opening import digest
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.data import read_demonstrations, read_held_out, read_questions
from questwell.retrieval.retriever import Retriever
from questwell.scoring.rewards import JudgeReward, MatchReward, Reward, RewardKind
from questwell.toy.world import PROMPTS, ToyWorld, walk
from questwell.training.update import Update
from questwell.types.evaluation import Question
from questwell.types.trajectory import Role

if TYPE_CHECKING:
    from questwell.llm.pretrained import Pretrained, Size
    from questwell.llm.vllm_policy import VllmPolicy
    from questwell.recipes.train.rollouts import Rollouts
    from questwell.training.algorithms import Algorithm
    from questwell.training.memory import Need
    from questwell.training.trainer import Trainer

_ERROR_RATE = 0.2
"""Share of wrong searches in the toy's demonstrations, so that its policy starts right in about half its attempts."""
_FEWEST = 1024
"""Tokens per pass below which fewer tokens save little memory."""
OnWarmStart = Callable[[int, float], None]
"""Called with each step of the warm start and its loss."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What to evaluate on during training."""

    questions: Sequence[Question]
    solver: Solver
    """The trained agent, at the temperature of the evaluation."""


@dataclass(frozen=True, slots=True)
class TrainSetup:
    """Everything a run gets from outside."""

    questions: Sequence[Question]
    solver: Solver
    retriever: Retriever
    reward: Reward
    judge: LLM | None
    trainer: "Trainer"
    fingerprint: dict[str, str]
    """What a resume must match, in addition to the config."""
    held_out: HeldOut | None = None
    """Held-out evaluation; None evaluates nothing."""
    rollouts: "Rollouts | None" = None
    """What samples instead of this process, if anything."""

    async def aclose(self) -> None:
        """Release model and index."""
        if self.judge is not None:
            await self.judge.aclose()
        await self.retriever.aclose()
        if self.rollouts is not None:
            await self.rollouts.aclose()
        self.trainer.ranks.leave()


def open_train_setup(
    config: TrainConfig,
    folder: Path,
    index_progress: IndexProgress | None = None,
    warming: OnWarmStart = lambda step, loss: None,
) -> TrainSetup:
    """Open what `config` names; runs the warm start if one is requested and not done yet, and saves it in `folder`.

    Raises:
        AssetError, BenchmarkError, ConfigError, CorpusError, RetrievalError, StoreError: an input is missing.
    """
    check_extra()
    if config.toy:
        return _toy_means(config, folder, warming)
    from questwell.llm.pretrained import load

    check_memory(config)
    prompts = Prompts(config.prompts)
    questions = read_questions(config.data)
    held_out = read_held_out(config.held_out, questions) if config.held_out else ()
    retriever = open_searched(config, index_progress)
    judge = open_judge(config)
    device, dtype = place(config)
    start = _start(
        config,
        folder,
        lambda: load(config.model, device=device, dtype=dtype),
        lambda: read_demonstrations(config.demonstrations or config.data, prompts, config.turns),
        warming,
    )
    trainer, rollouts = make_sampling_trainer(config, start, folder)
    return TrainSetup(
        questions=questions,
        rollouts=rollouts,
        solver=make_solver(config, prompts),
        retriever=retriever,
        reward=make_reward(config, prompts, judge),
        judge=judge,
        trainer=trainer,
        fingerprint={
            "questions": f"{len(questions)} from {questions[0].id} to {questions[-1].id}",
            "question texts": _texts(questions),
            **({"held-out questions": _texts(held_out)} if held_out else {}),
            "retriever": retriever.name,
            "prompts": prompts.hash,
            "judge": judge.name if judge else "",
            **fingerprints({"judge": judge} if judge else {}),
            **policy_weights(config.model),
        },
        held_out=HeldOut(held_out, make_solver(config, prompts, evaluated=True)) if held_out else None,
    )


def _texts(questions: Sequence[Question]) -> str:
    return digest(repr((one.question, one.answers, one.group)) for one in questions)


def model_size(config: TrainConfig) -> "Size":
    """Return the size of the model that `config` trains."""
    from questwell.llm.pretrained import size_of

    return toy_size(config) if config.toy else size_of(config.model)


def needed(config: TrainConfig, size: "Size") -> "Need":
    """Return the memory that `config` needs with a model of `size`."""
    return memory_of(config, size, critic=config.algorithm == "ppo", reference=config.kl_coefficient > 0)


def check_memory(config: TrainConfig) -> None:
    """Check that training fits into the GPU's memory; does nothing without a GPU.

    Raises:
        ConfigError: it does not fit; the message names the unused keys that save memory.
    """
    from questwell.llm.pretrained import size_of
    from questwell.training.memory import check_fits, free_bytes

    device, _ = place(config)
    if not device.startswith("cuda"):
        return
    changes = [] if config.checkpointing else ["--checkpointing"]
    changes += [f"--micro-tokens {config.micro_tokens // 2}"] if config.micro_tokens > _FEWEST else []
    changes += [] if config.lora_rank else ["--lora-rank 16"]
    check_fits(needed(config, size_of(config.model)), free_bytes(device), changes)


def make_solver(config: TrainConfig, prompts: Prompts, *, evaluated: bool = False) -> FreeSolver:
    """Return the agent that is trained, at the temperature of training or of the held-out evaluation."""
    temperature = config.eval_temperature if evaluated else config.temperature
    limits = RolloutLimits(config.turns, config.searches, config.top_k)
    return FreeSolver(prompts, Tags(), limits, Sampling(config.turn_tokens, temperature))


def open_judge(config: TrainConfig) -> LLM | None:
    """Return the judge model with the options of its role; None if no model judges."""
    if config.reward not in (RewardKind.JUDGE, RewardKind.CHAIN):
        return None
    return connect(config.judge, config.connect_options(Role.JUDGE, ConnectOptions().max_in_flight, config.price))


def make_reward(config: TrainConfig, prompts: Prompts, judge: LLM | None) -> Reward:
    """Return the reward of answers."""
    if judge is None:
        return MatchReward(soft=config.reward is RewardKind.F1)
    asked = make_judge(config, prompts, config.judge, always=config.reward is RewardKind.JUDGE)
    return JudgeReward(asked, judge.complete)


def make_algorithm(config: TrainConfig) -> "Algorithm":
    """Return the algorithm that assigns credit to trajectories."""
    from questwell.training.algorithms.grpo import GRPO
    from questwell.training.algorithms.ppo import PPO
    from questwell.training.algorithms.reinforce import Reinforce

    match config.algorithm:
        case "ppo":
            return PPO(config.gamma, config.gae_lambda)
        case "grpo":
            return GRPO(config.scale)
        case "reinforce":
            return Reinforce(config.baseline)


def make_sampling_trainer(
    config: TrainConfig, start: "Pretrained", folder: Path
) -> tuple["Trainer", "Rollouts | None"]:
    """Return the trainer, at its first step, and what samples for it instead of this process."""
    from questwell.recipes.train.rollouts import open_rollouts

    with ExitStack() as undoing:
        rollouts = open_rollouts(config, start, folder)
        if rollouts is None:
            return make_trainer(config, start), None
        undoing.callback(rollouts.close)
        trainer = make_trainer(config, start, rollouts.policy)
        rollouts.wait()
        undoing.pop_all()
        return trainer, rollouts


def make_trainer(config: TrainConfig, start: "Pretrained", policy: "VllmPolicy | None" = None) -> "Trainer":
    """Return the trainer, at its first step; without a `policy` it samples in this process."""
    from questwell.training.policy import Lora
    from questwell.training.trainer import Trainer

    lora = Lora(config.lora_rank, 2 * config.lora_rank, config.seed) if config.lora_rank else None
    return Trainer(
        start,
        {Role.SOLVER: make_algorithm(config)},
        make_update(config),
        lora=lora,
        compute_dtype=config.compute_dtype,
        rollouts=policy,
    )


def make_update(config: TrainConfig) -> Update:
    """Return the update settings: the config keys with the same names."""
    return Update(**cast(dict[str, Any], learning_values(config, Update)))


def _toy_means(config: TrainConfig, folder: Path, warming: OnWarmStart) -> TrainSetup:
    """Open the toy world: two searches per question, each fact found by its name; the policy knows the format."""
    from questwell.llm.pretrained import Pretrained
    from questwell.toy.model import toy_model, toy_tokenizer

    world = ToyWorld(seed=config.seed)
    prompts = Prompts(PROMPTS)
    asked = world.questions(2)
    draw = random.Random(config.seed)

    def demonstrations() -> list[list[Message]]:
        dialogues: list[list[Message]] = []
        for one in (question for question in asked for _ in range(20)):
            opening = prompts.messages("solver", question=one.question)
            turns = walk(one, world, draw, _ERROR_RATE)
            shown = [Tags().reply(turn.text, Completion(turn.text, ""), turn.observation) for turn in turns]
            dialogues.append([*opening, *(message for pair in shown for message in pair)][:-1])
        return dialogues

    def given() -> Pretrained:
        tokenizer = toy_tokenizer(world.words)
        return Pretrained("toy", toy_model(tokenizer, seed=config.seed), tokenizer)

    start = _start(config, folder, given, demonstrations, warming)
    trainer, rollouts = make_sampling_trainer(config, start, folder)
    return TrainSetup(
        questions=toy_questions(config),
        rollouts=rollouts,
        held_out=HeldOut(toy_questions(config, test=True), make_solver(config, prompts, evaluated=True)),
        solver=make_solver(config, prompts),
        retriever=world.retriever(),
        reward=MatchReward(),
        judge=None,
        trainer=trainer,
        fingerprint={"world": world.retriever().name, "prompts": prompts.hash},
    )


def toy_questions(config: TrainConfig, *, test: bool = False) -> list[Question]:
    """Return the questions of the toy world; `test` questions start from entities of their own."""
    asked = ToyWorld(seed=config.seed).questions(2, test=test)
    return [Question(one.id, one.question, (one.answer,), "toy", f"{one.hops} hops") for one in asked]


def toy_size(config: TrainConfig) -> "Size":
    """Return the size of the toy's policy."""
    from questwell.llm.pretrained import measured
    from questwell.toy.model import toy_model, toy_tokenizer

    return measured(toy_model(toy_tokenizer(ToyWorld(seed=config.seed).words), seed=config.seed))


def _start(
    config: TrainConfig,
    folder: Path,
    given: Callable[[], "Pretrained"],
    demonstrations: Callable[[], Sequence[Sequence[Message]]],
    warming: OnWarmStart,
) -> "Pretrained":
    """Return the initial policy, as given or after its warm start, which only the first rank makes."""
    from questwell.llm.pretrained import load
    from questwell.training.checkpoint import write_model
    from questwell.training.policy import Lora
    from questwell.training.ranks import first_of_all
    from questwell.training.warmstart import WarmStart, demonstration_of, warm_start

    if not config.warm_start_steps:
        return given()
    device, dtype = place(config)
    initial = folder / "initial"
    with first_of_all(device) as first:
        if first and _is_new(initial, config, (dialogues := demonstrations())):
            start = given()
            views = [demonstration_of(dialogue, start.codec) for dialogue in dialogues]
            how = WarmStart(
                steps=config.warm_start_steps,
                batch=config.warm_start_batch,
                learning_rate=config.warm_start_learning_rate,
                micro_tokens=config.micro_tokens,
                seed=config.seed,
            )
            lora = Lora(config.lora_rank, 2 * config.lora_rank, config.seed) if config.lora_rank else None
            made = warm_start(start, views, how, lora=lora, compute_dtype=config.compute_dtype, on_step=warming)
            write_model(initial, made.save)
    return load(str(initial), device=device, dtype=dtype)


def _is_new(initial: Path, config: TrainConfig, dialogues: Sequence[Sequence[Message]]) -> bool:
    """Return whether the warm start in `initial` must be made."""
    values = located(config)
    keys = ["model", "seed", "lora_rank", "micro_tokens", *(key for key in values if "warm_start" in key)]
    if config.compute_dtype:
        keys.append("compute_dtype")
    made_from = digest(chain((f"{key}={values[key]}" for key in keys), map(repr, dialogues)))
    return to_be_made(initial, made_from, begun=description.read(initial.parent) is not None)
