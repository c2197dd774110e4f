"""`make bench`: its check finds what got worse, and what it runs does run. Nothing is timed."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import bench

KEPT = Path(bench.__file__).parent / "results"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A copy of the kept results."""
    for benchmark in bench.BENCHMARKS:
        name = f"{benchmark.name}.json"
        (tmp_path / name).write_text((KEPT / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def change(folder: Path, name: str, *path: str | int, by: float = 1.0, to: float | None = None) -> None:
    file = folder / f"{name}.json"
    result = json.loads(file.read_text(encoding="utf-8"))
    inner = result
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = to if to is not None else inner[path[-1]] * by
    file.write_text(json.dumps(result), encoding="utf-8")


def test_equal_results_are_no_regression(made: Path) -> None:
    assert bench.regressions(KEPT, made) == []


def test_worse_is_found_and_better_is_not(made: Path) -> None:
    saved = ("results", 0, "calls_of_solver_and_judge", "saved")
    change(made, "early_stop", *saved, by=1.5)
    assert bench.regressions(KEPT, made) == []
    change(made, "early_stop", *saved, by=0.5)
    (line,) = bench.regressions(KEPT, made)
    assert line.startswith("early_stop: calls saved, first question only: ")


def test_noise_within_the_slack_is_none(made: Path) -> None:
    toy = ("settings", "toy", "questwell_to_trl", "update_tokens_per_cpu_s")
    change(made, "throughput", *toy, by=0.71)
    assert bench.regressions(KEPT, made) == []
    change(made, "throughput", *toy, by=0.98)
    assert len(bench.regressions(KEPT, made)) == 1


def test_lower_is_better_where_it_is(made: Path) -> None:
    result = json.loads((KEPT / "overhead.json").read_text(encoding="utf-8"))
    (at,) = [
        at
        for at, one in enumerate(result["results"])
        if (one["path"], one["in_flight"], one["latency_s"]) == ("recorded", 256, 0.0)
    ]
    change(made, "overhead", "results", at, "cpu_ms_per_call", by=0.5)
    assert bench.regressions(KEPT, made) == []
    change(made, "overhead", "results", at, "cpu_ms_per_call", by=4)
    assert len(bench.regressions(KEPT, made)) == 1


def test_what_may_never_happen_has_no_slack(made: Path) -> None:
    change(made, "early_stop", "results", 1, "plays_that_differ", to=1)
    change(made, "answer_pairs", "new", "wrong calls", to=1)
    assert [line.partition(":")[0] for line in bench.regressions(KEPT, made)] == ["answer_pairs", "early_stop"]


def test_a_missing_result_is_a_regression(made: Path) -> None:
    (made / "overhead.json").unlink()
    (line,) = bench.regressions(KEPT, made)
    assert line.startswith("overhead: no result in ")


def test_a_benchmark_runs_small_and_leaves_the_kept_results(tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in KEPT.glob("*.json")}
    assert bench.main(["--small", "--only", "answer_pairs,early_stop", "--into", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["answer_pairs.json", "early_stop.json"]
    assert {path.name: path.read_bytes() for path in KEPT.glob("*.json")} == before
    for name in ("answer_pairs", "early_stop"):
        (benchmark,) = [one for one in bench.BENCHMARKS if one.name == name]
        made = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        assert all(ratio.of(made) >= 0 for ratio in benchmark.ratios)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_of_them_run_small(tmp_path: Path) -> None:
    assert bench.main(["--small", "--into", str(tmp_path)]) == 0
