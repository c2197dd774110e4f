"""The keys `shard` and `shards`: which part of a run's seeds or questions is meant."""

from questwell.errors import ConfigError
from questwell.games.seeds import WHOLE, Shard, parse_shard


def checked_shard(shard: str | None) -> str | None:
    """`shard` as it is, for a field validator; ValueError when it is not of the form `3/8`."""
    try:
        part_of(shard)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return shard


def refuse_both(shard: str | None, shards: int | None) -> None:
    """ValueError when a run is to be one part and all parts."""
    if shard is not None and shards is not None:
        raise ValueError("--shard is one part of a run, --shards plays all parts: say one of them")


def part_of(shard: str | None) -> Shard:
    """The part that `shard` names; None names the whole."""
    return WHOLE if shard is None else parse_shard(shard)
