"""All code that uses Ray (extra `ray`): the cluster, and keepers, players and shares as actors.

Keepers and shares run on the machine of the command, which has the run's folder; Ray restarts them if they die. Players
run anywhere; the driver replaces those that die.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from questwell.errors import ConfigError, QuestwellError, WorkerLost
from questwell.recipes.generate.placed.keeper import Keeper
from questwell.recipes.generate.placed.order import Closed, Failed, Leased, Load, Order, Shipment, Standing
from questwell.recipes.generate.placed.player import Player
from questwell.recipes.generate.placed.shares import Limits
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.progress import Progress
from questwell.retrieval.extras import optional

_R = TypeVar("_R")
ADDRESS = "RAY_ADDRESS"
"""Environment variable with the address of a cluster; Ray uses the same name."""
_OWN: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # or it listens on all interfaces
    "RAY_worker_niceness": "0",
    "RAY_AUTH_MODE": "token",
}
"""Settings for a local cluster, unless the environment sets them."""
_OWN_CLUSTER: Mapping[str, object] = {
    "include_dashboard": False,
    "_node_ip_address": "127.0.0.1",
    "object_store_memory": 100_000_000,  # Ray's smallest is 75 MB, and ours stays almost empty
}
_RESTARTS = 1_000
"""Number of times that Ray restarts a keeper or the shares."""


def check() -> Any:  # noqa: ANN401  a module is anything
    """Import Ray with the settings of a local cluster, which it reads on import, and return it.

    Raises:
        ConfigError: Ray is not installed (the message names the extra), or the address is a client address.
    """
    address = os.environ.get(ADDRESS, "")
    if address.startswith("ray://"):
        raise ConfigError(
            f"{ADDRESS} is {address!r}, but the run's folder is here, so this machine must be part of the cluster: "
            "run the command on one of its machines, with HOST:PORT"
        )
    if not address and "ray" not in sys.modules:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        for name, value in _OWN.items():
            os.environ.setdefault(name, value)
    return optional("ray", "ray")


@contextmanager
def cluster() -> Generator["Cluster"]:
    """Connect to the cluster of RAY_ADDRESS, or start a local one that ends with the context.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
    """
    ray, address = check(), os.environ.get(ADDRESS)
    own: Mapping[str, object] = {} if address else _OWN_CLUSTER
    try:
        ray.init(address=address or "local", log_to_driver=False, configure_logging=False, **own)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = f"at {ADDRESS} = {address}" if address else "on this machine"
        raise ConfigError(f"no Ray cluster {where}: {str(error).splitlines()[0]}") from error
    try:
        yield Cluster(ray)
    finally:
        ray.shutdown()


class Cluster:
    """Starts actors."""

    def __init__(self, ray: Any) -> None:  # noqa: ANN401
        self._ray = ray
        node = ray.get_runtime_context().get_node_id()
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        self._here = {"num_cpus": 0, "scheduling_strategy": here, "max_restarts": _RESTARTS, "max_concurrency": 1_000}

    def keeper(self, order: Order, part: int) -> "KeeperActor":
        """Start the keeper of a shard on this machine; calls that its death interrupts are repeated."""
        actor = self._ray.remote(Keeper).options(**self._here, max_task_retries=-1)
        return KeeperActor(actor.remote(order, part))

    def limits(self, slots: int) -> "LimitsActor":
        """Start the actor that divides calls in flight, on this machine."""
        return LimitsActor(self._ray.remote(_Limits).options(**self._here).remote(slots))

    def player(
        self, order: Order, slot: int, name: str, keepers: Sequence["KeeperActor"], limits: "LimitsActor"
    ) -> "PlayerActor":
        """Start a player on the machine that has the fewest."""
        actor = self._ray.remote(Player).options(num_cpus=0, scheduling_strategy="SPREAD", max_concurrency=1_000)
        return PlayerActor(actor.remote(order, slot, name, list(keepers), limits))


class _Limits(Limits):
    """The limits actor; knows whether it was restarted, because a restarted one has forgotten who holds what."""

    def __init__(self, slots: int) -> None:
        ray = optional("ray", "ray")
        super().__init__(slots, known=not ray.get_runtime_context().was_current_actor_reconstructed)


@dataclass(frozen=True, slots=True)
class _Actor:
    """A handle of an actor; it can be sent to other actors."""

    handle: Any

    def _ask(self, method: str, *arguments: object) -> Awaitable[Any]:
        return _answer(getattr(self.handle, method).remote, *arguments)

    def kill(self) -> None:
        """Kill its process."""
        optional("ray", "ray").kill(self.handle)


class KeeperActor(_Actor):
    """A keeper in another process."""

    async def adapted(self) -> Mapping[str, tuple[str, ...]]:
        """See `Keeper.adapted`."""
        return cast(Mapping[str, tuple[str, ...]], await self._ask("adapted"))

    async def lease(self, player: str, wanted: int, holding: frozenset[int]) -> list[Leased]:
        """See `Keeper.lease`."""
        return cast(list[Leased], await self._ask("lease", player, wanted, holding))

    async def receive(self, shipment: Shipment) -> Standing:
        """See `Keeper.receive`."""
        return cast(Standing, await self._ask("receive", shipment))

    async def release(self, player: str) -> None:
        """See `Keeper.release`."""
        await self._ask("release", player)

    async def progress(self) -> Progress:
        """See `Keeper.progress`."""
        return cast(Progress, await self._ask("progress"))

    async def end(self) -> Closed:
        """See `Keeper.end`."""
        return cast(Closed, await self._ask("end"))


class LimitsActor(_Actor):
    """The limits actor in another process."""

    async def report(self, slot: int, loads: Mapping[str, Load]) -> Mapping[str, int] | None:
        """See `SharesOut.report`."""
        try:
            return cast(Mapping[str, int], await _answer(self.handle.report.remote, slot, loads))
        except WorkerLost:
            return None

    async def absent(self, slots: Sequence[int]) -> None:
        """See `Limits.absent`; does nothing if the actor does not answer."""
        try:
            await _answer(self.handle.absent.remote, slots)
        except WorkerLost:
            return


class PlayerActor(_Actor):
    """A player in another process."""

    async def play(self) -> Report | Failed:
        """See `Player.play`. Raises `WorkerLost` if it dies."""
        return cast(Report | Failed, await self._ask("play"))

    async def stop(self) -> None:
        """See `Player.stop`. Raises `WorkerLost` if it is dead."""
        await self._ask("stop")


async def _answer(ask: Callable[..., Awaitable[Any]], *arguments: object) -> Any:  # noqa: ANN401
    """Return an actor's answer; raises our own errors that it met.

    Raises:
        WorkerLost: the actor is dead.
    """
    errors = optional("ray", "ray").exceptions
    try:
        return await ask(*arguments)
    except errors.RayTaskError as error:
        if isinstance(error.cause, QuestwellError):
            raise error.cause from None
        raise
    except errors.RayError as error:  # dead, out of reach, or the cluster is gone
        raise WorkerLost(f"Ray lost a process of this run: {str(error).splitlines()[0]}") from error
