"""Every `questwell` command in the documents is run, on a small world with the mock model, or its keys are checked.

What cannot be run here has its reason in `WHY_NOT`. Of such a command all flags are read, and its config is resolved
(`--print-config`), so that an unknown flag, key or value fails.
"""

import functools
import itertools
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.cli.verbs import VERBS, load
from questwell.recipes.sections import CONFIGS
from questwell.retrieval.corpora.islands import read_islands

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "reference"),
        *(ROOT / "examples").glob("*/README.md"),
    ]
)
MODELS = ("--llm", "--proposer-llm", "--solver-llm", "--judge-llm", "--weak-llm", "--judge", "--label-llm")
COUNTS = {"-n": 6, "--seeds": 6, "--pilot": 5, "--limit": 4, "--sample": 4}
"""Numbers that are larger than this in the documents are this here."""
INSTEAD = {"foldoc": "islands", "factbook": "islands", "q00042": "q00001"}
WHY_NOT = (
    (r"^(serve|view)\b(?!.*--export)", "runs until it is stopped"),
    (r"--model \S*(Qwen|local)|--engine verl", "needs the weights of a model"),
    (r"--engine ray", "needs Ray"),
    (r"^(train|selfplay) (.*--(model|data) )?toy\b|^(train|selfplay) .*--resume", "trains for minutes"),
    (r"--retriever (google|tavily|brave|searxng)", "needs a key and the network"),
    (r"(opensearch|qdrant|mcp):|--retriever https?:|@https?:|https://", "needs a server"),
    (r"--to ", "needs a server"),
    (r"--reranker|--embedder|--retriever hybrid", "needs the weights of an embedder or a reranker"),
    (r"^show runs/(toy|verl)|^view runs/agent", "shows a run that trains for minutes"),
    (r"^recheck runs/", "tries what a person has edited"),
    (r"^dataset q/|data/sage/", "needs more items than the small corpus has"),
    (r"--watch", "follows a run until it ends"),
    (r"^(status|show|evaluate --resume|compare) .*runs/example", "needs the run of the example"),
)
"""(what the command has, why it cannot be run here)."""


def blocks(page: Path) -> Iterator[str]:
    """The code blocks of a page."""
    written = page.read_text(encoding="utf-8")
    yield from re.findall(r"^```\w*\n(.*?)^```", written, re.DOTALL | re.MULTILINE)
    yield from re.findall(
        r"(?:^ {4,}\S.*\n)+", re.sub(r"^```.*?^```", "", written, flags=re.DOTALL | re.M), re.MULTILINE
    )


def commands(page: Path) -> Iterator[str]:
    """The commands of a page without the name of the program, comments, and what stands before it."""
    for block in blocks(page):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            found = re.match(r"\s*(?:[A-Z_]+=\S+ |opentelemetry-instrument |\S*/|.*--no-python )?questwell (.+)", line)
            if found:
                yield re.sub(r"\s+#.*", "", found[1]).strip()


@functools.cache
def reason(command: str) -> str:
    """Why a command cannot be run here; empty when it can."""
    return next((why for pattern, why in WHY_NOT if re.search(pattern, command)), "")


def small(command: str) -> list[str]:
    """The arguments of a command with the mock model, and with small numbers."""
    arguments = shlex.split(command)
    for at, (flag, value) in enumerate(itertools.pairwise(arguments), 1):
        if flag in MODELS and value != "toy":
            arguments[at] = "mock"
        elif flag in COUNTS and value.isdigit():
            arguments[at] = str(min(int(value), COUNTS[flag]))
        elif flag == "--shards":
            arguments[at] = "2"
    if arguments[0] in ("generate", "harden", "recheck") and not {"--llm", "--config", "--resume"} & {*arguments}:
        arguments += ["--llm", "mock"]
    if arguments[0] == "dataset" and "--split" not in arguments:
        arguments += ["--split", "train:1"]  # the items of so small a corpus share their evidence
    return [INSTEAD.get(argument, argument) for argument in arguments]


def made_by(arguments: list[str]) -> str:
    """The folder that a command makes; empty when it makes none."""
    if arguments[0] == "merge":
        return arguments[1]
    return arguments[arguments.index("--out") + 1] if "--out" in arguments else ""


