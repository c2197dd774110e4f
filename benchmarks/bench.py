"""`make bench`: runs the benchmarks that need no data, key or network, and compares their ratios with the kept ones.

    python benchmarks/bench.py [--only early_stop,overhead] [--small] [--into FOLDER]

About 20 minutes on a quiet machine with two cores. Results go to build/bench, so that the kept ones stay as they are.
Only ratios are compared: two things measured in the same run on the same machine. Seconds of another machine say
nothing. `--small` only shows that each of them runs: its figures are not compared.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from arguments import names, parser
from report import RESULTS, RESULTS_VARIABLE

HERE = Path(__file__).parent
Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure that does not depend on the machine."""

    name: str
    of: Callable[[Result], float]
    better: Literal["higher", "lower"]
    slack: float
    """Fraction of the kept value by which it may be worse before it counts as a regression."""

    def worse(self, kept: Result, made: Result) -> str:
        """What got worse, in one line; empty if nothing did."""
        was, now = self.of(kept), self.of(made)
        limit = was * (1 - self.slack if self.better == "higher" else 1 + self.slack)
        bad = now < limit if self.better == "higher" else now > limit
        return f"{self.name}: {now:.3g}, was {was:.3g}, limit {limit:.3g}" if bad else ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A script of this folder, and the ratios of its result."""

    name: str
    """Name of the script and of its result."""
    arguments: Sequence[str]
    small: Sequence[str]
    """Arguments for a short run that only shows that the benchmark works."""
    ratios: Sequence[Ratio]


def _setting(at: int) -> Callable[[Result], float]:
    return lambda result: result["results"][at]["calls_of_solver_and_judge"]["saved"]


def _differing(result: Result) -> float:
    return sum(one["plays_that_differ"] for one in result["results"])


def _cpu(path: str, in_flight: int = 256, latency_s: float = 0.0) -> Callable[[Result], float]:
    def of(result: Result) -> float:
        (cpu,) = [
            one["cpu_ms_per_call"]
            for one in result["results"]
            if (one["path"], one["in_flight"], one["latency_s"]) == (path, in_flight, latency_s)
        ]
        return cpu

    return of


def _share(over: Callable[[Result], float], under: Callable[[Result], float]) -> Callable[[Result], float]:
    return lambda result: over(result) / under(result)


def _to_trl(setting: str, what: str) -> Callable[[Result], float]:
    return lambda result: result["settings"][setting]["questwell_to_trl"][what]


_CALLS = ("--path", "pooled_httpx2", "--path", "bare_aiohttp", "--path", "openai_client", "--path", "recorded")
BENCHMARKS = (
    Benchmark(
        "answer_pairs",
        (),
        (),
        (
            Ratio("answers that code decides wrong", lambda result: result["new"]["wrong calls"], "lower", 0),
            Ratio("answers that code decides right", lambda result: result["new"]["right calls"], "higher", 0),
        ),
    ),
    Benchmark(
        "early_stop",
        ("--seeds", "1000"),
        ("--seeds", "10"),
        (
            Ratio("plays that the early stop changes", _differing, "lower", 0),
            Ratio("calls saved, first question only", _setting(0), "higher", 0.1),
            Ratio("calls saved, the paper's table", _setting(1), "higher", 0.1),
            Ratio("calls saved, defaults of generate", _setting(2), "higher", 0.1),
        ),
    ),
    Benchmark(
        "overhead",
        ("--calls", "4000", "--in-flight", "256", "--latency", "0", *_CALLS),
        ("--calls", "64", "--in-flight", "8", "--latency", "0", *_CALLS),
        (
            Ratio(
                "CPU per call, our client to plain httpx2",
                _share(_cpu("openai_client"), _cpu("pooled_httpx2")),
                "lower",
                0.25,
            ),
            Ratio(
                "CPU per call, recorded to our client", _share(_cpu("recorded"), _cpu("openai_client")), "lower", 0.25
            ),
        ),
    ),
    Benchmark(
        "throughput",
        ("--only", "toy;searches", "--turns", "3"),
        ("--only", "toy", "--turns", "1"),
        (
            Ratio("update per CPU second, to TRL", _to_trl("toy", "update_tokens_per_cpu_s"), "higher", 0.3),
            Ratio(
                "update per CPU second with searches, to TRL",
                _to_trl("searches", "update_tokens_per_cpu_s"),
                "higher",
                0.3,
            ),
        ),
    ),
)
"""In the order in which they run, the shortest first."""


def regressions(kept: Path, made: Path, benchmarks: Sequence[Benchmark] = BENCHMARKS) -> list[str]:
    """What got worse between two folders of results, one line each; a missing result counts as worse."""
    found: list[str] = []
    for benchmark in benchmarks:
        paths = [folder / f"{benchmark.name}.json" for folder in (kept, made)]
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            found.append(f"{benchmark.name}: no result in {', '.join(missing)}")
            continue
        before, after = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
        found += [f"{benchmark.name}: {line}" for ratio in benchmark.ratios if (line := ratio.worse(before, after))]
    return found


def run(benchmark: Benchmark, into: Path, *, small: bool) -> None:
    """Run a benchmark in its own process; this command ends if it fails."""
    arguments = benchmark.small if small else benchmark.arguments
    print(f"== {benchmark.name} {' '.join(arguments)}", flush=True)
    command = [sys.executable, str(HERE / f"{benchmark.name}.py"), *arguments]
    subprocess.run(command, env={**os.environ, RESULTS_VARIABLE: str(into)}, check=True)


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmarks and compare them; 1 if something got worse."""
    known = [benchmark.name for benchmark in BENCHMARKS]
    options = parser(__doc__)
    options.add_argument("--only", type=names(known), default=known, help="names, separated by commas")
    options.add_argument("--small", action="store_true", help="only show that the benchmarks run; compares no figures")
    options.add_argument("--into", type=Path, default=HERE.parent / "build" / "bench", help="folder of the results")
    asked = options.parse_args(given)
    chosen = [benchmark for benchmark in BENCHMARKS if benchmark.name in asked.only]
    into = asked.into.absolute()
    into.mkdir(parents=True, exist_ok=True)
    for benchmark in chosen:
        (into / f"{benchmark.name}.json").unlink(missing_ok=True)
        run(benchmark, into, small=asked.small)
    if asked.small:
        return 0
    worse = regressions(RESULTS, into, chosen)
    print("\n".join(worse) or f"No ratio of {len(chosen)} benchmarks got worse.")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
