"""Joins the runs that `evaluate --shard 0/8` to `--shard 7/8` made into one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from questwell.recipes.evaluate.config import MAY_CHANGE
from questwell.recipes.evaluate.loop import KIND
from questwell.recipes.runs.joining import Parts, merge_parts

_ALIKE = ("sample", "attempts")
"""Keys that a resume may raise, but that must be equal in all parts, which would else leave gaps."""


def merge(folder: Path, sources: Sequence[Path]) -> int:
    """Join `sources` into a new run in `folder`, and return the number of questions. See `merge_parts`."""
    return merge_parts(_PARTS, folder, sources)


def _refuse_nothing(parts: Mapping[int, Path], of: int) -> None:
    """Accept the parts: a run saves all its questions together with its description, so there are no gaps."""


_PARTS = Parts(
    KIND, [key for key in MAY_CHANGE if key not in _ALIKE], _refuse_nothing, lambda run: len(run.questions())
)
