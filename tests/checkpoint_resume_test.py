"""A run goes on only with the weights and the texts that it began with, whatever their names. Needs the extra train."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("torch")

from questwell.cli.app import app
from questwell.llm.pretrained import Pretrained
from questwell.store.reader import RunReader
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.world import PROMPTS, ToyWorld


def checkpoint(folder: Path, seed: int) -> Path:
    """A checkpoint as train leaves it, `NAME/checkpoints/step-000002/model`."""
    path = folder / "checkpoints" / "step-000002" / "model"
    tokenizer = toy_tokenizer(ToyWorld().words)
    Pretrained("toy", toy_model(tokenizer, width=16, layers=1, seed=seed), tokenizer).save(path)
    return path


def call(verb: str, run: Path, *flags: object, code: int) -> Result:
    result = CliRunner().invoke(app, list(map(str, (verb, "--out", run, *flags))), env={"COLUMNS": "300"})
    assert result.exit_code == code, result.output
    return result


def attempts(run: Path) -> int:
    with RunReader(run) as reader:
        return len(reader.trials())


def test_a_resume_with_other_weights_under_the_same_name_is_refused(tmp_path: Path) -> None:
    mine, other = checkpoint(tmp_path / "a", 1), checkpoint(tmp_path / "b", 2)
    rows = ({"id": f"q{n}", "question": f"r0 of e{n} ?", "answer": "e2"} for n in range(3))
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run, given = tmp_path / "run", ["--benchmarks", f"plain={tmp_path / 'q.jsonl'}", "--mode", "closed-book"]
    given += ["--prompts", str(PROMPTS), "--turn-tokens", "4", "--limit", "1", "--concurrency", "1"]
    call("evaluate", run, *given, "--llm", mine, code=3)
    assert attempts(run) == 1

    refused = call("evaluate", run, "--resume", "--llm", other, code=1)
    assert "model weights" in refused.stderr and "was started with other settings" in refused.stderr
    assert attempts(run) == 1

    moved = tmp_path / "elsewhere" / "checkpoints" / "step-000002" / "model"
    shutil.copytree(mine, moved)
    call("evaluate", run, "--resume", "--llm", moved, code=0)  # the same weights, wherever they are
    assert attempts(run) == 3


def test_training_with_other_texts_under_the_same_ids_is_refused(tmp_path: Path) -> None:
    data, run = tmp_path / "q.jsonl", tmp_path / "run"

    def ask(relation: str) -> None:
        rows = ({"id": f"q{n}", "question": f"{relation} of e{n} ?", "answer": "e2"} for n in range(2))
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))

    ask("r0")
    (tmp_path / "corpus.jsonl").write_text('{"id": "a", "contents": "r0 of e0 is e2"}\n')
    given = ["--data", data, "--model", checkpoint(tmp_path / "a", 1), "--corpus", tmp_path / "corpus.jsonl"]
    given += ["--index", tmp_path / "index", "--prompts", PROMPTS, "--device", "cpu", "--steps", 2, "--batch", 2]
    given += ["--group", 2, "--turns", 2, "--turn-tokens", 4, "--top-k", 1, "--min-finished", 0]
    call("train", run, *given, "--limit", 1, code=3)

    ask("r1")
    refused = call("train", run, "--resume", code=1)
    assert "question texts" in refused.stderr and "was started with other settings" in refused.stderr

    ask("r0")
    call("train", run, "--resume", code=0)
