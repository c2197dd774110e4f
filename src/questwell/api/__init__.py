"""The Python API: each command as a function, a run as an object. See `docs/python.md`.

Imported by `import questwell` when one of its names is first used.
"""

from questwell.api.opened import EvaluateRun, GenerateRun, Run, TrainRun, open_run
from questwell.api.verbs import (
    evaluate,
    evaluate_async,
    generate,
    generate_async,
    harden,
    harden_async,
    open_index,
    train,
    train_async,
)
from questwell.errors import QuestwellError
from questwell.llm.client import LLM, Completion, Message, Request
from questwell.retrieval.retriever import Retriever
from questwell.types.corpus import Hit, Passage
from questwell.types.dataset import Item

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
