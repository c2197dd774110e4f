"""A run that Ray places: SIGKILL of a player, a keeper, the shares, the command and the cluster's head."""

import random
from pathlib import Path

import pytest
from ray_cluster import AT_ONCE, Killing, Slow, accepted, heads, without_clock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_whoever_is_killed_the_run_is_that_of_one_process_and_only_calls_in_flight_are_paid_twice(
    library: Path, tmp_path: Path
) -> None:
    model = Slow()
    killing = Killing(model, library, tmp_path, seeds=60)
    alone = killing.alone()
    model.most_in_flight = 0
    with heads() as begun:
        run = killing.placed(begun, ["player", "keeper", "limits", "driver", "player", "head"], random.Random(1))
        listening = begun[-1].listening()
    model.close()
    assert accepted(run) == accepted(alone) and without_clock(run) == without_clock(alone)
    account = killing.account
    assert 0 <= account.twice <= account.most_twice, account
    assert 2 <= model.most_in_flight <= AT_ONCE
    assert listening and {address.rpartition(":")[0] for address in listening} <= {"127.0.0.1", "[::ffff:127.0.0.1]"}
