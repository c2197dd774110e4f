"""Records which player holds which seeds of a shard, before the player gets them.

So a restarted keeper knows which player has which seed. Leases belong to one invocation of the run; those of an earlier
one are void.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import TypeAdapter

NOTE = "leases"
"""Name of the note in the run file."""


@dataclass(slots=True)
class _Note:
    token: str
    given: int = 0
    held: dict[int, str] = field(default_factory=dict[int, str])
    """Player by seed; empty for a seed that errored in this invocation."""
    gone: set[str] = field(default_factory=set[str])
    """Players that were declared dead."""


_NOTE = TypeAdapter(_Note)


class Leases:
    """The leases of one invocation."""

    def __init__(self, token: str, note: str | None = None) -> None:
        """Continue from the run file's `note`, unless it belongs to another invocation than `token`."""
        kept = _Note("") if note is None else _NOTE.validate_json(note)
        self.fresh = kept.token != token
        """Whether the invocation has only just begun."""
        self._kept = _Note(token) if self.fresh else kept
        self._held, self._gone = self._kept.held, self._kept.gone

    @property
    def given(self) -> int:
        """Number of seeds leased in this invocation, each counted once."""
        return self._kept.given

    def note(self) -> str:
        """Return the note to save in the run file."""
        return _NOTE.dump_json(self._kept).decode()

    def __contains__(self, index: int) -> bool:
        """Return whether a seed is leased, or errored in this invocation and so waits for the next one."""
        return index in self._held

    def of(self, player: str) -> set[int]:
        """Return the seeds that a player has leased and not finished."""
        return {index for index, holder in self._held.items() if holder == player}

    def give(self, index: int, player: str) -> None:
        """Lease a seed."""
        self._held[index] = player
        self._kept.given += 1

    def ended(self, index: int, *, errored: bool) -> None:
        """Record the end of a play; the next invocation plays an errored seed again."""
        if errored:
            self._held[index] = ""
        else:
            self._held.pop(index, None)

    def forget(self, others: Iterable[int]) -> None:
        """Drop the leases of finished seeds."""
        for index in others:
            self._held.pop(index, None)

    def gone(self, player: str) -> bool:
        """Return whether a player was declared dead."""
        return player in self._gone

    def release(self, player: str) -> set[int]:
        """Declare a player dead, and return the seeds that others may now lease."""
        self._gone.add(player)
        free = self.of(player)
        for index in free:
            del self._held[index]
        self._kept.given -= len(free)
        return free

    @property
    def held(self) -> set[int]:
        """Return all seeds that are leased, or errored in this invocation."""
        return set(self._held)
