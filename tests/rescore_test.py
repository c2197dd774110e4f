"""Another judge of a finished evaluation: which one it is, and the command that goes on."""

import shlex
from pathlib import Path

import evaluation_world
import pytest

from questwell.agents.prompts import Prompts
from questwell.cli.assembly import assemble
from questwell.cli.verbs import load
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.evaluate import loop
from questwell.recipes.evaluate.config import RescoreConfig
from questwell.recipes.evaluate.rescore import go_on, rescore
from questwell.recipes.evaluate.setup import judge_of
from questwell.recipes.runs.config import resolve
from questwell.store.reader import RunReader


class OnDisk(ScriptedLLM):
    """A judge whose weights are a file of the user's."""

    path: Path


def judging(path: Path) -> OnDisk:
    llm = OnDisk(evaluation_world.answer, name="checkpoints/step-2/model")
    llm.path = path
    return llm


async def test_a_judge_is_known_by_its_weights_and_not_by_its_name(library: Path, tmp_path: Path) -> None:
    """Two checkpoints of one name are two judges: what one said is never shown as said by the other."""
    run, bench = tmp_path / "run", evaluation_world.write_questions(tmp_path / "q.jsonl", 8)
    config = loop.configure(run, evaluation_world.values(library, bench), resume=False)
    setup = evaluation_world.setup(config, ScriptedLLM(evaluation_world.answer))
    await loop.evaluate(config, loop.questions_of(config), run, setup)
    one, other = tmp_path / "one.gguf", tmp_path / "other.gguf"
    one.write_bytes(b"one")
    other.write_bytes(b"other")
    chosen = resolve(RescoreConfig, {"judge": "m@http://localhost:1/v1"})
    judge = judge_of(chosen, Prompts(library / "prompts"))
    asked: list[int] = []
    for path in (one, one, other, one):
        llm = judging(path)
        await rescore(run, chosen, llm, judge, "hash")
        asked.append(len(llm.requests))
    assert asked[0] > 0 and asked == [asked[0], 0, asked[0], 0]
    with RunReader(run) as reader:
        named = [(one.judge, one.prompts) for one in reader.scorings()][1:]
    assert len(named) == len(set(named)) == 2


@pytest.mark.parametrize(
    "given",
    [
        {"judge": "m@http://localhost:1/v1"},
        {"judge": "m@http://localhost:1/v1", "sample": "8", "seed": "3", "max_cost": "0.5", "stream": "true"},
        {"judge": "m@http://h/v1", "omit": "stop,seed", "extra": '{"top_k": 20}', "headers": "X-A=b c,X-D=e"},
        {"judge": "m@http://h/v1", "roles": "judge.omit=stop,seed judge.timeout_s=900 judge.headers=A=b"},
    ],
)
def test_the_command_that_goes_on_has_every_flag(given: dict[str, str], tmp_path: Path) -> None:
    config = resolve(RescoreConfig, given)
    words = shlex.split(go_on(tmp_path / "my run", config))
    assert words[:4] == ["questwell", "evaluate", "--rescore", str(tmp_path / "my run")]
    context = load("evaluate").make_context("evaluate", words[2:])
    values = {key: value for key, value in context.params.items() if key in RescoreConfig.model_fields}
    assert resolve(RescoreConfig, assemble("evaluate", values)) == config
