"""Trains on the toy world with a tiny model: train_test.py runs it as the ranks of one group, for several trainings."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from blank_charts import draw_nothing

from questwell.agents.prompts import Prompts
from questwell.llm.pretrained import Pretrained
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.train.config import TOY, TrainConfig
from questwell.recipes.train.loop import TrainReport, train
from questwell.recipes.train.setup import HeldOut, TrainSetup, make_solver, make_trainer
from questwell.scoring.rewards import Rewarded
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.world import PROMPTS, ToyWorld
from questwell.types.evaluation import Question
from questwell.types.game import Judgement, Label


def config(**values: object) -> TrainConfig:
    small = {"data": "toy", "batch": 3, "group": 2, "steps": 4, "save_every": 1, "turns": 2, "min_finished": None}
    return resolve(TrainConfig, TOY, small, {"warm_start_steps": 0, **values})


def setup(config: TrainConfig) -> TrainSetup:
    """The toy world and an untrained model."""
    world = ToyWorld()
    tokenizer = toy_tokenizer(world.words)
    start = Pretrained("tiny", toy_model(tokenizer, width=16, layers=1), tokenizer)
    return TrainSetup(
        questions=[Question(one.id, one.question, (one.answer,), "toy", "1 hop") for one in world.questions(1)],
        solver=make_solver(config, Prompts(PROMPTS)),
        retriever=world.retriever(),
        reward=ByQuestion(),
        judge=None,
        trainer=make_trainer(config, start),
        fingerprint={"world": "toy"},
        held_out=held_out(config) if "eval_every" in config.model_fields_set else None,
    )


def held_out(config: TrainConfig) -> HeldOut:
    """Questions from entities that training never starts from."""
    asked = ToyWorld().questions(1, test=True)[:3]
    questions = [Question(one.id, one.question, (one.answer,), "toy", "1 hop") for one in asked]
    return HeldOut(questions, make_solver(config, Prompts(PROMPTS), evaluated=True))


class ByQuestion:
    """An untrained model answers nothing right; so that there is something to learn, questions are paid differently."""

    async def reward(self, question: str, references: Sequence[str], answer: str | None) -> Rewarded:
        return Rewarded(sum(map(ord, question)) % 3 / 2, Judgement(Label.WRONG, "by question"))


async def play(folder: Path, chosen: TrainConfig, **options) -> TrainReport:
    torch.set_num_threads(1)
    return await train(chosen, folder, setup(chosen), Caller(**options))


def main(folder: str, port: str, values: dict[str, object]) -> None:
    os.environ["MASTER_PORT"] = port
    chosen = config(**values)
    made = setup(chosen)
    torch.set_num_threads(1)
    asyncio.run(train(chosen, Path(folder), made, Caller(resume=True)))
    made.trainer.ranks.leave()


if __name__ == "__main__":
    draw_nothing()
    for given in json.loads(sys.argv[1]):
        main(*given)
