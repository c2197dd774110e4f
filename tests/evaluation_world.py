"""A scripted evaluation in the bridges' world: questions whose fate is their number, and a model that answers by rote.

0 is right, 1 wrong, 2 half right ("about", which a judge takes and the exact match does not), 3 gets no answer.
"""

import json
from pathlib import Path

import world

from questwell.llm.client import LLM, Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.evaluate.config import EvalConfig
from questwell.recipes.evaluate.setup import EvalSetup, open_eval_setup
from questwell.recipes.runs.config import resolve
from questwell.store.reader import RunReader
from questwell.types.trajectory import Role

JUDGE = "judge@http://localhost:1/v1"


def write_questions(path: Path, number: int) -> Path:
    """So many questions, of 2 and 3 hops."""
    rows = [
        {"id": f"b{n}", "question": f"When did bridge {n} open?", "answer": str(world.YEAR + n), "hops": 2 + n % 2}
        for n in range(number)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answer(request: Request) -> Completion:
    """The solver's script: one search, one answer. As a judge it takes "about" for right."""
    first, last = request.messages[1].content, request.messages[-1].content
    if first.startswith("Q: "):
        verdict = "yes" if "about" in last.rpartition("A: ")[2] else "no"
        return Completion(f"verdict: {verdict}", "judge", prompt_tokens=5, completion_tokens=1)
    number = int(first.rpartition("bridge ")[2].split()[0])
    year = world.YEAR + number
    said = {0: f"<answer>{year}</answer>", 1: f"<answer>{year + 1}</answer>", 2: f"<answer>about {year}</answer>"}
    searching = len(request.messages) == 2
    text = f"<search>bridge {number}</search>" if searching else said.get(number % 4, "<answer></answer>")
    return Completion(text, "scripted", prompt_tokens=9, completion_tokens=3, cost_usd=0.5)


def values(library: Path, bench: Path, **given: object) -> dict[str, object]:
    """Config values of an evaluation on the questions in `bench`."""
    return {
        "corpus": str(library / "bridges.jsonl"),
        "index": library / "index",
        "prompts": library / "prompts",
        "llm": "scripted@http://localhost:1/v1",
        "benchmarks": f"plain={bench}",
        "turns": 3,
        **given,
    }


def config(library: Path, bench: Path, **given: object) -> EvalConfig:
    """The config of an evaluation on the questions in `bench`."""
    return resolve(EvalConfig, values(library, bench, **given))


def setup(chosen: EvalConfig, llm: LLM | None = None) -> EvalSetup:
    """The real retriever and agents, driven by the script."""
    opened = open_eval_setup(chosen)
    scripted = llm or ScriptedLLM(answer)
    return EvalSetup(
        opened.retriever,
        dict.fromkeys((Role.SOLVER, Role.JUDGE), scripted),
        opened.solver,
        opened.judge,
        opened.prompts_hash,
    )


def ledger(run: Path) -> list[object]:
    """All that a run holds, but for the clock."""
    with RunReader(run) as reader:
        calls = sorted(reader._all("SELECT seed, round, role, attempt, turn, digest, response FROM calls"))
    return [*calls, *held(run)]


def held(run: Path) -> list[object]:
    """All that a run holds next to its calls: questions, answers, judgements."""
    with RunReader(run) as reader:
        rows: list[object] = [*reader.questions(), *reader.trials()]
        for scoring in reader.scorings():
            rows += reader.scores(scoring.number)
        return rows
