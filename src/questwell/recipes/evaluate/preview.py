"""Implements `questwell evaluate --dry-run`: which questions would be asked, and the maximum number of calls."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from questwell.recipes.evaluate.config import EXACT_MATCH, EvalConfig, Mode
from questwell.recipes.evaluate.loop import samples
from questwell.recipes.evaluate.setup import open_eval_setup
from questwell.recipes.runs.caller import IndexProgress


@dataclass(frozen=True, slots=True)
class Planned:
    """A benchmark and its planned questions."""

    benchmark: str
    asked: int
    """Number of questions in the sample."""
    found: int
    """Number of questions in the file."""
    skipped: Mapping[str, int]
    """Number of skipped records by reason."""


@dataclass(frozen=True, slots=True)
class EvalPreview:
    """The planned work."""

    fingerprint: Mapping[str, str]
    """Model, retriever, judge and prompts."""
    mode: Mode
    style: str
    benchmarks: Sequence[Planned]
    attempts: int
    """Total number of attempts."""
    most_calls: int
    """Maximum number of model calls, including the judge's."""


def eval_preview(config: EvalConfig, index_progress: IndexProgress | None = None) -> EvalPreview:
    """Return what an evaluation under `config` would do. Calls no model; builds the index if it does not exist."""
    planned = [
        Planned(one.benchmark, len(one.asked), len(one.loaded.questions), one.loaded.skipped) for one in samples(config)
    ]
    setup = open_eval_setup(config, index_progress)
    fingerprint = setup.fingerprint()
    asyncio.run(setup.aclose())
    attempts = sum(one.asked for one in planned) * config.attempts
    judging = 0 if config.judge == EXACT_MATCH else 2
    return EvalPreview(
        fingerprint=fingerprint,
        mode=config.mode,
        style="staged" if config.staged else "free",
        benchmarks=planned,
        attempts=attempts,
        most_calls=attempts * (_most_calls(config) + judging),
    )


def _most_calls(config: EvalConfig) -> int:
    """Return the maximum number of model calls of one rollout."""
    if config.mode is not Mode.AGENT:
        return 1
    # A staged agent asks which part to look up and what was found, for each search, and once whether any is left.
    return 2 * min(config.turns, config.searches) + 1 if config.staged else config.turns
