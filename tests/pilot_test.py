"""What a forecast takes from a run: which plays, what they took, what is left; and how a user sees it."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from tests import world
from typer.testing import CliRunner, Result

from questwell.cli.app import app
from questwell.errors import LLMUnavailable
from questwell.evaluation.statistics import wilson
from questwell.llm.client import Request
from questwell.llm.scripted import Answer, ScriptedLLM
from questwell.recipes.generate import forecast as forecasting
from questwell.recipes.generate.forecast import Forecast, Range, Taken, forecast
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.generate.plays import GenerateReport
from questwell.recipes.runs.caller import Caller
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.types.game import Reason


def sometimes_down(request: Request) -> Answer:
    """The world's model, which fails whenever the fate of a seed is 4."""
    said = "\n".join(message.content for message in request.messages)
    number = int(said.split("Number ")[1].split()[0]) if "Number " in said else 0
    return LLMUnavailable("down") if number % world.FATES == 4 else world.play(request)


async def play(library: Path, run: Path, limit: int | None, **given: object) -> GenerateReport:
    given = {"steps": "2..3", "price_in": 1.0, "price_out": 5.0, "concurrency": 4, **given}
    config = configure(run, world.values(library, **given), resume=False)
    return await generate(config, run, world.setup(config, ScriptedLLM(sometimes_down)), Caller(limit=limit))


@pytest.mark.parametrize(
    ("given", "offered", "seeds"),
    [({"seeds": 40}, None, 40), ({"seeds": 40}, 30, 30), ({"seeds": 40}, 90, 40), ({"seeds": 18}, None, 18)],
)
async def test_the_forecast_rests_on_plays_that_did_not_err_and_on_what_they_took(
    library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, object],
    offered: int | None,
    seeds: int,
) -> None:
    await play(library, tmp_path, 18, **given)
    asked: list[tuple[list[Taken], int | None, int | None]] = []
    real = forecasting.foretell

    def watched(plays: list[Taken], *, seeds: int | None, items: int | None, seed: int) -> Forecast | None:
        asked.append((list(plays), seeds, items))
        return real(plays, seeds=seeds, items=items, seed=seed)

    monkeypatch.setattr(forecasting, "foretell", watched)
    found = forecast(tmp_path, offered)
    with RunReader(tmp_path) as run:
        plays, usage = [one for one in run.plays() if one.status is not PlayStatus.PENDING], run.usage_by_seed()
    ended = [one for one in plays if one.reason is not Reason.ERRORED]
    assert len(plays) == 18 > len(ended) > 10
    ((taken, left, items),) = asked
    assert (left, items) == (seeds - len(ended), None)
    assert taken == [
        Taken(
            float((took.prompt_tokens or 0) + (took.completion_tokens or 0)),
            took.cost_usd,
            float(took.calls),
            one.status is PlayStatus.ACCEPTED,
        )
        for one in ended
        for took in [usage[one.seed_id]]
    ]
    assert len({one.calls for one in taken}) > 1 and all(one.tokens and one.cost_usd for one in taken)
    assert found is not None and (found.played, found.accepted) == (len(ended), sum(one.accepted for one in taken))
    tried = Counter(one.target for one in ended)
    got = Counter(one.target for one in ended if one.status is PlayStatus.ACCEPTED)
    assert [(row.target, row.accepted, row.played) for row in found.by_target] == [
        (target, got[target], tried[target]) for target in (2, 3)
    ]
    for row in found.by_target:
        share = wilson(row.accepted, row.played)
        assert (row.low, row.high) == (share.low, share.high) and row.accepted < row.played


async def test_of_a_number_of_items_those_that_are_there_are_taken_off(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[object] = []
    monkeypatch.setattr(forecasting, "foretell", lambda plays, **given: left.append(given))
    await play(library, tmp_path, 12, items=30)
    assert forecast(tmp_path, 500) is None
    with RunReader(tmp_path) as run:
        plays = list(run.plays())
    accepted = sum(one.status is PlayStatus.ACCEPTED for one in plays)
    ended = sum(one.status is not PlayStatus.PENDING and one.reason is not Reason.ERRORED for one in plays)
    assert accepted and left == [{"seeds": 500 - ended, "items": 30 - accepted, "seed": 0}]


async def test_how_long_plays_took_is_added_up(library: Path, tmp_path: Path) -> None:
    report = await play(library, tmp_path, 12, seeds=40)
    busy_s, elapsed_s = report.progress.busy_s, report.progress.elapsed_s
    assert busy_s is not None and 0 < busy_s < 4 * elapsed_s  # four at the same time


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})


def test_json_has_the_forecast_and_its_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    given = ("generate", "--corpus", "islands", "--llm", "mock", "-n", 12, "--out", tmp_path / "run")
    few = call(*given, "--pilot", 6, "--json")
    assert few.exit_code == 3, few.output
    told = json.loads(few.stdout)
    assert told["ended"]["ending"] == "limit" and told["forecast"]["played"] == 6
    assert told["forecast"]["seeds"] == {"expected": 6.0, "low": 6.0, "high": 6.0}
    assert 0 < told["hours"]["low"] <= told["hours"]["expected"] <= told["hours"]["high"] < 0.1
    rest = call(*given, "--resume", "--json")
    assert rest.exit_code == 0 and not {"forecast", "hours"} & json.loads(rest.stdout).keys()


def test_the_last_plays_of_random_length_leave_lanes_empty() -> None:
    exact = Range(160.0, 160.0, 160.0)
    found = Forecast(20, 10, Range(32.0, 32.0, 32.0), Range(16.0, 16.0, 16.0), None, None, exact, ())
    told = forecasting.hours(found, 36.0, 8)
    last = 5 * 36.0 * math.log(8) / 3600
    assert (told.low, told.expected, told.high) == pytest.approx((0.2, 0.2 + last / 2, 0.2 + last))
