"""Behind `questwell evaluate --rescore`: another judge of a finished evaluation, without a single new rollout.

Judges stand side by side in the run: what one said is never replaced by another, and where both judged the same
answers, how far they agree can be told.
"""

import asyncio
import random
import shlex
from pathlib import Path

from questwell.llm.client import LLM
from questwell.recipes.evaluate.config import EXACT_MATCH, RescoreConfig, at_once
from questwell.recipes.evaluate.loop import KIND, AttemptQueue, OnProgress, judge_answer, judged
from questwell.recipes.evaluate.setup import NoRetriever, open_judge
from questwell.recipes.runs.budget import Budget, refuse_unknown_prices
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.opening import info_of
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.workers import Patience, Workers
from questwell.scoring.judge import Judge
from questwell.store.reader import RunReader
from questwell.store.records import Asked, Score, Scoring
from questwell.store.run import RunStore
from questwell.types.game import Judgement
from questwell.types.trajectory import Role, StopReason


def run(folder: Path, config: RescoreConfig, on_progress: OnProgress = lambda progress: None) -> Report:
    """`rescore` with the judge that `config` names, from start to end."""
    with RunReader(folder) as reader:
        info_of(reader, KIND.name)  # before the folder is opened for writing, which would make it
    llm, judge, prompts_hash = open_judge(config)

    async def whole() -> Report:
        try:
            return await rescore(folder, config, llm, judge, prompts_hash, on_progress)
        finally:
            if llm is not None:
                await llm.aclose()

    return asyncio.run(whole())


async def rescore(
    folder: Path,
    config: RescoreConfig,
    llm: LLM | None,
    judge: Judge | None,
    prompts_hash: str,
    on_progress: OnProgress = lambda progress: None,
) -> Report:
    """Judge the answers of the evaluation in `folder` by `judge`; goes on where an earlier call of it stopped.

    Raises:
        ConfigError: a limit of money is asked for, and the judge's price is not known.
        RunLocked: another process is writing the run.
        StoreError: the folder holds no evaluation.
    """
    refuse_unknown_prices(config.limits(), () if llm is None else (llm,))
    with RunStore(folder) as store:
        info_of(store.read, KIND.name)
        scoring = _scoring(store.read, EXACT_MATCH if llm is None else llm.name, prompts_hash)
        await store.begin_scoring(scoring)
        budget = Budget(config.limits(), store.read.usage())
        recorder = Recorder(store, {} if llm is None else {Role.JUDGE: llm}, NoRetriever(), budget)

        async def play(work: tuple[Asked, int]) -> Judgement:
            asked, attempt = work
            trajectory = store.read.trajectory(asked.position, attempt)
            judgement = await judge_answer(asked, attempt, trajectory, recorder, judge, scoring.number)
            await store.score(Score(scoring.number, asked.position, attempt, judgement))
            return judgement

        finished = judged(store.read, scoring.number)
        attempts = AttemptQueue(_answers(store.read, config), play, finished, store.read, scoring, on_progress)
        patience = Patience(at_once(config.concurrency, config.judge), config.max_errors)
        go_on = f"questwell evaluate --rescore {shlex.quote(str(folder))} --judge {shlex.quote(config.judge)}"
        return await attempts.run(Workers(budget, patience, "answers", go_on), budget)


def _scoring(run: RunReader, judge: str, prompts_hash: str) -> Scoring:
    """The scoring of this judge with these prompts: the one that is there, or a new one."""
    known = run.scorings()
    same = (found for found in known if (found.judge, found.prompts) == (judge, prompts_hash))
    return next(same, Scoring(len(known), judge, prompts_hash))


def _answers(run: RunReader, config: RescoreConfig) -> list[tuple[Asked, int]]:
    """The answers to judge; a rollout that errored gave none."""
    asked = {one.position: one for one in run.questions()}
    found = [(asked[trial.position], trial.attempt) for trial in run.trials() if trial.stop is not StopReason.ERRORED]
    if config.sample is None or config.sample >= len(found):
        return found
    chosen = random.Random(config.seed).sample(range(len(found)), config.sample)
    return [found[at] for at in sorted(chosen)]