def runs_to_read(arguments: list[str]) -> Iterator[str]:
    """The folders that a command reads."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        read = before not in ("--out", "-o", "--report") and argument != made_by(arguments)
        if read and re.match(r"(runs|eval|data|q|test|agent)/\w", argument):
            yield argument


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the files that the documents name, and a run of each kind to read."""
    folder = tmp_path_factory.mktemp("documents")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("QUESTWELL_HOME", str(folder / "home"))
        patch.setenv("COLUMNS", "200")
        documents = [{"id": one.id, "title": one.title, "text": one.text} for one in read_islands()]
        lines("wiki.jsonl", documents)
        lines("new.jsonl", [{"id": "new", "title": "New", "text": "Gannet Light was painted in 1990."}])
        Path("gone.txt").write_text(f"{documents[-1]['id']}\n")
        questions = [
            {"id": f"q{at}", "question": f"What is {one['title']}?", "answer": one["title"]}
            for at, one in enumerate(documents[:3])
        ]
        for name in ("questions.jsonl", "held_out.jsonl", "own.jsonl"):
            lines(name, questions)
        musique = [
            {
                **{"id": f"2hop__{at}", "question": one["question"], "answer": one["answer"]},
                **{"answer_aliases": [], "answerable": True, "paragraphs": [], "question_decomposition": []},
            }
            for at, one in enumerate(questions)
        ]
        for part in ("dev", "train"):
            lines(f"musique_ans_v1.0_{part}.jsonl", musique)
        Path("test.tsv").write_text("\tPrompt\tAnswer\treasoning_types\n0\tWhat is Gannet Rock?\tan islet\tmultiple\n")
        shutil.copytree(ROOT / "examples" / "real_text" / "prompts", "examples/real_text/prompts")
        run("generate --corpus wiki.jsonl --llm mock -n 6 --steps 2 --out kinds/runs")
        run("dataset kinds/runs --out kinds/data")
        run("evaluate --llm mock --corpus wiki.jsonl --benchmarks plain=questions.jsonl --out kinds/eval")
        shutil.copytree("home", "kinds/home")
        yield folder


def lines(name: str, rows: list[dict[str, object]]) -> None:
    Path(name).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def run(command: str | list[str]) -> str:
    """The output of a command that may stop early, and must not fail."""
    arguments = command.split() if isinstance(command, str) else command
    to = arguments[-1] if ">" in arguments else None
    done = CliRunner().invoke(app, arguments[: arguments.index(">")] if to else arguments)
    assert done.exit_code in (0, 3), f"{shlex.join(arguments)}\n{done.output}"
    if to:
        Path(to).write_text(done.stdout, encoding="utf-8")
    return done.output


def check(arguments: list[str]) -> None:
    """Flags, keys and values of a command that is not run."""
    if arguments[0] in CONFIGS and "--resume" not in arguments:
        arguments = [argument for argument in arguments if argument != "--fit"]  # which opens the model
        done = CliRunner().invoke(app, [*arguments, "--print-config"])
        assert done.exit_code == 0, f"{shlex.join(arguments)}\n{done.output}"
    else:
        load(arguments[0]).make_context(arguments[0], arguments[1:])


@pytest.mark.timeout(600)  # many commands, on a busy machine
@pytest.mark.parametrize(
    "page", [page for page in PAGES if list(commands(page))], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_command_is_run_or_checked(page: Path, world: Path) -> None:
    for folder in ("runs", "eval", "data", "q", "test", "agent"):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree("home")
    shutil.copytree("kinds/home", "home")  # an earlier page may have changed the index
    for command in dict.fromkeys(commands(page)):
        arguments = small(command)
        assert arguments[0] in VERBS and "..." not in arguments, f"{page.name}: {command}"
        for folder in runs_to_read(arguments):
            if not Path(folder).exists() and not Path(folder).suffix:
                kind = {"eval": "eval", "test": "eval", "data": "data"}.get(folder.split("/")[0], "runs")
                shutil.copytree(f"kinds/{kind}", folder)
        if reason(command):
            check(arguments)
            continue
        if "--resume" not in arguments:
            shutil.rmtree(made_by(arguments) or "none", ignore_errors=True)
        run(arguments)


def test_most_commands_are_run() -> None:
    written = {command for page in PAGES for command in commands(page)}
    assert len(written) > 90
    assert len([command for command in written if not reason(command)]) > 50
    for pattern, _ in WHY_NOT:
        assert any(re.search(pattern, command) for command in written), f"{pattern} is of no use any more"


def test_a_command_that_the_product_does_not_have_is_found(world: Path) -> None:
    for wrong in (
        "generate --corpus wiki.jsonl --llm mock --no-such-flag",
        "generate --corpus wiki.jsonl --accept never",
    ):
        with pytest.raises(AssertionError, match=r"No such option|accept"):
            check(wrong.split())
        with pytest.raises(AssertionError, match=r"No such option|accept"):
            run([*wrong.split(), "--out", "runs/wrong"])
