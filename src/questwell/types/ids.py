"""How seeds are named: `s00000042`. Runs of older versions have five digits, and keep them."""

import re

ID_DIGITS = 8
"""Digits of a seed's id in a new run, so that ids sort up to a hundred million seeds."""
OLD_ID_DIGITS = 5
"""Digits of the ids in runs of older versions."""


def seed_name(number: int, digits: int = ID_DIGITS) -> str:
    """The id of seed `number`, sortable among ids of as many digits."""
    return f"s{number:0{digits}d}"


def seed_number(name: str) -> int | None:
    """The number of the seed that `name` means: `s00000042`, `s00042`, `42`, `run-s00042` are 42; None: no seed."""
    found = re.fullmatch(r"(?:\w+-)?s?([0-9]+)", name.strip())
    return int(found[1]) if found else None


def id_order(name: str) -> tuple[str, int]:
    """Key that sorts ids such as `run-s00042` by their number, whatever its digits."""
    start = name.rstrip("0123456789")
    return start, int(name[len(start) :] or 0)
