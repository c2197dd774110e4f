"""Joins the runs of `evaluate --shard 0/8` to `--shard 7/8`, wherever they were made, into one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from questwell.recipes.evaluate.config import MAY_CHANGE
from questwell.recipes.evaluate.loop import KIND
from questwell.recipes.runs.joining import Parts, merge_parts

_ALIKE = ("sample", "attempts")
"""Keys that a resume may raise; parts with different values would leave gaps."""


def merge(folder: Path, sources: Sequence[Path]) -> int:
    """Join `sources` into a new run in `folder`; the number of its questions. As `merge_parts`."""
    return merge_parts(_PARTS, folder, sources)


def _refuse_nothing(parts: Mapping[int, Path], of: int) -> None:
    """A run saves its questions in one step with what it is, so parts of one sample leave none out."""


_PARTS = Parts(
    KIND, [key for key in MAY_CHANGE if key not in _ALIKE], _refuse_nothing, lambda run: len(run.questions())
)
