"""The gallery's conformance: what each family of endpoints makes of every kind of request, as rows of a table.

`python tests/gallery_world.py` plays all of it and writes the table into docs/endpoints.md; `gallery_test.py` checks
that the page says what the suite finds.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from questwell.llm.connect import connect
from questwell.llm.gallery import FAMILIES, Family, serving
from questwell.recipes.evaluate import loop as evaluating
from questwell.recipes.evaluate.config import EvalConfig
from questwell.recipes.evaluate.setup import open_eval_setup
from questwell.recipes.generate import gates
from questwell.recipes.generate import loop as generating
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.rehearsal import rehearse
from questwell.store.reader import RunReader
from questwell.types.game import Accepted

PAGE = Path(__file__).parent.parent / "docs" / "endpoints.md"
COLUMNS = ("doctor", "generate, tags", "generate, functions", "judge", "evaluate", "gates")
HEAD = f"| family | {' | '.join(COLUMNS)} | how requests are changed |"
PEOPLE = ("Ada Brook", "Bela Marsh", "Cora Fenn", "Dora Holt", "Elsa Wynn", "Fred Lowe", "Gita Rao", "Hugo Lind")
GATES = "closed-book,evidence,shortcut,unique,dated"


def write_corpus(path: Path) -> Path:
    """Passages that name each other, each with a year, a number and a place."""
    rows = [
        {
            "id": f"p{at}",
            "title": name,
            "text": f"{name} was an engineer who built the docks of Port {name.split()[1]} in the year {1801 + 13 * at}"
            f". The pier that she drew is {40 + at} metres long, and was ended by her friend {PEOPLE[(at + 3) % 8]}.",
        }
        for at, name in enumerate(PEOPLE)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


async def items(corpus: Path, out: Path, llm: str, *, resume: bool = False, **values: object) -> list[tuple[str, str]]:
    """Question and answer of each item of a game."""
    given = {
        "corpus": str(corpus),
        "llm": llm,
        "seeds": 3,
        "steps": "2..2",
        "attempts": 2,
        "seed_words": 5,
        "concurrency": 2,
    }
    config = resolve(Config, given, values)
    setup = open_setup(config)
    try:
        await generating.generate(config, out, setup, Caller(resume=resume))
    finally:
        await setup.aclose()
    with RunReader(out) as run:
        played = [run.outcome(play.index) for play in run.plays()]
    return [
        (one.rounds[-1].proposal.question, one.rounds[-1].proposal.answer)
        for one in played
        if isinstance(one, Accepted)
    ]


async def gated(run: Path, llm: str) -> list[tuple[str, str, str]]:
    """(question, gate, what came of it) of each item of a run and each gate."""
    config = gates.configure(run / "gates", {"of": run, "gates": GATES, "llm": llm})
    report = await asyncio.to_thread(gates.check_run, config, run / "gates")
    return [(one.question, found.gate.value, found.outcome.value) for one in report.checked for found in one.results]


async def evaluated(corpus: Path, folder: Path, llm: str) -> tuple[list[tuple[str, str | None, int]], list[str]]:
    """(stop, answer, searches) of two trials, one of them with a wrong answer, and their labels by a judge."""
    question = 'Look up "Ada Brook", then "Cora Fenn": in what the last of these finds, '
    question += 'which date comes right after the words "{}"?'
    rows = [
        {"question": question.format("of Port Fenn in the year"), "answer": "1827"},
        {"question": question.format("of Port Brook in the year"), "answer": "the year 1801 or so"},
    ]
    path = folder / "q.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    config = resolve(EvalConfig, {"corpus": str(corpus), "llm": llm, "judge": llm, "benchmarks": f"plain={path}"})
    setup = open_eval_setup(config)
    try:
        await evaluating.evaluate(config, evaluating.questions_of(config), folder / "run", setup)
    finally:
        await setup.aclose()
    with RunReader(folder / "run") as run:
        trials = [(trial.stop.value, trial.answer, trial.searches) for trial in run.trials()]
        return trials, [score.judgement.label.value for score in run.scores(0)]


@dataclass(frozen=True, slots=True)
class Conformance:
    """What one family did with everything."""

    rehearsed: Mapping[str, bool]
    """Whether each role's request was taken and its reply read."""
    items: Mapping[str, list[tuple[str, str]]]
    """Of a game, by protocol."""
    gates: list[tuple[str, str, str]]
    trials: list[tuple[str, str | None, int]]
    labels: list[str]
    changes: tuple[str, ...]
    """Of requests."""
    refusals: int
    """The most of one game."""


