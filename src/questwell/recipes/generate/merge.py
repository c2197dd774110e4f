"""Joins the runs that `generate --shard 0/8` to `--shard 7/8` made into one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from questwell.errors import StoreError
from questwell.games.seeds import Shard
from questwell.recipes.generate.config import MAY_CHANGE
from questwell.recipes.generate.loop import KIND
from questwell.recipes.runs.joining import Parts, merge_parts
from questwell.store.reader import RunReader


def merge(folder: Path, sources: Sequence[Path]) -> int:
    """Join `sources` into a new run in `folder`, and return the number of seeds. See `merge_parts`."""
    return merge_parts(_PARTS, folder, sources)


def refuse_gaps(parts: Mapping[int, Path], of: int) -> None:
    """Check that the drawn seeds have no gap, so that the run can continue."""
    drawn: dict[int, int] = {}
    for part, source in parts.items():
        with RunReader(source) as run:
            drawn[part] = run.drawn()
    seeds = sum(drawn.values())
    for part, source in parts.items():
        if drawn[part] < Shard(part, of).size(seeds):
            raise StoreError(
                f"{str(source)!r} has drawn only {drawn[part]} seeds, fewer than the others: "
                f"finish it first (questwell resume {source})"
            )


_PARTS = Parts(KIND, MAY_CHANGE, refuse_gaps, RunReader.drawn)
