"""Implements `questwell evaluate --rescore`: applies another judge to a finished evaluation, without new rollouts.

The run stores each judge's judgements separately: one judge never replaces another, and where both judged the same
answers, their agreement is reported.
"""

import asyncio
import json
import random
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from questwell.llm.batches import MOST_CALLS
from questwell.llm.client import LLM
from questwell.llm.fingerprint import fingerprints
from questwell.recipes.evaluate.config import EXACT_MATCH, RescoreConfig, at_once
from questwell.recipes.evaluate.loop import KIND, AttemptQueue, OnProgress, judge_answer, judged
from questwell.recipes.evaluate.setup import NoRetriever, open_judge
from questwell.recipes.runs.budget import refuse_unknown_prices
from questwell.recipes.runs.config import Values, located
from questwell.recipes.runs.description import info_of
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.invocation import Invocation
from questwell.recipes.runs.spans import open_spans
from questwell.recipes.runs.workers import Patience
from questwell.scoring.judge import Judge
from questwell.store.reader import RunReader
from questwell.store.records import Asked, RunInfo, Score, Scoring
from questwell.store.run import RunStore
from questwell.types.game import Judgement
from questwell.types.trajectory import Role, StopReason

WEIGHTS = "judge weights"
"""Key in an evaluation's fingerprint for the hash of its judge's weights, if they are local files."""


def run(folder: Path, config: RescoreConfig, on_progress: OnProgress = lambda progress: None) -> Report:
    """Run `rescore` from start to end with the judge that `config` names."""
    with RunReader(folder) as reader:
        info_of(reader, KIND.name)  # before the folder is opened for writing, which would create it
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
    """Judge the answers of the evaluation in `folder` with `judge`; continues where an earlier call stopped.

    Raises:
        ConfigError: a cost limit is set, but the judge's price is unknown.
        RunLocked: another process is writing the run.
        StoreError: the folder contains no evaluation.
    """
    refuse_unknown_prices(config.limits(), () if llm is None else (llm,))
    with RunStore(folder) as store:
        info = info_of(store.read, KIND.name)
        weights = fingerprints({"judge": llm} if llm is not None else {}).get(WEIGHTS, "")
        scoring = _scoring(store.read, info, EXACT_MATCH if llm is None else llm.name, prompts_hash, weights)
        await store.begin_scoring(scoring)
        llms = {} if llm is None else {Role.JUDGE: llm}
        invocation = Invocation(
            store,
            llms,
            NoRetriever(),
            config.limits(),
            batches=folder if config.batch else None,
            spans=open_spans("evaluate", on=config.spans),
        )

        async def play(work: tuple[Asked, int]) -> Judgement:
            asked, attempt = work
            trajectory = store.read.trajectory(asked.position, attempt)
            judgement = await judge_answer(asked, attempt, trajectory, invocation.recorder, judge, scoring.number)
            await store.score(Score(scoring.number, asked.position, attempt, judgement))
            return judgement

        finished = judged(store.read, scoring.number)
        attempts = AttemptQueue(_answers(store.read, config), play, finished, store.read, scoring, on_progress)
        together = MOST_CALLS if config.batch else at_once(config.concurrency, config.judge)
        patience = Patience(together, config.max_errors)
        workers = invocation.workers(patience, "answers", go_on(folder, config))
        return await attempts.run(workers, invocation.budget)


def go_on(folder: Path, config: RescoreConfig) -> str:
    """Return the command that continues a rescoring. It contains all flags, because the run does not save them."""
    words = ["questwell", "evaluate", "--rescore", str(folder)]
    for key, value in located(config).items():
        if key not in config.model_fields_set or value is None:
            continue
        flag = f"--{key.replace('_', '-')}"
        match value:
            case bool():
                words += [flag if value else f"--no-{key.replace('_', '-')}"]
            case list():
                words += [flag, ",".join(map(str, cast("list[object]", value)))]
            case dict() if key in ("headers", "query"):
                words += [flag, ",".join(f"{name}={given}" for name, given in cast("Values", value).items())]
            case dict() if key == "roles":
                words += [flag, _roles(cast("dict[str, Values]", value))]
            case dict():
                words += [flag, json.dumps(value)]
            case _:
                words += [flag, str(value)]
    return shlex.join(words)


def _roles(value: Mapping[str, Values]) -> str:
    """Format role options as --roles reads them: `judge.omit=stop judge.timeout_s=900`; nested tables stay JSON."""
    parts: list[str] = []
    for role, options in value.items():
        for key, given in options.items():
            if given is None:
                continue
            text = ",".join(map(str, cast("list[object]", given))) if isinstance(given, list) else str(given)
            if isinstance(given, dict):
                pairs = cast("dict[str, object]", given)
                text = json.dumps(pairs) if key == "extra" else ",".join(f"{k}={v}" for k, v in pairs.items())
            parts.append(shlex.quote(f"{role}.{key}={text}"))
    return " ".join(parts)


def _scoring(run: RunReader, info: RunInfo, judge: str, prompts_hash: str, weights: str) -> Scoring:
    """Return the scoring of this judge with these prompts: the existing one, or a new one.

    Two checkpoints may have the same name, so a judge with local weights is also identified by their hash. The hash
    for the evaluation's own judge is in its fingerprint.
    """
    known = run.scorings()
    mark = f"{prompts_hash} {weights}".strip()
    for found in known:
        own = f"{found.prompts} {info.fingerprint.get(WEIGHTS, '')}".strip() if found.number == 0 else found.prompts
        if (found.judge, own) == (judge, mark):
            return found
    return Scoring(len(known), judge, mark)


def _answers(run: RunReader, config: RescoreConfig) -> list[tuple[Asked, int]]:
    """Return the answers to judge; errored rollouts have none."""
    asked = {one.position: one for one in run.questions()}
    found = [(asked[trial.position], trial.attempt) for trial in run.trials() if trial.stop is not StopReason.ERRORED]
    if config.sample is None or config.sample >= len(found):
        return found
    chosen = random.Random(config.seed).sample(range(len(found)), config.sample)
    return [found[at] for at in sorted(chosen)]