async def play(family: Family | None, folder: Path) -> Conformance:
    """Everything once; None is the script itself, without an endpoint."""
    os.environ["QUESTWELL_HOME"] = str(folder / "home")
    corpus = write_corpus(folder / "corpus.jsonl")
    if family is None:
        return await _played("mock", corpus, folder, {}, lambda: 0)
    async with serving(family) as served:
        llm = connect(f"gpt-x@{served.base_url}")
        try:
            rehearsed = {one.role: one.taken and one.usable for one in await rehearse(llm)}
        finally:
            await llm.aclose()
        return await _played(f"gpt-x@{served.base_url}", corpus, folder, rehearsed, lambda: served.refusals)


async def _played(
    llm: str, corpus: Path, folder: Path, rehearsed: Mapping[str, bool], refusals: Callable[[], int]
) -> Conformance:
    found: dict[str, list[tuple[str, str]]] = {}
    changes: dict[str, None] = {}
    most = 0
    for protocol in ("tags", "functions"):
        before = refusals()
        found[protocol] = await items(corpus, folder / protocol, llm, protocol=protocol)
        most = max(most, refusals() - before)
        with RunReader(folder / protocol) as run:
            changes.update(dict.fromkeys(one for several in run.adapted().values() for one in several))
    found_gates = await gated(folder / "tags", llm)
    trials, labels = await evaluated(corpus, folder, llm)
    return Conformance(rehearsed, found, found_gates, trials, labels, tuple(changes), most)


def cells(found: Conformance, plain: Conformance) -> tuple[str, ...]:
    """By column: `right`, or what is not."""
    doctor = [role for role, usable in found.rehearsed.items() if not usable]
    right = (
        not doctor and len(found.rehearsed) == 6,
        found.items["tags"] == plain.items["tags"] and len(found.items["tags"]) == 3,
        found.items["functions"] == plain.items["functions"] and len(found.items["functions"]) == 3,
        found.labels == ["right", "wrong"],
        found.trials == [("finished", "1827", 2), ("finished", "1801", 2)],
        found.gates == plain.gates and {gate for _, gate, _ in found.gates} == set(GATES.split(",")),
    )
    return tuple("right" if one else "wrong" for one in right)


def row(family: Family, found: Conformance, plain: Conformance) -> str:
    """The family's line of the table."""
    changes = ", ".join(f"`{change}`" for change in sorted(found.changes)) or "not at all"
    return f"| {family.name} | {' | '.join(cells(found, plain))} | {changes} |"


def rows_of_the_page() -> list[str]:
    """The lines of the table in docs/endpoints.md."""
    table = PAGE.read_text(encoding="utf-8").partition(HEAD)[2]
    return [line for line in table.partition("\n\n")[0].splitlines() if line.startswith("| ")]


def main() -> None:
    """Play all families and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        places = iter(range(len(FAMILIES) + 1))

        def played(family: Family | None) -> Conformance:
            (place := Path(folder) / str(next(places))).mkdir()
            return asyncio.run(play(family, place))

        plain = played(None)
        rows = [row(family, played(family), plain) for family in FAMILIES]
    page = PAGE.read_text(encoding="utf-8")
    table = "\n".join((HEAD, f"|{'---|' * (len(COLUMNS) + 2)}", *rows))
    before, _, after = page.partition(HEAD)
    after = after.partition("\n\n")[2]
    PAGE.write_text(f"{before}{table}\n\n{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
