"""Keepers and players without Ray: whoever dies, and whatever answer is lost, the run is what one process makes."""

import asyncio
import random
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import world
from typer.testing import CliRunner
from world import rows

from questwell.cli.app import app
from questwell.errors import ConfigChanged, ConfigError, LLMUnavailable
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate import loop
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.generate.merge import merge
from questwell.recipes.generate.placed import player as playing
from questwell.recipes.generate.placed.cluster import check
from questwell.recipes.generate.placed.keeper import Keeper
from questwell.recipes.generate.placed.leases import Leases
from questwell.recipes.generate.placed.order import Failed, Halt, Leased, Load, Order, Shipment, Standing
from questwell.recipes.generate.placed.player import Player
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.opening import Run
from questwell.store.reader import RunReader
from questwell.store.records import CallKey, CallKind, Failure, PlayStatus
from questwell.store.run import RunStore
from questwell.types.game import Place
from questwell.types.trajectory import Role

SEEDS = 24


class Model(ScriptedLLM):
    """Counts what is paid for."""

    def __init__(self, *, latency_s: float = 0.0, down: bool = False) -> None:
        super().__init__(lambda request: LLMUnavailable("down") if down else world.play(request), latency_s=latency_s)
        self.in_flight = self.most_in_flight = 0

    async def complete(self, request: Request) -> Completion:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await super().complete(request)
        finally:
            self.in_flight -= 1


class Line:
    """A keeper that may die before it has heard a call, or after it has answered; then it is asked again."""

    def __init__(self, order: Order, part: int, rng: random.Random | None = None) -> None:
        self._made = lambda: Keeper(order, part)
        self.keeper = Keeper(order, part)
        self._rng = rng
        self._calls = asyncio.Lock()
        self.deaths = 0

    async def adapted(self) -> Mapping[str, tuple[str, ...]]:
        return await self._ask("adapted")

    async def lease(self, player: str, wanted: int, holding: frozenset[int]) -> list[Leased]:
        return await self._ask("lease", player, wanted, holding)

    async def receive(self, shipment: Shipment) -> Standing:
        return await self._ask("receive", shipment)

    async def release(self, player: str) -> None:
        await self._ask("release", player)

    async def die(self) -> None:
        self.deaths += 1
        await self.keeper.aclose()
        self.keeper = self._made()

    async def _ask(self, method: str, *arguments: object) -> object:
        async with self._calls:
            fate = self._rng.random() if self._rng else 1.0
            if fate < 0.02:
                await self.die()
            answer = await getattr(self.keeper, method)(*arguments)
            if fate > 0.98 and self._rng:
                await self.die()
                answer = await getattr(self.keeper, method)(*arguments)
            return answer


class NoLimits:
    async def report(self, slot: int, loads: Mapping[str, Load]) -> None:
        raise AssertionError("a script has no endpoint")


@dataclass
class Placed:
    """A run of two shards with two players, in one process."""

    order: Order
    lines: list[Line]

    def player(self, slot: int, number: int = 0) -> Player:
        return Player(self.order, slot, f"{self.order.token}-{slot}-{number}", self.lines, NoLimits())

    async def play(self) -> list[Report | Failed]:
        return list(await asyncio.gather(*(self.player(slot).play() for slot in range(self.order.players))))

    async def end(self) -> list[Report]:
        """How the shards ended; what they have is joined."""
        ended = [(await line.keeper.end()).report for line in self.lines]
        await asyncio.to_thread(merge, self.order.folder, [])
        return ended


async def place(
    library: Path,
    run: Path,
    token: str = "t",
    *,
    rng: random.Random | None = None,
    limit: int | None = None,
    **given: object,
) -> Placed:
    """What the driver does, without Ray."""
    fresh = not run.exists()
    values = world.values(library, seeds=SEEDS, shards=2, engine="ray", concurrency=4, **given)
    config = configure(run, values if fresh else given, resume=not fresh)
    with Run(loop.KIND, config, run, resume=True) as opened:
        setup = open_setup(config)
        info = opened.compare(setup.fingerprint())
        await setup.aclose()
        with RunStore(run, opened.lock) as store:
            await store.begin(info)
    order = Order(token, info, run, limit, 2, time.time(), "questwell resume")
    return Placed(order, [Line(order, part, rng) for part in range(2)])


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """Whom all players ask."""
    asked = Model()
    monkeypatch.setattr(playing, "open_setup", lambda config: world.setup(config, asked))
    return asked


