"""Validation of the keys `shard` and `shards`, which select a part of a run's seeds or questions."""

from questwell.errors import ConfigError
from questwell.games.seeds import WHOLE, Shard, parse_shard


def checked_shard(shard: str | None) -> str | None:
    """Return `shard` unchanged, for a field validator; raises ValueError if it does not look like `3/8`."""
    try:
        part_of(shard)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return shard


def refuse_both(shard: str | None, shards: int | None) -> None:
    """Raise ValueError if both `shard` and `shards` are given."""
    if shard is not None and shards is not None:
        raise ValueError("--shard is one part of a run, --shards plays all parts: give only one of them")


def part_of(shard: str | None) -> Shard:
    """Return the part that `shard` names; None means the whole run."""
    return WHOLE if shard is None else parse_shard(shard)
