"""Trains with held-out evaluations, and kills itself in the middle of one: run by held_out_test.py."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import train_worker
from blank_charts import draw_nothing

from questwell.recipes.runs.caller import Caller
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.loop import TrainReport, train
from questwell.recipes.train.setup import TrainSetup
from questwell.scoring.rewards import Rewarded
from questwell.training.evaluations import read_evaluations
from questwell.types.game import Judgement, Label

SCRIPT = (0.25, 0.75, 0.5, 0.75, 0.5)
"""What each held-out attempt of an evaluation earns, in the order of evaluations."""


class Scripted(train_worker.ByQuestion):
    """Pays held-out attempts by the number of their evaluation, and logs them; the attempt at `kill_at` is the last."""

    def __init__(self, folder: Path, kill_at: int = 0) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".log")
        self.kill_at = kill_at
        self.held_out: set[str] = set()

    async def reward(self, question: str, references: Sequence[str], answer: str | None) -> Rewarded:
        if question not in self.held_out:
            return await super().reward(question, references, answer)
        made = len(read_evaluations(self.folder))
        with self.log.open("a") as file:
            file.write(f"{made}\n")
        if len(self.log.read_text().splitlines()) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return Rewarded(SCRIPT[made], Judgement(Label.WRONG, "scripted"))


def setup(config: TrainConfig, reward: Scripted) -> TrainSetup:
    made = train_worker.setup(config)
    assert made.held_out is not None
    reward.held_out = {question.question for question in made.held_out.questions}
    return replace(made, reward=reward)


async def play(folder: Path, chosen: TrainConfig, kill_at: int = 0) -> TrainReport:
    return await train(chosen, folder, setup(chosen, Scripted(folder, kill_at)), Caller(resume=True))


if __name__ == "__main__":
    draw_nothing()
    asyncio.run(play(Path(sys.argv[1]), train_worker.config(**json.loads(sys.argv[2])), int(sys.argv[3])))
