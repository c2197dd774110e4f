"""What the caller of a run passes besides its config and folder."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec

from questwell.assets.progress import Progress, silent
from questwell.recipes.runs.lent import Lent
from questwell.retrieval.corpora.documents import ReadReport

_P = ParamSpec("_P")


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """Callbacks for the progress of fetching and indexing a corpus."""

    fetching: Progress = silent
    """Called with (bytes, total)."""
    indexing: Progress = silent
    """Called with (passages, total); total 0 means unknown."""
    embedding: Progress = silent
    """Called with (passages, total)."""
    uploading: Progress = silent
    """Called with (passages that the search server has accepted, total)."""
    read: Callable[[ReadReport], None] = lambda report: None
    """Called with a report of skipped records, if there are any."""


def _silent(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401  any progress
    """Ignore the progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller(Generic[_P]):
    """How to run this invocation; nothing of it is saved in the run."""

    resume: bool = False
    """Continue the run in the folder. The checks of a run (gates, rejudge, recheck) continue in any case."""
    limit: int | None = None
    """Maximum number of pieces (plays, attempts, questions, steps) in this invocation."""
    on_progress: Callable[_P, object] = _silent
    """Called with the progress after each piece; loops of many pieces also call it every half second."""
    index_progress: IndexProgress = field(default_factory=IndexProgress)
    """Callbacks for building the index."""
    lent: Lent = field(default_factory=Lent)
    """The caller's own models and retriever, which stay open."""


DEFAULTS: Caller[...] = Caller()
"""Starts a new run, without a limit, and reports no progress."""
