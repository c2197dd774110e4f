import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from questwell.llm.limiter import Limiter
from questwell.recipes.generate.placed.order import Load
from questwell.recipes.generate.placed.shares import HOLDS_S, Limits, Sharing

PLACE = "http://x/v1"


@dataclass
class Player:
    """A player by its numbers alone: what it may hold, has in flight and wants."""

    maximum: int = 0
    in_flight: int = 0
    wanted: int = 0
    granted: int | None = None

    def load(self, total: int) -> dict[str, Load]:
        return {PLACE: Load(self.maximum, self.in_flight, max(self.wanted - self.in_flight, 0), total)}


@dataclass
class World:
    total: int
    slots: int
    limits: Limits
    players: list[Player] = field(default_factory=list)


async def ask(world: World, slot: int) -> int:
    player = world.players[slot]
    return (await world.limits.report(slot, player.load(world.total)))[PLACE]


WEIGHTS = {"report": 40, "want": 20, "begin": 20, "end": 10, "lose": 5, "halve": 3, "die": 3, "limits die": 1}
"""What happens how often; what is lost most often would leave nothing to share."""


@pytest.mark.parametrize("seed", range(40))
async def test_all_players_together_never_exceed_the_total_whatever_is_lost(seed: int) -> None:
    rng = random.Random(seed)
    total = rng.randint(4, 40)
    world = World(total, 4, Limits(4), [Player() for _ in range(4)])
    most = 0
    for _ in range(400):
        slot = rng.randrange(4)
        player = world.players[slot]
        match rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]:
            case "report":
                player.maximum = await ask(world, slot)
            case "lose":  # the report arrives, the answer does not
                await ask(world, slot)
            case "want":
                player.wanted = rng.choice([0, 1, total, 3 * total])
            case "begin":
                player.in_flight = max(player.in_flight, min(player.maximum, player.wanted))
            case "end":
                player.in_flight = rng.randint(0, player.in_flight)
            case "die":
                world.players[slot] = Player()
                await world.limits.absent([slot])
            case "limits die":
                world.limits = Limits(4, known=False)
            case _:
                player.maximum = max(player.maximum // 2, min(player.maximum, 1))
        held = sum(max(one.in_flight, one.maximum) for one in world.players)
        assert held <= total
        most = max(most, held)
    assert most >= 0.9 * total


async def settle(world: World, rounds: int = 4) -> list[int]:
    for _ in range(rounds):
        for slot, player in enumerate(world.players):
            player.maximum = await ask(world, slot)
            player.in_flight = min(player.maximum, player.wanted)
    return [player.maximum for player in world.players]


async def test_who_wants_more_gets_more_and_who_comes_later_gets_a_share() -> None:
    world = World(30, 3, Limits(3), [Player(wanted=9), Player(wanted=9), Player(wanted=9)])
    assert await settle(world) == [10, 10, 10]
    world.players[0].wanted, world.players[1].wanted = 0, 28
    found = await settle(world)
    assert found[1] >= 20 and found[0] <= 2 and sum(found) <= 30
    world.players[1].wanted = 100
    world.players[2] = Player(wanted=100)  # the one in its place has died
    await world.limits.absent([2])
    found = await settle(world)
    assert abs(found[1] - found[2]) <= 1 and sum(found) <= 30


async def test_a_limiter_that_was_killed_gives_nobody_more_until_it_has_heard_all() -> None:
    world = World(30, 2, Limits(2), [Player(wanted=30), Player(wanted=0)])
    before = await settle(world)
    world.limits = Limits(2, known=False)
    world.players[0].wanted = 100
    assert await ask(world, 0) == before[0]
    await ask(world, 1)
    assert await ask(world, 0) >= before[0]
    world.limits = Limits(2, known=False)
    await world.limits.absent([1])  # its player had ended
    world.players[0].maximum = await ask(world, 0)
    assert world.players[0].maximum >= 29  # one more is kept for a player that would come in its place


class Heard:
    """Whoever divides, or nobody."""

    def __init__(self, grants: list[int | None]) -> None:
        self.grants = grants
        self.loads: list[Load] = []

    async def report(self, slot: int, loads: Mapping[str, Load]) -> Mapping[str, int] | None:
        self.loads.append(loads[PLACE])
        granted = self.grants.pop(0)
        return None if granted is None else {PLACE: granted}


async def test_a_player_waits_for_its_first_call_then_holds_its_last_grant_and_halves_it() -> None:
    clock = [0.0]
    limiter = Limiter(64)
    heard = Heard([None, 0, 12, None, None, None, None, None, 40])
    sharing = Sharing(heard, 3, {PLACE: limiter}, lambda: clock[0])
    await sharing.begin()
    assert limiter.aimd.maximum == 12 and heard.loads[-1] == Load(0, 0, 0, 64)
    seen: list[int] = []
    for clock[0] in (5.0, HOLDS_S + 0.1, HOLDS_S + 1, 2 * HOLDS_S + 0.2, 3 * HOLDS_S + 0.3, 3 * HOLDS_S + 1):
        await sharing._report()
        seen.append(limiter.aimd.maximum)
    assert seen == [12, 6, 6, 3, 1, 40]
    assert heard.loads[-1].maximum == 1


async def test_a_model_in_this_process_has_nothing_to_share() -> None:
    await Sharing(Heard([]), 0, {}).begin()
