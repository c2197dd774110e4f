"""`--json` of every verb that plays: standard output is JSON that says how it ended, and the exit code agrees."""

import asyncio
import json
import os
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import evaluation_world
import pytest
import world
from selfplay_test import VALUES, prepared
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.cli.ending import CODES
from questwell.cli.kinds import PAGES
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.evaluate import loop as evaluating
from questwell.recipes.evaluate import rescore as rescoring
from questwell.recipes.generate import gates, recheck
from questwell.recipes.generate import loop as generating
from questwell.recipes.generate.loop import generate
from questwell.recipes.harden import loop as hardening
from questwell.recipes.rejudge import loop as rejudging
from questwell.recipes.reports import report as reporting
from questwell.recipes.runs.ending import Ending

pytestmark = pytest.mark.usefixtures("blank_charts")

Command = list[object]
MODEL = "scripted@http://localhost:1/v1"
QUESTION = "When did the bridge number {} open? (version 0 target 3)"


def flags(given: dict[str, object]) -> Command:
    return [part for key, value in given.items() for part in (f"--{key.replace('_', '-')}", value)]


@pytest.fixture(scope="session")
def played(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose questions are checked, judged again and labelled; next to it questions of others."""
    folder = tmp_path_factory.mktemp("played")
    config = world.config(library, seeds=18)
    asyncio.run(generate(config, folder / "run", world.setup(config)))
    rows = [{"question": QUESTION.format(n), "answer": str(world.YEAR + n), "target": 3} for n in range(6)]
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def start(library: Path, played: Path, started: Path, tmp_path: Path) -> Callable[[str], Command]:
    """The command of a verb, all in one folder that does not exist yet."""
    run, out, own = tmp_path / "played", tmp_path / "out", played / "own.jsonl"
    shutil.copytree(played / "run", run)
    game = [*flags(world.values(library)), "--concurrency", 1]
    kept = {key: value for key, value in world.values(library).items() if key not in ("answer_types", "seed_words")}
    about = [*flags(kept), "--concurrency", 1]
    asked = evaluation_world.values(library, evaluation_world.write_questions(tmp_path / "q.jsonl", 6))
    measured = [*flags({**asked, "judge": MODEL}), "--concurrency", 1]
    toy = flags({key: value for key, value in VALUES.items() if key not in ("verify", "steps", "eval_every")})

    def evaluation() -> Path:
        assert CliRunner().invoke(app, list(map(str, ["evaluate", "--out", out, *measured]))).exit_code == 0
        return out

    commands: dict[str, Callable[[], Command]] = {
        "generate": lambda: ["generate", "--out", out, "-n", 12, *game],
        "harden": lambda: ["harden", own, "--out", out, "--steps", 3, *about],
        "evaluate": lambda: ["evaluate", "--out", out, *measured],
        "rescore": lambda: [
            *("evaluate", "--rescore", evaluation(), "--judge", "another@http://localhost:1/v1", "--concurrency", 1),
            *("--prompts", library / "prompts"),
        ],
        "gates": lambda: ["gates", run, "--out", out, "--concurrency", 1],
        "recheck": lambda: ["recheck", own, "--out", out, *about],
        "rejudge": lambda: [
            *("rejudge", run, "--out", out, "--judge", MODEL, "--prompts", library / "prompts", "--concurrency", 1),
        ],
        "labels": lambda: ["status", run, "--report", tmp_path / "report", "--label-llm", MODEL],
        "train": lambda: [
            *("train", "toy", "--out", out, "--warm-start-steps", 0, "--steps", 2, "--batch", 2, "--group", 2),
            *("--min-finished", 0),
        ],
        "selfplay": lambda: [
            *("selfplay", *toy, "--no-verify", "--steps", 2, "--eval-every", 0),
            *("--out", prepared(out, started)),
        ],
    }
    return lambda verb: commands[verb]()


class Models:
    """Whoever answers; at its first call after `stopping` is set, the user presses Ctrl-C."""

    def __init__(self) -> None:
        self.stopping = False

    def answer(self, request: Request) -> Completion | str:
        if self.stopping:
            self.stopping = False
            os.kill(os.getpid(), signal.SIGINT)
        first = request.messages[0].content
        if not first.startswith("ROLE"):
            return Completion('{"labels": ["inference"]}', "scripted", prompt_tokens=5, completion_tokens=1)
        evaluated = "When did bridge" in request.messages[1].content
        return (evaluation_world.answer if evaluated else world.play)(request)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    """Every verb is answered by the script."""
    models = Models()
    llm = ScriptedLLM(models.answer)
    for module in (generating, hardening, gates, recheck):
        monkeypatch.setattr(module, "open_setup", lambda config, *_, **__: world.setup(config, llm))
    monkeypatch.setattr(evaluating, "open_eval_setup", lambda config, *_: evaluation_world.setup(config, llm))
    another = ScriptedLLM(models.answer, name="another")
    for module in (rescoring, rejudging):
        opened = module.open_judge
        monkeypatch.setattr(module, "open_judge", lambda config, opened=opened: (another, *opened(config)[1:]))
    monkeypatch.setattr(reporting, "connect", lambda *_: llm)
    return models


VERBS = [*PAGES, "rescore"]
MORE = {Ending.COMPLETE: "", Ending.LIMIT: "--limit 1", Ending.STOPPED: "", Ending.BUDGET: "--max-tokens 1"}
STEPS = ("train", "selfplay")
"""In the toy world they ask no model but the policy, so none can be stopped in a call."""
CANNOT = {*((verb, Ending.LIMIT) for verb in ("labels", "rescore")), *((verb, Ending.STOPPED) for verb in STEPS)}
HOW = [(verb, how) for verb in VERBS for how in MORE if (verb, how) not in CANNOT]


@pytest.mark.parametrize(("verb", "how"), HOW)
def test_json_says_how_it_ended(verb: str, how: Ending, start: Callable[[str], Command], models: Models) -> None:
    command = start(verb)
    more = "--max-minutes 1e-9" if how is Ending.BUDGET and verb in STEPS else MORE[how]
    models.stopping = how is Ending.STOPPED
    result = CliRunner().invoke(app, [*map(str, command), *more.split(), "--json"])
    assert result.exit_code == CODES[how], result.output
    tree = json.loads(result.stdout)
    ended = tree["ended"]
    assert set(ended) == {"ending", "message", "go_on"} and not set(ended) & set(tree)
    assert ended["ending"] == how
    assert (ended["message"] == "", ended["go_on"] == "") == (how is Ending.COMPLETE,) * 2
    assert not ended["go_on"] or shlex.split(ended["go_on"])[0] == "questwell"
