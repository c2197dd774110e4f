"""The driver without Ray: keepers and players are objects of this process."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import world
from world import rows

from questwell.errors import WorkerLost
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.generate.placed import driver
from questwell.recipes.generate.placed import player as playing
from questwell.recipes.generate.placed.keeper import Keeper
from questwell.recipes.generate.placed.order import Load, Order
from questwell.recipes.generate.placed.player import Player
from questwell.recipes.runs.ending import Ending, Report

SEEDS = 10


class NoLimits:
    async def report(self, slot: int, loads: Mapping[str, Load]) -> None:
        raise AssertionError("a script has no endpoint")

    async def absent(self, slots: Sequence[int]) -> None:
        pass


class Mortal:
    """A player that dies when it has played a moment, if it is one of the first."""

    def __init__(self, player: Player, *, dies: bool) -> None:
        self._player, self._dies = player, dies

    async def play(self) -> Any:
        if not self._dies:
            return await self._player.play()
        task = asyncio.create_task(self._player.play())
        await asyncio.wait([task], timeout=0.3)
        task.cancel()
        raise WorkerLost("it was killed")

    async def stop(self) -> None:
        await self._player.stop()

    def kill(self) -> None:
        pass


@dataclass
class Here:
    """A cluster in this process, whose first players die."""

    deaths: int
    names: list[str] = field(default_factory=list)

    def keeper(self, order: Order, part: int) -> Keeper:
        return Keeper(order, part)

    def limits(self, slots: int) -> NoLimits:
        return NoLimits()

    def player(self, order: Order, slot: int, name: str, keepers: Any, limits: Any) -> Mortal:
        self.names.append(name)
        return Mortal(Player(order, slot, name, keepers, limits), dies=len(self.names) <= self.deaths)


def play(here: Any, library: Path, run: Path, monkeypatch: pytest.MonkeyPatch, **given: object) -> Report:
    @contextmanager
    def cluster() -> Any:
        yield here

    monkeypatch.setattr(driver, "cluster", cluster)
    monkeypatch.setattr(driver, "check", lambda: None)
    scripted = ScriptedLLM(world.play, latency_s=0.01)
    monkeypatch.setattr(playing, "open_setup", lambda config: world.setup(config, scripted))
    values = world.values(library, seeds=SEEDS, shards=2, engine="ray", concurrency=4, **given)
    return driver.run(configure(run, values, resume=False), run)


def test_a_player_that_dies_has_another_in_its_place(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = Here(deaths=2)
    assert play(here, library, tmp_path / "run", monkeypatch).ending is Ending.COMPLETE
    assert len(here.names) == len(set(here.names)) == 4 and caplog.text.count("died (it was killed)") == 2
    config = configure(tmp_path / "one", world.values(library, seeds=SEEDS), resume=False)
    asyncio.run(generate(config, tmp_path / "one", world.setup(config, ScriptedLLM(world.play))))
    assert rows(tmp_path / "run") == rows(tmp_path / "one")


def test_a_player_that_dies_again_and_again_is_given_up(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(self: Mortal) -> Any:
        raise WorkerLost("it was killed")

    monkeypatch.setattr(Mortal, "play", dies)
    here = Here(deaths=0)
    ended = play(here, library, tmp_path / "run", monkeypatch, players=1)
    assert ended.ending is Ending.FAILING and "it died 3 times: it was killed" in ended.message
    assert len(here.names) == 3 and ended.go_on.startswith("questwell resume")


def test_a_cluster_that_says_nothing_is_told(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = 0

    async def progress(self: Keeper) -> Any:
        nonlocal asked
        asked += 1
        if asked > 2:
            await asyncio.Event().wait()
        return await real(self)

    async def waits(self: Mortal) -> Any:
        while "no answer" not in caplog.text:
            await asyncio.sleep(0.02)
        return Report(Ending.COMPLETE)

    real = Keeper.progress
    monkeypatch.setattr(Keeper, "progress", progress)
    monkeypatch.setattr(Mortal, "play", waits)
    monkeypatch.setattr(driver, "_SILENT_S", 0.2)
    with caplog.at_level(logging.WARNING):
        play(Here(deaths=0), library, tmp_path / "run", monkeypatch)
    assert caplog.text.count("start it and go on: questwell resume") == 1
