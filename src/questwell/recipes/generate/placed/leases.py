"""Which seeds of a shard are out, and with which player: written down before a player gets them.

So a keeper that is killed knows when it is back who plays what. Leases belong to one invocation of the run: those of an
earlier one are void.
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
        """Go on from the `note` of the run file, unless it is of another invocation than `token`."""
        kept = _Note("") if note is None else _NOTE.validate_json(note)
        self.fresh = kept.token != token
        """Whether the invocation has only begun."""
        self._kept = _Note(token) if self.fresh else kept
        self._held, self._gone = self._kept.held, self._kept.gone

    @property
    def given(self) -> int:
        """Seeds that were leased in this invocation, each counted once."""
        return self._kept.given

    def note(self) -> str:
        """What to write down."""
        return _NOTE.dump_json(self._kept).decode()

    def __contains__(self, index: int) -> bool:
        """Whether a seed is out, or errored in this invocation, so that it waits for the next one."""
        return index in self._held

    def of(self, player: str) -> set[int]:
        """The seeds that a player has leased and not ended."""
        return {index for index, holder in self._held.items() if holder == player}

    def give(self, index: int, player: str) -> None:
        """Lease a seed."""
        self._held[index] = player
        self._kept.given += 1

    def ended(self, index: int, *, errored: bool) -> None:
        """A play of a seed has ended; one that errored is played again by the next invocation."""
        if errored:
            self._held[index] = ""
        else:
            self._held.pop(index, None)

    def forget(self, others: Iterable[int]) -> None:
        """Drop the leases of seeds that are played."""
        for index in others:
            self._held.pop(index, None)

    def gone(self, player: str) -> bool:
        """Whether a player was declared dead."""
        return player in self._gone

    def release(self, player: str) -> set[int]:
        """Declare a player dead; the seeds that others may lease now."""
        self._gone.add(player)
        free = self.of(player)
        for index in free:
            del self._held[index]
        self._kept.given -= len(free)
        return free

    @property
    def held(self) -> set[int]:
        """All seeds that are out, or errored in this invocation."""
        return set(self._held)
