"""SIGKILLs over a run that Ray plays: players, keepers, the process that divides calls, the command and the head.

    python benchmarks/ray_kills.py [--seeds 115] [--kills 30]

A scripted model answers over HTTP on this machine after 50 ms, and counts what is paid twice. Needs Ray. The run is
resumed after each kill, and compared with the same run in one process, row by row. Results go to
benchmarks/results/ray_kills.json.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportMissingImports=false

import random
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from arguments import parser
from report import heading, write

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "ray_engine")]

import world  # noqa: E402
from ray_cluster import (  # noqa: E402
    AT_ONCE,
    IN_FLIGHT,
    PLAYERS,
    Killing,
    Slow,
    accepted,
    heads,
    without_clock,
)

EVERY_TEN = ("player", "keeper", "player", "keeper", "limits", "player", "driver", "keeper", "player", "head")
"""The kinds of kill, in turn."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=115)
    options.add_argument("--kills", type=int, default=30)
    given = options.parse_args()
    kills = [EVERY_TEN[number % len(EVERY_TEN)] for number in range(given.kills)]
    head = heading()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "world"
        library.mkdir()
        world.build(library)
        model = Slow()
        killing = Killing(model, library, Path(folder), given.seeds)
        since = time.monotonic()
        alone = killing.alone()
        one_s = time.monotonic() - since
        since = time.monotonic()
        with heads() as begun:
            run = killing.placed(begun, kills, random.Random(0))
        placed_s = time.monotonic() - since
        model.close()
        account = killing.account
        result = {
            **head,
            "ray": version("ray"),
            "seeds": given.seeds,
            "players": PLAYERS,
            "plays_at_once": AT_ONCE,
            "most_in_flight": model.most_in_flight,
            "most_paid_twice_per_kill": IN_FLIGHT,
            "calls_of_one_process": account.alone,
            "calls_paid": account.calls,
            "paid_twice": account.twice,
            "in_flight_at_kills": sum(kill.in_flight for kill in account.kills),
            "most_paid_twice": account.most_twice,
            "accepted": len(accepted(run)),
            "same_items": accepted(run) == accepted(alone),
            "same_rows": without_clock(run) == without_clock(alone),
            "one_process_s": round(one_s, 1),
            "placed_s": round(placed_s, 1),
            "kills": [asdict(kill) for kill in account.kills],
        }
    write("ray_kills", result)


if __name__ == "__main__":
    main()
