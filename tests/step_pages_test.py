"""Pages of training and of evaluations: what they say of a step, of an attempt and of a score."""

import re
from pathlib import Path

import evaluation_world
import view_world
from starlette.testclient import TestClient

from questwell.errors import LLMTimeout
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.evaluate.loop import evaluate, questions_of
from questwell.view.app import make_app
from questwell.view.site import Site


def client(folder: Path) -> TestClient:
    return TestClient(make_app(Site([folder], "ann")), base_url="http://localhost:8642")


def links(html: str) -> set[str]:
    return set(re.findall(r'href="([^"]*)"', html))


def test_a_training_page_shows_its_held_out_evaluations_and_the_best_step(tmp_path: Path) -> None:
    view_world.trained(tmp_path / "tr")
    shown = client(tmp_path).get("/t/tr/").text
    assert "step 10, whose checkpoint is kept" in shown  # step 20 earns the same
    assert re.search(r"best.><td[^>]*>10</td><td[^>]*>0.750<", shown)
    assert "held out reward" in shown and "29 steps of training" in shown
    assert "nats per token" in shown and "critic" not in shown, "only what is drawn is explained"


def test_saved_attempts_of_training_are_read_with_their_thoughts(tmp_path: Path) -> None:
    view_world.trained(tmp_path / "tr")
    pages = client(tmp_path)
    assert {"/t/tr/3", "/t/tr/9"} <= links(pages.get("/t/tr/").text)
    shown = pages.get("/t/tr/3").text
    assert shown.count("reward 1.00") == shown.count("not trained on") == 1
    assert '<pre class="say">1700?</pre>' in shown and "&lt;search&gt;Ada&lt;/search&gt;" in shown
    assert {link for link in links(shown) if link.startswith("/t/")} == {"/t/tr/", "/t/tr/9"}
    assert "No attempt of this step was saved" in pages.get("/t/tr/4").text
    assert pages.get("/t/tr/77").status_code == 404


async def test_an_evaluation_says_the_least_that_a_score_can_be(library: Path, tmp_path: Path) -> None:
    def flaky(request: Request) -> Completion | Exception:
        late = "bridge 1 " in request.messages[1].content
        return LLMTimeout("late") if late else evaluation_world.answer(request)

    chosen = evaluation_world.config(library, evaluation_world.write_questions(tmp_path / "bench.jsonl", 4))
    await evaluate(chosen, questions_of(chosen), tmp_path / "ev", evaluation_world.setup(chosen, ScriptedLLM(flaky)))
    shown = client(tmp_path).get("/e/ev/").text
    assert "Scores in percent" in shown
    assert re.search(r">33\.3 \[[^]]*\], at least 25\.0<", shown)
    assert "(1 right, 2 wrong, 0 unscored, 0 errored)" in shown
