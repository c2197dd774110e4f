"""A million seeds with two recorded calls each: half played, resumed, resumed again, reported and exported.

    python benchmarks/million_seeds.py [--seeds 1000000] [--work FOLDER] [--out FILE]

The durable loop of `generate` is the real one: draws, workers, recorder, run file, counts, export. Corpus, agents and
model are made up and cheap: a passage is made when it is drawn, the proposer and the solver make one recorded call
each, and no judge is asked. Each step is a process of its own, so that its peak memory is its own; a step that only
imports shows what of it is imports. The run is deleted at the end. Results go to benchmarks/results/million_seeds.json.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arguments import parser
from report import heading, write

from questwell.agents.proposer import Draft
from questwell.agents.session import Session
from questwell.games.rules import Players
from questwell.llm.client import Completion, Message, Request
from questwell.recipes.dataset.export import Format, export
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.loop import generate
from questwell.recipes.generate.setup import Setup
from questwell.recipes.reports.items import each
from questwell.recipes.reports.status import status
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.scoring.judge import Judge
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Proposal, Seed, SolutionStep
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn

SAID = (
    "The bridge over the river was opened after nine years of work by the guild of masons, and the toll was one coin."
)


class Shelf:
    """A corpus of any size; each passage is made when it is read."""

    name = "shelf"

    def __init__(self, passages: int) -> None:
        self._passages = passages
        self.snapshot = f"shelf of {passages}"

    def __len__(self) -> int:
        return self._passages

    def passage_at(self, place: int) -> Passage:
        """One passage, with a year of its own."""
        text = f"Bridge Number {place} was opened in {1000 + place}. {SAID}"
        return Passage(f"b{place}", f"Bridge Number {place}", text, f"b{place}")

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """Finds nothing, because no agent searches."""
        return ()

    async def aclose(self) -> None:
        """Nothing to release."""


class Model:
    """Answers at once, with the year in the prompt."""

    name = "quick"
    priced = True

    async def complete(self, request: Request) -> Completion:
        """The year."""
        text = request.messages[0].content.rpartition(" ")[2]
        return Completion(text, "quick", prompt_tokens=40, completion_tokens=4, cost_usd=0.0)

    async def aclose(self) -> None:
        """Nothing to release."""


def _rollout(role: Role, said: str) -> Trajectory:
    return Trajectory(role, Style.FREE, (Turn(said),), StopReason.FINISHED, said, model="quick")


class Proposer:
    """A proposer that asks for the year of its seed's bridge."""

    async def propose(self, seed: Seed, session: Session, random_seed: int) -> Draft:
        """Make one call."""
        year = seed.passage.text.partition("opened in ")[2].partition(".")[0]
        made = await session.complete(Request((Message("user", f"{seed.passage.text} {year}"),), seed=random_seed))
        question = f"In which year was the {seed.passage.title.replace('Number ', 'no. ')} opened?"
        steps = (SolutionStep(seed.passage.title, made.text, seed.passage.id),)
        tried = _rollout(Role.PROPOSER, made.text)
        return Draft(Proposal(question, made.text, (), steps, (seed.passage,), tried), tried)

    async def repair(
        self, seed: Seed, rounds: object, feedback: object, session: Session, random_seed: int
    ) -> tuple[Draft, None]:
        """Never called, because there is one round."""
        raise AssertionError(seed)


class Solver:
    """A solver that knows the year."""

    async def solve(self, question: str, session: Session, random_seed: int) -> Trajectory:
        """Make one call."""
        number = int(question.partition("no. ")[2].partition(" ")[0])
        made = await session.complete(Request((Message("user", f"{question} {1000 + number}"),), seed=random_seed))
        return _rollout(Role.SOLVER, made.text)


def played(work: Path, seeds: int, limit: int | None) -> dict[str, Any]:
    """Run one invocation of the loop."""
    given = {"corpus": "islands", "llm": "mock", "seeds": seeds, "steps": "any", "attempts": 1, "rounds": 0}
    config = resolve(Config, {**given, "answer_types": "date,number", "concurrency": 256, "seed_words": 10})
    players = Players(Proposer(), Solver(), Judge(lambda question, references, answer: ()))
    setup = Setup(Shelf(seeds), dict.fromkeys(config.playing, Model()), players, "", {})
    report = asyncio.run(generate(config, work / "run", setup, Caller(resume=True, limit=limit)))
    progress = report.progress
    return {"ending": report.ending.value, "calls_made": progress.calls_made, "accepted": progress.accepted}


def reported(work: Path, seeds: int) -> dict[str, Any]:
    """What `questwell status` reads."""
    return {"accepted": status(work / "run").funnel.accepted}


def exported(work: Path, seeds: int) -> dict[str, Any]:
    """What `questwell export` writes."""
    number = export(work / "run", work / "items.jsonl", Format.JSONL)
    return {"items": number, "bytes": (work / "items.jsonl").stat().st_size}


def read_once(work: Path, seeds: int) -> dict[str, Any]:
    """Every item, one in memory at a time."""
    return {"items": sum(1 for _ in each(work / "run"))}


STEPS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "imports": lambda work, seeds: {},
    "half_played": lambda work, seeds: played(work, seeds, seeds // 2),
    "resumed": lambda work, seeds: played(work, seeds, None),
    "resumed_when_complete": lambda work, seeds: played(work, seeds, None),
    "status": reported,
    "export": exported,
    "items_read": read_once,
}


def step(name: str, work: Path, seeds: int) -> None:
    """Run one step, and print its time and memory."""
    started, cpu = time.perf_counter(), time.process_time()
    found = STEPS[name](work, seeds)
    took = {
        "wall_s": round(time.perf_counter() - started, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps({**found, **took}))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=1_000_000)
    options.add_argument("--work", type=Path, help="folder in which the run is made; by default the system's")
    options.add_argument("--out", type=Path, help="file for the results")
    options.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.step:
        step(given.step, given.work, given.seeds)
        return
    report = heading()
    if given.work:
        given.work.mkdir(parents=True, exist_ok=True)
    steps = dict[str, Any]()
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        for name in STEPS:
            line = [sys.executable, __file__, "--step", name, "--work", work, "--seeds", str(given.seeds)]
            steps[name] = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout)
            print(name, json.dumps(steps[name]), flush=True)
        size = (Path(work) / "run" / "run.sqlite").stat().st_size
    report |= {"seeds": given.seeds, "calls": 2 * given.seeds, "run_file_bytes": size, "steps": steps}
    write("million_seeds", report, given.out)


if __name__ == "__main__":
    main()
