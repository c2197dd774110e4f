import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from questwell.errors import ConfigError
from questwell.recipes.runs.config import resolve
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.verl import parted, verl_run, write
from questwell.training.engines.verl.launch import command
from questwell.training.engines.verl.reward import JudgeOptions
from questwell.types.evaluation import Question

GIVEN = {"data": "q.jsonl", "model": "Qwen/Qwen2.5-3B-Instruct", "retriever": "http://search:8000"}


def config(**given: object) -> TrainConfig:
    return resolve(TrainConfig, {}, {**GIVEN, **given})


def values(tmp_path: Path, *more: str, **given: object) -> dict[str, str]:
    run = verl_run(config(**given), tmp_path / "run", more=more)
    return dict(argument.lstrip("+").split("=", 1) for argument in command(run)[3:])


def test_what_is_not_given_is_the_papers(tmp_path: Path) -> None:
    run = verl_run(config(), tmp_path / "run", nodes=4)
    assert (run.nodes, run.gpus, run.steps, run.limits.turns, run.turn_tokens) == (4, 8, None, 8, 1024)
    assert values(tmp_path)["data.train_batch_size"] == "512"


def test_what_is_given_goes_over_it_and_verls_own_over_that(tmp_path: Path) -> None:
    found = values(
        tmp_path, "data.train_batch_size=32", algorithm="grpo", group=7, batch=64, learning_rate=2e-6, steps=9
    )
    assert found["actor_rollout_ref.rollout.n"] == "7"
    assert (found["data.train_batch_size"], found["actor_rollout_ref.actor.ppo_mini_batch_size"]) == ("32", "64")
    assert float(found["actor_rollout_ref.actor.optim.lr"]) == 2e-6
    assert found["trainer.total_training_steps"] == "9"
    assert found["algorithm.adv_estimator"] == "grpo"


def test_the_judge_goes_along_with_its_options(tmp_path: Path) -> None:
    assert verl_run(config(), tmp_path).judge_options == ""
    asked = {"reward": "chain", "judge": "m@http://127.0.0.1:1/v1"}
    assert verl_run(config(**asked), tmp_path).judge_options == ""
    given = {"omit": "seed", "extra": {"top_k": 3}, "key_env": "A", "roles": "judge.key_env=B judge.temperature=0.2"}
    run = verl_run(config(**asked, **given, judge_tokens=77, prompts=_prompts(tmp_path)), tmp_path)
    read = JudgeOptions.model_validate_json(run.judge_options)
    assert (read.key_env, read.omit, read.extra) == ("B", ("seed",), {"top_k": 3})
    assert (read.temperature, read.max_tokens) == (0.2, 77)
    assert read.prompts == (tmp_path / "prompts").resolve()
    line = next(one for one in command(run) if "judge_options" in one)
    assert json.loads(line.partition("=")[2]) == run.judge_options  # quoted as hydra reads it


def _prompts(folder: Path) -> Path:
    (folder / "prompts").mkdir()
    (folder / "prompts" / "judge.md").write_text("--- user\n$question $references $answer")
    return folder / "prompts"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"warm_start_steps": 5, "min_entropy": 0.1}, "not support min_entropy, warm_start_steps"),
        ({"model": "local"}, "cannot load 'local'"),
        ({"model": "m.gguf"}, r"cannot load 'm\.gguf'"),
        ({"data": "toy"}, "toy world"),
    ],
)
def test_what_verl_cannot_do_is_told(tmp_path: Path, given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        verl_run(config(**given), tmp_path / "run")


def test_the_data_and_the_index_are_written(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"id": "a", "contents": "The river Ost runs through Quillan."}))
    lines = [json.dumps({"question": f"What is number {number}?", "answer": str(number)}) for number in range(40)]
    (tmp_path / "q.jsonl").write_text("\n".join(lines))
    here = {"corpus": str(tmp_path / "corpus.jsonl"), "index": str(tmp_path / "index"), "retriever": "lexical"}
    given = config(**{**here, "data": str(tmp_path / "q.jsonl")})
    run = verl_run(given, tmp_path / "run")
    write(run, given)
    (agent,) = json.loads((run.folder / "agent.yaml").read_text())
    assert (Path(agent["retriever"]) / "manifest.json").is_file()
    asked = [set(_questions(run.folder / f"{split}.parquet")) for split in ("train", "test")]
    assert [len(each) for each in asked] == [38, 2]
    assert not asked[0] & asked[1]


def test_the_held_out_questions_are_fixed_by_the_seed() -> None:
    questions = [Question(str(number), "?", ("x",), "b") for number in range(50)]
    assert parted(questions, 1) == parted(questions, 1) != parted(questions, 2)
    assert [len(part) for part in parted(questions[:2], 0)] == [1, 1]
    with pytest.raises(ConfigError, match="at least two"):
        parted(questions[:1], 0)


def _questions(path: Path) -> list[str]:
    return [row["extra_info"]["question"] for row in pq.read_table(path).to_pylist()]
