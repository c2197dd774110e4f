"""The messages between the processes of a distributed run: the order, leases, shipments, and their protocols.

A keeper has the run file of a shard. Players on any machine lease seeds from keepers, play them and send back their
records. Only `cluster.py` knows on which machine each of them runs.
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
    """Identifies the invocation; leases of earlier ones are void."""
    info: RunInfo
    """Description of the run: its config with absolute paths, and its fingerprint."""
    folder: Path
    """Folder of the run on the machine of the keepers."""
    limit: int | None
    """Maximum number of plays in this invocation."""
    players: int
    began: float
    """Start of the invocation, in seconds since 1970."""
    go_on: str
    """The command that resumes the run."""

    def config(self) -> Config:
        """Return the config of the whole run."""
        return resolve_saved(Config, self.info)

    def refuse_another(self, fingerprint: Mapping[str, str]) -> None:
        """Check that this machine has the same corpus, models and prompts as the one that gave the order.

        Raises:
            ConfigChanged: something differs; the message lists all differences.
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
    """A seed that one player plays, with its recorded calls."""

    drawn: WaveSeed
    answers: Mapping[CallKey, Json]


@dataclass(frozen=True, slots=True)
class Shipment:
    """What a player records, in chronological order."""

    player: str
    number: int
    """Shipments from one player to one keeper are numbered from 1, so one that is sent twice is stored once."""
    news: Sequence[News]
    made: int
    """Number of model calls of this player for this keeper so far."""
    replayed: int
    """Number of model calls answered from recorded answers so far."""


class Halt(Enum):
    """Why the plays of a keeper may make no further calls."""

    BUDGET = "budget"
    """The keeper's share of the money, tokens or minutes is used up."""
    REFUSED = "refused"
    """A limit cannot be enforced."""
    GONE = "gone"
    """The keeper considers this player dead: others play its seeds, and its shipments are refused."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a keeper's plays may continue."""

    halt: Halt | None = None
    message: str = ""


class Keeps(Protocol):
    """A keeper as a player sees it; calls that its death interrupts are repeated once it is back."""

    async def adapted(self) -> Mapping[str, tuple[str, ...]]:
        """See `RunReader.adapted`."""
        ...

    async def lease(self, player: str, wanted: int, holding: frozenset[int]) -> list[Leased]:
        """Return up to `wanted` seeds that nobody else plays; empty if nothing is left for this player.

        Args:
            player: name of the player.
            wanted: maximum number of seeds.
            holding: indices of the seeds it has. Seeds that it leased but never received are returned again.
        """
        ...

    async def receive(self, shipment: Shipment) -> Standing:
        """Return when the shipment is on disk, unless the standing is `GONE`."""
        ...


@dataclass(frozen=True, slots=True)
class Load:
    """The calls of one player to one endpoint."""

    maximum: int
    """Maximum number of calls in flight that it was last granted."""
    in_flight: int
    waiting: int
    most: int
    """Maximum number of calls in flight from all players together, from the run's config."""


class SharesOut(Protocol):
    """Divides the calls in flight among players, as a player sees it."""

    async def report(self, slot: int, loads: Mapping[str, Load]) -> Mapping[str, int] | None:
        """Return the player's new maximum per endpoint; None if there is no answer."""
        ...


@dataclass(frozen=True, slots=True)
class Failed:
    """A player or a keeper that ended with an error."""

    message: str


@dataclass(frozen=True, slots=True)
class Closed:
    """How a shard ended."""

    report: Report
    progress: Progress
