"""Ids of seeds, such as `s00000042`. Runs of older versions use five digits, and keep them."""

import re

ID_DIGITS = 8
"""Digits of a seed's id in a new run, so that ids sort up to a hundred million seeds."""
OLD_ID_DIGITS = 5
"""Digits of the ids in runs of older versions."""


def seed_name(number: int, digits: int = ID_DIGITS) -> str:
    """Return the id of seed `number`; ids with equally many digits sort by number."""
    return f"s{number:0{digits}d}"


def seed_number(name: str) -> int | None:
    """Return the seed number in `name`, or None: `s00000042`, `s00042`, `42` and `run-s00042` all give 42."""
    found = re.fullmatch(r"(?:\w+-)?s?([0-9]+)", name.strip())
    return int(found[1]) if found else None


def id_order(name: str) -> tuple[str, int]:
    """Return a key that sorts ids such as `run-s00042` by number, whatever their number of digits."""
    start = name.rstrip("0123456789")
    return start, int(name[len(start) :] or 0)
