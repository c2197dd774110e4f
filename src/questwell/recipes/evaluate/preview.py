"""What `questwell evaluate --dry-run` says: which questions would be asked of whom, and how many calls at most."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.evaluate.config import EXACT_MATCH, EvalConfig, Mode
from questwell.recipes.evaluate.loop import samples
from questwell.recipes.evaluate.setup import open_eval_setup


@dataclass(frozen=True, slots=True)
class Planned:
    """A benchmark."""

    benchmark: str
    asked: int
    """Number of questions of the sample."""
    found: int
    """Questions that the file holds."""
    skipped: Mapping[str, int]
    """Number of skipped records by reason."""


@dataclass(frozen=True, slots=True)
class EvalPreview:
    """The planned work."""

    fingerprint: Mapping[str, str]
    """Model, retriever, judge, prompts."""
    mode: Mode
    style: str
    benchmarks: Sequence[Planned]
    attempts: int
    """Number of attempts in all."""
    most_calls: int
    """Model calls at most, judges' included."""


def eval_preview(config: EvalConfig, index_progress: IndexProgress | None = None) -> EvalPreview:
    """What an evaluation under `config` would do; no model is called, the index is built if it is not there."""
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
    """Maximum number of model calls of one rollout."""
    if config.mode is not Mode.AGENT:
        return 1
    # A staged agent asks which part to look up and what was found, for each search, and once whether any is left.
    return 2 * min(config.turns, config.searches) + 1 if config.staged else config.turns
