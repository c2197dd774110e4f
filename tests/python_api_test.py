"""Questwell from Python: names, keys, own models and retrievers, running loops, the notebook."""

import ast
import asyncio
import inspect
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import evaluation_world
import pytest

import questwell
from questwell import api
from questwell.llm.client import Completion, Request
from questwell.llm.gallery.mock import MockLLM
from questwell.recipes.evaluate.config import EvalConfig
from questwell.recipes.generate.config import Config
from questwell.recipes.harden.config import HardenConfig
from questwell.recipes.runs.ending import Ending
from questwell.recipes.train.config import TrainConfig
from questwell.types.corpus import Hit

ROOT = Path(__file__).parent.parent
SMALL = {"corpus": "islands", "seeds": 4, "steps": "2"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


class Mine:
    """A model of one's own, with no more than the protocol asks for."""

    name = "mine"
    priced = True

    def __init__(self, interrupt_at: int = 0) -> None:
        self.calls = 0
        self.closed = False
        self._interrupt_at = interrupt_at
        self._mock = MockLLM()

    async def complete(self, request: Request) -> Completion:
        self.calls += 1
        if self.calls == self._interrupt_at:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            await asyncio.sleep(0.05)
        return await self._mock.complete(request)

    async def aclose(self) -> None:
        self.closed = True


class Shelf:
    """A retriever of one's own."""

    name = "shelf"

    def __init__(self, inner: questwell.Retriever) -> None:
        self.inner = inner
        self.queries: list[str] = []
        self.closed = False

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        self.queries.append(query)
        return await self.inner.search(query, k)

    async def aclose(self) -> None:
        self.closed = True


def test_the_package_exports_what_it_says_and_the_document_tells_each() -> None:
    assert sorted(questwell.__all__) == sorted([*api.__all__, "__version__"])
    assert all(getattr(questwell, name) is getattr(api, name) for name in api.__all__)
    assert set(questwell.__all__) <= set(dir(questwell))
    tree = ast.parse(Path(questwell.__file__).read_text(encoding="utf-8"))
    typed = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(api.__all__) <= typed  # what an editor knows
    written = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert [
        name for name in api.__all__ if not re.search(rf"`[^`]*\b{name}\b[^`]*`|^.*\b{name}\(", written, re.M)
    ] == []
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = questwell.nothing


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import questwell, sys; print(sorted(name for name in sys.modules if name.startswith('questwell')))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "['questwell', 'questwell.version']"


@pytest.mark.parametrize(
    ("function", "twin", "config"),
    [
        (api.generate, api.generate_async, Config),
        (api.harden, api.harden_async, HardenConfig),
        (api.evaluate, api.evaluate_async, EvalConfig),
        (api.train, api.train_async, TrainConfig),
    ],
)
def test_functions_take_the_flags_keys_and_explain_them(function: object, twin: object, config: type[Config]) -> None:
    assert callable(function) and callable(twin)
    taken = inspect.signature(function).parameters
    assert set(config.model_fields) | {"out", "resume", "limit"} <= set(taken)
    assert inspect.signature(twin).parameters == taken
    assert all(
        f"    {key}: {field.description}" in (function.__doc__ or "") for key, field in config.model_fields.items()
    )


def test_a_run_is_made_and_opened_again(tmp_path: Path) -> None:
    told: list[int] = []
    run = questwell.generate(**SMALL, llm="mock", out="run", on_progress=lambda progress: told.append(progress.done))
    assert run.report is not None and run.report.ending is Ending.COMPLETE
    assert told[-1] == 4
    again = questwell.open_run(tmp_path / "run")
    assert isinstance(again, questwell.GenerateRun) and again.report is None and again.kind == "generate"
    items = again.items()
    assert len(items) == again.status().funnel.accepted > 0
    frame = again.to_pandas()
    assert list(frame["question"]) == [item.question for item in items]
    assert frame["difficulty"].min() >= 2
    assert again.story().play.question == again.story(items[0].id).play.question == items[0].question
    assert len(again.plays()) == 4


def test_a_toml_file_and_a_preset_are_read_and_arguments_go_over_them(tmp_path: Path) -> None:
    (tmp_path / "q.toml").write_text('corpus = "islands"\n[generate]\nseeds = 9\nllm = "mock"\n[train]\nsteps = 3\n')
    run = questwell.generate(config="q.toml", seeds=2, preset="sage-paper", attempts=1, out="run", limit=0)
    saved = run.status().info.config
    assert isinstance(saved, dict)
    assert (saved["seeds"], saved["rounds"], saved["attempts"], saved["top_k"]) == (2, 3, 1, 3)


def test_a_wrong_key_or_object_is_a_message() -> None:
    with pytest.raises(questwell.QuestwellError, match=r"attemps.*attempts"):
        questwell.generate(**SMALL, llm="mock", out="run", attemps=3)
    with pytest.raises(questwell.QuestwellError, match="llm: 'object' lacks name, priced, complete"):
        questwell.generate(**SMALL, llm=object(), out="run")
    with pytest.raises(questwell.QuestwellError, match="two of your own models are both called 'mine'"):
        questwell.generate(**SMALL, llm=Mine(), judge_llm=Mine(), out="run")
    with pytest.raises(questwell.QuestwellError, match="no run"):
        questwell.open_run("nowhere")


def test_a_model_and_a_retriever_of_ones_own_are_used_and_stay_open() -> None:
    model, shelf = Mine(), Shelf(questwell.open_index(corpus="islands"))
    run = questwell.generate(**SMALL, llm=model, retriever=shelf, out="run", limit=2)
    assert run.report is not None and run.report.ending is Ending.LIMIT
    assert run.status().spending.searches == len(shelf.queries) > 0
    with pytest.raises(questwell.QuestwellError, match=r"'own:mine' is a model .* llm="):
        questwell.generate(out="run", resume=True)
    with pytest.raises(questwell.QuestwellError, match=r"'own:shelf' .* retriever="):
        questwell.generate(out="run", resume=True, llm=model)
    calls = model.calls
    assert calls == run.status().spending.total.calls
    whole = questwell.generate(out="run", resume=True, llm=model, retriever=shelf)
    assert whole.report is not None and whole.report.ending is Ending.COMPLETE
    assert model.calls == whole.status().spending.total.calls > calls
    assert {item.solver_model for item in whole.items()} == {"mine"}
    assert not model.closed and not shelf.closed


def test_blocking_calls_work_where_a_loop_is_running_and_twins_run_in_it() -> None:
    loops: list[object] = []

    class Watching(Mine):
        async def complete(self, request: Request) -> Completion:
            loops.append(asyncio.get_running_loop())
            return await super().complete(request)

    async def cell() -> tuple[questwell.GenerateRun, questwell.GenerateRun]:
        here = asyncio.get_running_loop()
        blocked = questwell.generate(**SMALL, llm=Watching(), out="blocked")
        assert here not in loops
        loops.clear()
        awaited = await questwell.generate_async(**SMALL, llm=Watching(), out="awaited")
        assert set(loops) == {here}
        return blocked, awaited

    blocked, awaited = asyncio.run(cell())
    assert [item.question for item in blocked.items()] == [item.question for item in awaited.items()] != []


def test_questions_of_a_run_are_hardened_by_a_model_of_ones_own_and_its_twin_runs_in_the_loop(tmp_path: Path) -> None:
    questwell.generate(**SMALL, llm="mock", out="easy")
    model = Mine()
    given = {"source": tmp_path / "easy", "corpus": "islands", "steps": 2, "llm": model}
    hard = questwell.harden(**given, out="hard")
    assert hard.kind == "harden" and hard.report is not None and hard.report.ending is Ending.COMPLETE
    answers = [item.answer for item in questwell.open_run("easy").items()]  # type: ignore[attr-defined]
    assert [play.answer for play in hard.plays()] == answers != []
    assert 0 < model.calls == hard.status().spending.total.calls and not model.closed

    loops: set[object] = set()

    class Watching(Mine):
        async def complete(self, request: Request) -> Completion:
            loops.add(asyncio.get_running_loop())
            return await super().complete(request)

    async def cell() -> questwell.GenerateRun:
        made = await questwell.harden_async(**{**given, "llm": Watching()}, out="again")
        assert loops == {asyncio.get_running_loop()}
        return made

    again = asyncio.run(cell())
    assert [play.question for play in again.plays()] == [play.question for play in hard.plays()]


def test_an_interrupt_in_a_notebook_stops_politely_and_pays_nothing_twice() -> None:
    """As in a kernel: the loop runs in the main thread, whose signals raise KeyboardInterrupt."""
    model = Mine(interrupt_at=10)

    async def cell() -> questwell.GenerateRun:
        return questwell.generate(**SMALL, llm=model, out="run", concurrency=1)

    loop = asyncio.new_event_loop()
    try:
        stopped = loop.run_until_complete(cell())
    finally:
        loop.close()
    assert stopped.report is not None and stopped.report.ending is Ending.STOPPED
    assert model.calls == stopped.status().spending.total.calls == 10
    whole = questwell.generate(out="run", resume=True, llm=model)
    alone = questwell.generate(**SMALL, llm=Mine(), out="alone")
    assert model.calls == alone.status().spending.total.calls == whole.status().spending.total.calls


def test_an_evaluation_by_a_model_of_ones_own(tmp_path: Path) -> None:
    bench = evaluation_world.write_questions(tmp_path / "bench.jsonl", 3)
    model = Mine()
    asked = {"corpus": "islands", "benchmarks": f"plain={bench}", "llm": model}
    run = questwell.evaluate(**asked, out="evaluation")
    awaited = asyncio.run(questwell.evaluate_async(**asked, out="again"))
    frame = run.to_pandas()
    assert list(frame.columns) == [
        "benchmark",
        "id",
        "question",
        "answers",
        "attempt",
        "answer",
        "searches",
        "stop",
        "exact_match",
    ]
    assert list(frame["id"]) == ["b0", "b1", "b2"] == list(awaited.to_pandas()["id"])
    assert run.status().missing == 0
    assert isinstance(questwell.open_run("evaluation"), questwell.EvaluateRun)
    assert len(run.story("b1").attempts) == 1
    assert model.calls == 2 * run.status().total.calls and not model.closed


def test_training_in_two_calls() -> None:
    logged: list[tuple[int, dict[str, float]]] = []
    steps: list[int] = []
    first = questwell.train(
        data="toy",
        steps=2,
        batch=2,
        group=2,
        limit=1,
        out="train",
        warm_start_steps=0,
        on_metrics=lambda metrics, step: logged.append((step, metrics)),
        on_progress=lambda metrics, of: steps.append(of),
    )
    played = [(step, metrics["reward"]) for step, metrics in logged if "reward" in metrics]
    assert [step for step, _ in played] == [1] and not any("step" in metrics for _, metrics in logged)
    assert played[0][1] == first.to_pandas()["reward"][0] and set(steps) == {2}  # the old hook is called too
    assert first.report is not None and first.report.ending is Ending.LIMIT
    on_metrics = lambda metrics, step: logged.append((step, metrics))  # noqa: E731  as wandb.log takes them
    whole = asyncio.run(questwell.train_async(out="train", resume=True, on_metrics=on_metrics))
    assert [step for step, metrics in logged if "reward" in metrics] == [1, 2]
    assert whole.report is not None and whole.report.ending is Ending.COMPLETE
    assert list(whole.to_pandas()["step"]) == [1, 2]
    assert isinstance(questwell.open_run("train"), questwell.TrainRun) and whole.status().steps == 2


def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells in their order, in a running loop with top-level `await`, as a kernel runs them.

    Without nbclient and ipykernel: they would add 25 packages and a process to run ten plain cells.
    """
    notebook = json.loads((ROOT / "examples" / "python.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4 and len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 6

    async def kernel() -> dict[str, object]:
        names: dict[str, object] = {}
        for number, source in enumerate(cells):
            compiled = compile(source, f"cell {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            waiting = eval(compiled, names)
            if inspect.isawaitable(waiting):
                await waiting
        return names

    names = asyncio.run(kernel())
    assert names["items"] and len(names["frame"]) == len(names["items"])
