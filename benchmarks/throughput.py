"""Rollout and update of the local trainer next to TRL's GRPOTrainer, in tokens per second, as ratios.

    python benchmarks/throughput.py [--only "toy;searches"] [--turns 3] [--threads 1] [--device cuda --half]

The same on both sides: weights, tokenizer, prompts, attempts per prompt, length of a completion, temperature 1 over the
whole distribution, precision, threads, GRPO with one optimiser step per rollout, AdamW, no activation checkpointing,
the whole batch in one pass. Both live in this process and take turns: after each step of TRL's own `train` the local
trainer makes one, on the same prompts. The first turn of each is not counted; medians of the others.

- `toy`, `small`: one message. Neither side's model can end it early, so both write the same number of tokens. `small`
  has a vocabulary of 32,000. Ours is the whole agent loop, which looks for stop texts; TRL's is `generate`.
- `toy, kl`, `small, kl`: the same with a reference and its divergence in the loss.
- `searches`: the taught toy policy searches twice and answers. TRL plays with `environment_factory`, and its parser
  reads our tags by a response template, so that both play the same dialogue. It samples up to the end of a message, we
  stop at the closing tag: attempts per second compare better there than tokens per second.

Rollout is, for TRL, `_generate` and `_calculate_rewards`; of ours, the attempts with their rewards. Update is the rest
of a step (TRL: from `on_step_begin` to `on_step_end`), padding, reference pass and metrics included. Rollout tokens are
sampled ones; update tokens are all that are not padding. On a CPU, CPU seconds are given too: other work on the
machine disturbs them less. Not compared: vLLM, TRL's continuous batching, several devices, long contexts. On a CPU TRL
1.16 evaluates the vocabulary for prompt tokens too, on a GPU for the completion's only.

On a GPU `share_of_peak` is (6 x weights x update tokens + 2 x weights x sampled tokens) / seconds / `--peak` (dense
bfloat16 operations per second, 989e12 on an H100 or H200): attention and passes without gradient are not counted.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TRL_EXPERIMENTAL_SILENCE": "1"}

import report
import torch
from arguments import names, parser
from throughput_trl import with_trl
from throughput_turns import GROUP, LEARNING_RATE, WORLD, Question, Setting, Turn
from torch import nn

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.agents.solver import FreeSolver
from questwell.llm.pretrained import Pretrained, load
from questwell.recipes.runs.config import resolve
from questwell.recipes.train.config import TOY, TrainConfig
from questwell.recipes.train.setup import open_train_setup
from questwell.scoring.squad import exact_match
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.world import PROMPTS
from questwell.training.algorithms.grpo import GRPO
from questwell.training.trainer import Trainer
from questwell.training.update import Update
from questwell.types.episode import Sample
from questwell.types.trajectory import Role, Trajectory

KL = 0.001
"""Coefficient of the divergence in the settings that have one."""
MARKS = ("<eos>", "<unk>", "<pad>", "<search>", "</search>", "<answer>", "</answer>", "<information>")
"""Marks that a model of one turn must not write."""
TOY_SIZE = Setting(words=64, width=64, layers=2, prompts=8, prompt_tokens=32, completion_tokens=32)
SMALL = Setting(words=32_000, width=256, layers=6, prompts=4, prompt_tokens=24, completion_tokens=24)
SETTINGS = {
    "toy": TOY_SIZE,
    "toy, kl": replace(TOY_SIZE, kl=KL),
    "searches": Setting(words=0, width=64, layers=2, prompts=8, prompt_tokens=0, completion_tokens=64, searches=True),
    "small": SMALL,
    "small, kl": replace(SMALL, kl=KL),
}
LARGE = {"110m": Setting(words=32_000, width=768, layers=17, prompts=16, prompt_tokens=256, completion_tokens=256)}
"""Large settings, only for a GPU and on request."""


def main() -> None:
    every = {**SETTINGS, **LARGE}
    options = parser(__doc__)
    options.add_argument("--only", type=names(every), default=list(SETTINGS), help="settings, separated by semicolons")
    options.add_argument("--turns", type=int, default=3, help="steps of each trainer that are counted")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--device", default="cpu")
    options.add_argument("--half", action="store_true", help="bfloat16 passes, on a GPU only")
    options.add_argument("--peak", type=float, default=989e12, help="operations per second of the device in bfloat16")
    asked = options.parse_args()
    if asked.half != (asked.device != "cpu"):
        options.error("the local trainer computes in bfloat16 on a GPU and in float32 on a CPU: --half goes with a GPU")
    torch.set_num_threads(asked.threads)
    found: dict[str, object] = {}
    told = {**report.heading(), "threads": asked.threads, "device": asked.device, "half": asked.half, "settings": found}
    for name in asked.only:
        found[name] = compare(every[name], asked)
        print(name, found[name], flush=True)
        report.write("throughput", told)


def compare(setting: Setting, asked: argparse.Namespace) -> dict[str, object]:
    """Run both trainers on one setting."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        policy(setting).save(Path(folder))
        theirs, ours = (opened(folder, setting, asked.device) for _ in range(2))
        questions = asked_of(setting)
        local = Local(setting, ours, questions)
        turns = with_trl(setting, theirs, questions, asked, local.step, folder)
    weights = ours.model.num_parameters()
    return {
        "weights": weights,
        "prompts": setting.prompts,
        "group": GROUP,
        "trl": (trl := summary(turns, weights, asked)),
        "questwell": (measured := summary(local.turns[1:], weights, asked)),
        "questwell_to_trl": {
            name: round(cast(float, measured[name]) / cast(float, trl[name]), 2) for name in trl if "_per_" in name
        },
        "seconds": round(time.perf_counter() - started),
    }


