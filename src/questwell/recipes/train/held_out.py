"""Held-out evaluation during training: one attempt per held-out question with the current policy.

A step is evaluated after its checkpoint is on disk. So an interrupted evaluation is repeated with exactly the same
weights, and a finished one is never repeated.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from questwell.errors import NothingJudged
from questwell.games.ssp import all_ended
from questwell.recipes.runs import files
from questwell.recipes.train.attempts import Attempts, Played
from questwell.recipes.train.setup import HeldOut
from questwell.types.game import Place
from questwell.types.trajectory import Role

FOLDER = "held_out"
"""Folder with the attempts of each evaluation, in files such as `step-000010.jsonl`."""


class Evaluations:
    """The held-out evaluations of one invocation."""

    def __init__(self, folder: Path, held_out: HeldOut, attempts: Attempts, done: int) -> None:
        """Continue after the checkpoint of step `done`; drops evaluations of later steps, whose policy is lost."""
        from questwell.training.evaluations import FILE, read_evaluations
        from questwell.training.metrics import MetricsFile

        self._folder = folder
        self._held_out = held_out
        self._attempts = attempts
        self._ranks = attempts.setup.trainer.ranks
        self._rows = [row for row in read_evaluations(folder) if row["step"] <= done]
        self._file = MetricsFile(folder / FILE, after=done) if self._ranks.first else None

    def made(self, step: int) -> bool:
        """Return whether `step` has been evaluated."""
        return any(row["step"] == step for row in self._rows)

    @property
    def best(self) -> int | None:
        """The best step so far; None before the first evaluation."""
        from questwell.training.evaluations import best_of

        found = best_of(self._rows)
        return None if found is None else int(found["step"])

    async def make(self, step: int) -> dict[str, float]:
        """Evaluate the policy after `step`, save its metrics and attempts, and return the metrics.

        Raises:
            NothingJudged: no attempt could be judged; the evaluation does not count.
        """
        started = time.perf_counter()
        ranks, questions = self._ranks, self._held_out.questions
        share = range(ranks.rank, len(questions), ranks.count)
        mine = list(zip(share, await all_ended(self._attempt(at, step) for at in share), strict=True))
        played = [one for _, one in sorted(ranks.everyones(mine), key=lambda pair: pair[0])]
        samples = [one.sample for one in played if one.sample is not None]
        if not samples:
            why = played[-1].trajectory.error or "unscored"
            raise NothingJudged(f"no held-out attempt after step {step} could be judged; the last one: {why}")
        row = {
            "step": float(step),
            "held_out_reward": fmean(sample.reward for sample in samples),
            "held_out_accuracy": fmean(float(bool(sample.correct)) for sample in samples),
            "held_out_searches": fmean(sample.searches for sample in samples),
            "held_out_dropped": float(len(played) - len(samples)),
            "held_out_s": time.perf_counter() - started,
        }
        self._keep(step, row, played)
        return row

    async def _attempt(self, at: int, step: int) -> Played:
        place = Place(f"h{at:05d}", step, Role.SOLVER)
        return await self._attempts.play(self._held_out.questions[at], place, self._held_out.solver)

    def _keep(self, step: int, row: dict[str, float], played: Sequence[Played]) -> None:
        """Write the attempts first, so that every listed evaluation has them."""
        self._rows.append(row)
        if self._file is not None:
            lines = (json.dumps({"id": one.question.id, **one.row(step)}) + "\n" for one in played)
            files.replace(self._folder / FOLDER / f"step-{step:06d}.jsonl", "".join(lines).encode())
            self._file.add(row)
