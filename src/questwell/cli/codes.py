"""Exit codes of every verb."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a shell script can rely on."""

    OK = 0
    ERROR = 1
    USAGE = 2
    PARTIAL = 3
    """Not all is done; `--resume` goes on."""
    BUDGET = 4
    """Money, tokens or minutes are used up; `--resume` goes on."""