@pytest.fixture(scope="module")
def whole(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run in one process."""
    run = tmp_path_factory.mktemp("whole") / "one"
    config = configure(run, world.values(library, seeds=SEEDS), resume=False)
    asyncio.run(generate(config, run, world.setup(config, ScriptedLLM(world.play))))
    return run


def calls(run: Path) -> int:
    """Answered calls of models."""
    with RunReader(run) as reader:
        return reader.usage().calls


async def test_keepers_and_players_make_what_one_process_makes(
    library: Path, tmp_path: Path, whole: Path, model: Model
) -> None:
    placed = await place(library, tmp_path / "run")
    assert [one.ending for one in await placed.play()] == [Ending.COMPLETE] * 2
    progress = [await line.keeper.progress() for line in placed.lines]
    assert [one.ending for one in await placed.end()] == [Ending.COMPLETE] * 2
    assert rows(tmp_path / "run") == rows(whole)
    assert sum(one.calls_made for one in progress) == len(model.requests) == calls(whole)
    assert sum(one.done for one in progress) == SEEDS


@pytest.mark.parametrize("seed", range(2))
async def test_whoever_dies_at_whatever_moment_the_run_is_the_same_and_only_calls_in_flight_are_paid_twice(
    seed: int, library: Path, tmp_path: Path, whole: Path, model: Model
) -> None:
    rng = random.Random(seed)
    placed = await place(library, tmp_path / "run", rng=rng)
    kills = 0

    async def keep_playing(slot: int) -> None:
        nonlocal kills
        for number in range(100):
            player = placed.player(slot, number)
            task = asyncio.create_task(player.play())
            await asyncio.wait([task], timeout=rng.uniform(0.05, 0.4) if number < 4 else None)
            if task.done():
                assert isinstance(task.result(), Report), task.result()
                return
            kills += 1
            task.cancel()
            for line in player._lines:
                if line.shipping._sending is not None:
                    line.shipping._sending.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await asyncio.gather(*(line.release(player._name) for line in placed.lines))

    await asyncio.gather(*(keep_playing(slot) for slot in range(2)))
    assert [one.ending for one in await placed.end()] == [Ending.COMPLETE] * 2
    assert rows(tmp_path / "run") == rows(whole)
    assert kills >= 2 and sum(line.deaths for line in placed.lines) >= 5
    assert 0 <= len(model.requests) - calls(whole) <= 2 * kills  # two plays at a time, one call each


async def test_a_keeper_that_is_back_gives_nobody_what_another_has(library: Path, tmp_path: Path) -> None:
    placed = await place(library, tmp_path / "run")
    line = placed.lines[0]
    first = {one.drawn.seed.index for one in await line.lease("t-0-0", 4, frozenset())}
    assert first == {0, 2, 4, 6}
    await line.die()
    second = {one.drawn.seed.index for one in await line.lease("t-1-0", 4, frozenset())}
    assert second == {8, 10, 12, 14}
    lost = await line.lease("t-0-0", 1, frozenset({0, 4}))  # the answer with the other two never came
    assert {one.drawn.seed.index for one in lost} == {2, 6}
    await line.release("t-0-0")
    await line.die()
    assert await line.lease("t-0-0", 4, frozenset()) == []
    assert {one.drawn.seed.index for one in await line.lease("t-1-0", 4, frozenset(second))} == first
    await line.keeper.aclose()
    later = Keeper(replace(placed.order, token="u"), 0)  # another invocation: all leases are void
    assert {one.drawn.seed.index for one in await later.lease("u-0-0", 4, frozenset())} == first
    await later.aclose()


async def test_what_a_player_that_was_given_up_still_sends_is_refused(
    library: Path, tmp_path: Path, whole: Path, model: Model
) -> None:
    placed = await place(library, tmp_path / "run")
    model._latency_s = 0.02
    zombie = placed.player(0)
    task = asyncio.create_task(zombie.play())
    while len(model.requests) < 10:
        await asyncio.sleep(0.01)
    for line in placed.lines:
        await line.release(zombie._name)
    ended = await task
    assert isinstance(ended, Failed) and "taken for dead" in ended.message
    refused = await placed.lines[0].receive(Shipment(zombie._name, 1_000, [], 0, 0))
    assert refused.halt is Halt.GONE
    await asyncio.gather(placed.player(0, 1).play(), placed.player(1).play())
    await placed.end()
    assert rows(tmp_path / "run") == rows(whole)


async def test_a_shipment_that_comes_twice_is_kept_and_counted_once(library: Path, tmp_path: Path) -> None:
    placed = await place(library, tmp_path / "run")
    line = placed.lines[0]
    await line.lease("t-0-0", 1, frozenset())
    key = CallKey(Place("s00000", 0, Role.SOLVER, 0), 0, "d")
    shipment = Shipment("t-0-0", 1, [Failure(key, CallKind.LLM, "LLMTimeout", "late", 3, 4, 0.5)], 1, 0)
    for dies in (False, False, True):
        if dies:
            await line.die()
        await line.receive(shipment)
        progress = await line.keeper.progress()
        assert (progress.spent.cost_usd, progress.spent.prompt_tokens, progress.calls_made) == (0.5, 3, 1)
    await line.keeper.aclose()
    with RunReader(tmp_path / "run/shards/000") as run:
        assert list(run.rows("SELECT count(*) FROM failures")) == [(1,)]


async def test_a_limit_of_plays_is_divided_and_a_resume_goes_on(
    library: Path, tmp_path: Path, whole: Path, model: Model
) -> None:
    placed = await place(library, tmp_path / "run", limit=7)
    await placed.play()
    ended = await placed.end()
    assert [one.ending for one in ended] == [Ending.LIMIT] * 2 and ended[0].go_on == "questwell resume"
    with RunReader(tmp_path / "run") as run:
        assert sum(play.status is not PlayStatus.PENDING for play in run.plays()) == 7
    again = await place(library, tmp_path / "run", token="u")
    await again.play()
    assert {one.ending for one in await again.end()} == {Ending.COMPLETE}
    assert rows(tmp_path / "run") == rows(whole)
    assert len(model.requests) == calls(whole)


async def test_each_shard_keeps_its_part_of_the_money(library: Path, tmp_path: Path, whole: Path, model: Model) -> None:
    placed = await place(library, tmp_path / "run", max_cost=0.1, price_in=0, price_out=0)
    assert [one.ending for one in await placed.play()] == [Ending.COMPLETE] * 2  # the keepers know
    ended = await placed.end()
    assert {one.ending for one in ended} == {Ending.BUDGET} and "max_cost = $0.05 is used up" in ended[0].message
    with RunReader(tmp_path / "run") as run:
        assert 0.1 <= (run.usage().cost_usd or 0) <= 0.1 + 4 * 0.001  # and what was in flight
    again = await place(library, tmp_path / "run", token="u", max_cost=10)
    await again.play()
    assert {one.ending for one in await again.end()} == {Ending.COMPLETE}
    assert rows(tmp_path / "run") == rows(whole)


async def test_minutes_are_those_of_the_invocation_though_its_keepers_die(
    library: Path, tmp_path: Path, model: Model
) -> None:
    placed = await place(library, tmp_path / "run", max_minutes=1)
    order = replace(placed.order, began=time.time() - 61)
    placed = Placed(order, [Line(order, part) for part in range(2)])
    await placed.play()
    ended = await placed.end()
    assert {one.ending for one in ended} == {Ending.BUDGET} and "--max-minutes 1 is used up" in ended[0].message
    assert not model.requests


async def test_what_errors_is_played_once_in_an_invocation_and_again_in_the_next(
    library: Path, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    down, up = Model(down=True), Model()
    monkeypatch.setattr(playing, "open_setup", lambda config: world.setup(config, down))
    placed = await place(library, tmp_path / "run", max_errors=100)
    await placed.play()
    await placed.lines[0].die()
    assert await placed.lines[0].lease("t-0-1", 9, frozenset()) == []
    ended = await placed.end()
    assert {one.ending for one in ended} == {Ending.ERRORED} and "12 plays errored" in ended[0].message
    assert len(down.requests) == SEEDS
    monkeypatch.setattr(playing, "open_setup", lambda config: world.setup(config, up))
    again = await place(library, tmp_path / "run", token="u")
    await again.play()
    assert {one.ending for one in await again.end()} == {Ending.COMPLETE}
    found, alone = rows(tmp_path / "run"), rows(whole)
    assert {key: found[key] for key in ("plays", "calls")} == {key: alone[key] for key in ("plays", "calls")}


async def test_too_many_errors_in_a_row_end_a_player(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playing, "open_setup", lambda config: world.setup(config, Model(down=True)))
    placed = await place(library, tmp_path / "run", max_errors=3)
    ended = await placed.play()
    assert {one.ending for one in ended if isinstance(one, Report)} == {Ending.FAILING}
    await placed.end()


async def test_a_stop_lets_calls_in_flight_end_and_begins_no_more(library: Path, tmp_path: Path, model: Model) -> None:
    placed = await place(library, tmp_path / "run")
    model._latency_s = 0.05
    players = [placed.player(slot) for slot in range(2)]
    tasks = [asyncio.create_task(player.play()) for player in players]
    while len(model.requests) < 12:
        await asyncio.sleep(0.01)
    for player in players:
        await player.stop()
    asked = len(model.requests)
    assert [(await task).ending for task in tasks] == [Ending.STOPPED] * 2
    assert len(model.requests) == asked
    await placed.end()
    with RunReader(tmp_path / "run") as run:
        assert run.usage().calls == asked


async def test_a_machine_with_another_corpus_is_refused(library: Path, tmp_path: Path, model: Model) -> None:
    placed = await place(library, tmp_path / "run")
    info = replace(placed.order.info, fingerprint={**placed.order.info.fingerprint, "index snapshot": "other"})
    order = replace(placed.order, info=info)
    ended = await Player(order, 0, "t-0-0", placed.lines, NoLimits()).play()
    assert isinstance(ended, Failed) and "index snapshot" in ended.message and not model.requests
    with pytest.raises(ConfigChanged, match="index snapshot"):
        await Keeper(order, 0).lease("t-0-0", 1, frozenset())
    for line in placed.lines:
        await line.keeper.aclose()


def test_a_shard_of_a_placed_run_is_a_run_like_any_other(library: Path, tmp_path: Path, model: Model) -> None:
    async def some() -> None:
        placed = await place(library, tmp_path / "run", limit=4)
        await placed.play()
        await placed.end()

    asyncio.run(some())
    shard = tmp_path / "run/shards/001"
    config = configure(shard, {}, resume=True)
    assert (config.shard, config.engine, config.players) == ("1/2", "processes", None)
    report = asyncio.run(generate(config, shard, world.setup(config, model), Caller(resume=True)))
    assert report.ending is Ending.COMPLETE


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"engine": "ray"}, "--shards 8"),
        ({"engine": "ray", "shard": "0/2"}, "--shards 8"),
        ({"players": 2, "shards": 2}, "--engine ray"),
        ({"engine": "ray", "shards": 2, "items": 5}, "--items"),
        ({"engine": "ray", "shards": 2, "near_duplicates": "refuse"}, "--near-duplicates"),
    ],
)
def test_what_cannot_be_placed_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve(Config, {"corpus": "islands", "seeds": 5, **given})


def test_leases_survive_in_their_note() -> None:
    leases = Leases("t")
    assert leases.fresh
    for index in range(4):
        leases.give(index, f"p{index % 2}")
    leases.ended(0, errored=False)
    leases.ended(1, errored=True)
    kept = Leases("t", leases.note())
    assert not kept.fresh and kept.given == 4
    assert (kept.of("p0"), kept.of("p1"), kept.held) == ({2}, {3}, {1, 2, 3})
    assert 1 in kept and 0 not in kept
    assert kept.release("p0") == {2} and kept.given == 3 and kept.gone("p0")
    assert Leases("u", kept.note()).held == set()


def test_without_ray_the_message_names_the_extra(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE"):
        monkeypatch.setenv(name, "kept")
    given = [f"--{key.replace('_', '-')}={value}" for key, value in world.values(library).items()]
    told = CliRunner().invoke(
        app, ["generate", *given, "-n4", "--shards=2", "--engine=ray", f"--out={tmp_path / 'run'}"]
    )
    assert told.exit_code == 2 and "pip install 'questwell[ray]'" in told.output
    assert not (tmp_path / "run").exists()


def test_a_cluster_that_is_only_reached_as_a_client_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://far:10001")
    with pytest.raises(ConfigError, match="one of its machines"):
        check()
