"""Exit codes of all commands."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes; they do not change between versions, so scripts can rely on them."""

    OK = 0
    ERROR = 1
    USAGE = 2
    PARTIAL = 3
    """The run is incomplete; `--resume` continues it."""
    BUDGET = 4
    """The limit of cost, tokens or minutes is reached; `--resume` with a higher limit continues."""
