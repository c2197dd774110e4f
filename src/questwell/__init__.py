"""Questwell turns a corpus into deep-search questions of a chosen difficulty (SAGE, arXiv 2601.18202)."""

from typing import TYPE_CHECKING

from questwell.version import __version__

if TYPE_CHECKING:
    from questwell.api import (
        LLM,
        Completion,
        EvaluateRun,
        GenerateRun,
        Hit,
        Item,
        Message,
        Passage,
        QuestwellError,
        Request,
        Retriever,
        Run,
        TrainRun,
        evaluate,
        evaluate_async,
        generate,
        generate_async,
        harden,
        harden_async,
        open_index,
        open_run,
        train,
        train_async,
    )

__all__ = [
    "LLM",
    "Completion",
    "EvaluateRun",
    "GenerateRun",
    "Hit",
    "Item",
    "Message",
    "Passage",
    "QuestwellError",
    "Request",
    "Retriever",
    "Run",
    "TrainRun",
    "__version__",
    "evaluate",
    "evaluate_async",
    "generate",
    "generate_async",
    "harden",
    "harden_async",
    "open_index",
    "open_run",
    "train",
    "train_async",
]


def __getattr__(name: str) -> object:
    """What `questwell.api` exports, imported when it is first used: the command starts without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from questwell import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
