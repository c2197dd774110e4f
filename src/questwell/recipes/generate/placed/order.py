"""What the processes of a placed run say to each other: the order, leases, shipments, and who answers them.

A keeper has the run file of a shard; players, anywhere, lease seeds from keepers, play them and ship what they
record. Nothing here knows how they are placed: `cluster.py` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from questwell.errors import ConfigChanged
from questwell.recipes.generate.config import Config
from questwell.recipes.runs.config import differences, resolve_saved
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.progress import Progress
from questwell.store.passage_refs import Json
from questwell.store.records import ADAPTED, CallKey, News, RunInfo, WaveSeed


@dataclass(frozen=True, slots=True)
class Order:
    """One invocation of a run."""

    token: str
    """Names the invocation: leases of an earlier one are void."""
    info: RunInfo
    """What the run is: its config with all paths in full, and its fingerprint."""
    folder: Path
    """Of the run, on the machine of the keepers."""
    limit: int | None
    """Most plays of this invocation."""
    players: int
    began: float
    """Seconds since 1970."""
    go_on: str
    """The command that continues the run."""

    def config(self) -> Config:
        """The config of the whole run."""
        return resolve_saved(Config, self.info)

    def refuse_another(self, fingerprint: Mapping[str, str]) -> None:
        """Make sure that this machine has the same corpus, models and prompts as the one that gave the order.

        Raises:
            ConfigChanged: something differs; names all of it.
        """
        asked = {key: value for key, value in self.info.fingerprint.items() if not key.startswith(ADAPTED)}
        found = differences({key: asked.get(key, value) for key, value in fingerprint.items()}, fingerprint)
        if found:
            raise ConfigChanged(
                f"a player's machine has something else than the machine of the command: {'; '.join(map(str, found))}. "
                "Corpus, index and prompts must be the same, at the same paths"
            )


@dataclass(frozen=True, slots=True)
class Leased:
    """A seed that one player plays, and what was recorded of it."""

    drawn: WaveSeed
    answers: Mapping[CallKey, Json]


@dataclass(frozen=True, slots=True)
class Shipment:
    """What a player records, in the order in which it happened."""

    player: str
    number: int
    """Shipments of one player to one keeper are counted from 1: one that is sent twice is kept once."""
    news: Sequence[News]
    made: int
    """Model calls of this player for this keeper so far."""
    replayed: int
    """Model calls that were answered from what was recorded, so far."""


class Halt(Enum):
    """Why a keeper's plays may make no further calls."""

    BUDGET = "budget"
    """Its part of the money, tokens or minutes is used up."""
    REFUSED = "refused"
    """A limit cannot be enforced."""
    GONE = "gone"
    """The keeper was told that this player is dead: what it leased is played by another, and its news are refused."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a keeper's plays may go on."""

    halt: Halt | None = None
    message: str = ""


class Keeps(Protocol):
    """A keeper as a player sees it; a call that its death interrupts is made again when it is back."""

    async def adapted(self) -> Mapping[str, tuple[str, ...]]:
        """As `RunReader.adapted`."""
        ...

    async def lease(self, player: str, wanted: int, holding: frozenset[int]) -> list[Leased]:
        """Up to `wanted` seeds that nobody else plays; none when there is nothing more for this player.

        Args:
            player: who asks.
            wanted: most seeds.
            holding: indices of those that it has; others that it leased before, and never got, are among the answer.
        """
        ...

    async def receive(self, shipment: Shipment) -> Standing:
        """Returns when the shipment is on the disk, unless the standing is `GONE`."""
        ...


@dataclass(frozen=True, slots=True)
class Load:
    """The calls of one player to one endpoint."""

    maximum: int
    """In flight, as it was last told."""
    in_flight: int
    waiting: int
    most: int
    """In flight from all players together, as the run's config says."""


class SharesOut(Protocol):
    """Who divides the calls in flight among players, as a player sees it."""

    async def report(self, slot: int, loads: Mapping[str, Load]) -> Mapping[str, int] | None:
        """The player's new maximum by endpoint; None when nobody answers."""
        ...


@dataclass(frozen=True, slots=True)
class Failed:
    """A player or a keeper ended with an error."""

    message: str


@dataclass(frozen=True, slots=True)
class Closed:
    """How a shard ended."""

    report: Report
    progress: Progress