def policy(setting: Setting) -> Pretrained:
    """Random weights; for `searches` the toy policy after its warm start."""
    if setting.searches:
        with tempfile.TemporaryDirectory() as folder:
            open_train_setup(resolve(TrainConfig, TOY, {"data": "toy"}), Path(folder))
            return load(f"{folder}/initial")
    tokenizer = toy_tokenizer(f"w{number}" for number in range(setting.words))
    context = setting.prompt_tokens + setting.completion_tokens + 8
    return Pretrained(
        "random", toy_model(tokenizer, width=setting.width, layers=setting.layers, context=context), tokenizer
    )


def opened(folder: str, setting: Setting, device: str) -> Pretrained:
    """The policy in `folder`; one of a single turn cannot write a mark."""
    start = load(folder, device=device)
    if not setting.searches:
        bias = torch.zeros(len(start.tokenizer), device=device)
        bias[start.tokenizer.convert_tokens_to_ids(list(MARKS))] = -100.0
        start.model.lm_head.bias = nn.Parameter(bias, requires_grad=False)
    return start


def asked_of(setting: Setting) -> list[Question]:
    """The prompts, in the same order at each call."""
    if setting.searches:
        chosen = WORLD.questions(2)[:: len(WORLD.questions(2)) // setting.prompts][: setting.prompts]
        return [Question(one.question, lambda said, one=one: exact_match(said, [one.answer])) for one in chosen]
    draw = torch.Generator().manual_seed(0)
    numbers = torch.randint(setting.words, (setting.prompts, setting.prompt_tokens - 1), generator=draw).tolist()

    def even(said: str) -> bool:
        return int(said.split()[0].strip("w") or 1) % 2 == 0 if said.startswith("w") else False

    return [Question(" ".join(f"w{number}" for number in row), even) for row in numbers]


class Local:
    """The local trainer, one step at a time."""

    def __init__(self, setting: Setting, start: Pretrained, questions: Sequence[Question]) -> None:
        self.turns: list[Turn] = []
        options = Update(learning_rate=LEARNING_RATE, kl_coefficient=setting.kl, kl_in="loss", response_limit=10_000)
        self._trainer = Trainer(start, {Role.SOLVER: GRPO()}, options)
        sampling = Sampling(max_tokens=8 if setting.searches else setting.completion_tokens, temperature=1.0)
        limits = RolloutLimits(turns=4 if setting.searches else 1, top_k=1)
        self._solver = FreeSolver(Prompts(PROMPTS), Tags(), limits, sampling)
        self._questions = questions
        self._retriever = WORLD.retriever()

    def step(self) -> None:
        """One rollout and one update."""
        turn, before = Turn(), self._trainer.policy.sampled
        with turn.whole:
            with turn.rollout:
                samples = asyncio.run(self._play(len(self.turns)))
            self._trainer.update(samples)
        turn.sampled = self._trainer.policy.sampled - before
        turn.attempts = len(samples)
        turn.trained = sum(len(s.tokens.prompt_ids) + len(s.tokens.response_ids) for s in samples)
        self.turns.append(turn)

    async def _play(self, step: int) -> list[Sample]:
        places = [(at, member) for at in range(len(self._questions)) for member in range(GROUP)]
        played = await asyncio.gather(*(self._attempt(at, 1000 * step + 10 * at + member) for at, member in places))
        return [
            Sample(trajectory.tokens, float(self._questions[at].right(said(trajectory))), str(at))
            for trajectory, (at, _) in zip(played, places, strict=True)
            if trajectory.tokens
        ]

    async def _attempt(self, at: int, seed: int) -> Trajectory:
        session = DirectSession(self._trainer.client(), self._retriever)
        return await self._solver.solve(self._questions[at].text, session, seed * 100)


def said(trajectory: Trajectory) -> str:
    """The answer, or the last message if there is none."""
    return trajectory.answer or trajectory.turns[-1].text


def summary(turns: Sequence[Turn], weights: int, asked: argparse.Namespace) -> dict[str, object]:
    """Medians over the turns."""
    rates = {
        "rollout_tokens_per_s": [turn.sampled / turn.rollout.s for turn in turns],
        "update_tokens_per_s": [turn.trained / turn.update_s for turn in turns],
        "attempts_per_s": [turn.attempts / turn.rollout.s for turn in turns],
        "steps_per_s": [1 / turn.whole.s for turn in turns],
    }
    if asked.device == "cpu":
        rates |= {
            "rollout_tokens_per_cpu_s": [turn.sampled / turn.rollout.cpu_s for turn in turns],
            "update_tokens_per_cpu_s": [turn.trained / turn.update_cpu_s for turn in turns],
            "attempts_per_cpu_s": [turn.attempts / turn.rollout.cpu_s for turn in turns],
            "steps_per_cpu_s": [1 / turn.whole.cpu_s for turn in turns],
        }
    shown: dict[str, object] = {name: round(statistics.median(values), 3) for name, values in rates.items()}
    shown["sampled"] = [turn.sampled for turn in turns]
    shown["trained"] = [turn.trained for turn in turns]
    shown["rollout_s"] = [round(turn.rollout.s, 3) for turn in turns]
    shown["update_s"] = [round(turn.update_s, 3) for turn in turns]
    if asked.device != "cpu":
        done = [weights * (6 * turn.trained + 2 * turn.sampled) / turn.whole.s for turn in turns]
        update = [weights * 6 * turn.trained / turn.update_s for turn in turns]
        shown["share_of_peak"] = round(statistics.median(done) / asked.peak, 4)
        shown["share_of_peak_update"] = round(statistics.median(update) / asked.peak, 4)
    return shown


if __name__ == "__main__":
    main()
