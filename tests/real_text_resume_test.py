"""The experiment on real text goes on where it was stopped: what is done is not done again, no half file is read."""

import contextlib
import json
import os
import stat
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from real_text_example import load

from questwell.types.corpus import Passage


class Killed(BaseException):
    """The process ends here."""


class Index:
    async def search(self, query: str, k: int) -> tuple[()]:
        return ()


class Work:
    """Stands in for what needs the model, and dies in one of its jobs."""

    def __init__(self, example: ModuleType) -> None:
        self.example, self.done, self.dies_at = example, list[str](), ""

    def _job(self, name: str) -> None:
        if name == self.dies_at:
            raise Killed
        self.done.append(name)

    def start(
        self, model: str, demonstrations: Path, out: Path, how: object, device: str, compute_dtype: str | None
    ) -> Path:
        for line in demonstrations.read_text(encoding="utf-8").splitlines():
            assert json.loads(line)["messages"]
        return out

    def train(self, out: Path, values: dict[str, Any], limit: int | None) -> Path:
        assert len(values["data"].read_text(encoding="utf-8").splitlines()) == 3
        assert "Of d?" in values["held_out"].read_text(encoding="utf-8")
        assert len(values["held_out"].read_text(encoding="utf-8").splitlines()) == 2
        self._job("train")
        return out / "step-20" / "model"

    async def evaluate(self, model: Path, few: list[Any], *_: object) -> list[dict[str, object]]:
        self._job(f"evaluate {model.name} on {few[0].fact.country}")
        right = model.name == "model"
        return [{"question": one.text, "country": one.fact.country, "right": right} for one in few]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Work:
    """The example's `main`, over six made-up countries."""
    found = load(monkeypatch, "run")
    example = found["run"]
    facts = found["facts"]

    def about(*countries: str) -> list[Any]:
        passage = Passage("p", "t", "text", "d")
        return [facts.Asked(f"Of {one}?", facts.Fact(one, facts.KINDS[0], "Oslo", passage)) for one in countries]

    parts = (("a", "b", "c"), ("d", "i"), ("tested", "e"), ("other", "f"), ("g", "h"))
    made = found["world"].World(*(about(*part) for part in parts))
    work = Work(example)
    monkeypatch.setattr(example, "make_world", lambda *_: made)
    monkeypatch.setattr(example, "open_index", lambda _: Index())
    monkeypatch.setattr(example, "LexicalIndex", Index)
    monkeypatch.setattr(example.arms, "make_start", work.start)
    monkeypatch.setattr(example.arms, "train_arm", work.train)
    monkeypatch.setattr(example.arms, "evaluate", work.evaluate)
    monkeypatch.setattr(sys, "argv", ["run.py", "--model", "none", "--out", str(tmp_path)])
    return work


JOBS = [
    *("evaluate start on tested", "evaluate start on other"),
    *("train", "evaluate model on tested", "evaluate model on other"),
]


@pytest.mark.parametrize("job", JOBS)
def test_no_evaluation_is_made_twice(work: Work, tmp_path: Path, job: str) -> None:
    work.dies_at = job
    with pytest.raises(Killed):
        work.example.main()
    work.dies_at = ""
    work.example.main()
    again = ["train"] if JOBS.index(job) > JOBS.index("train") else []  # it knows by itself which steps it has made
    assert sorted(work.done) == sorted(JOBS + again)
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["test_paired"]["A to B"]["difference"] == 1.0


def written(folder: Path) -> dict[str, str]:
    """The files of an experiment; its result without the time that it took."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name[0] != "."}
    if "result.json" in texts:
        result = json.loads(texts["result.json"])
        assert result.pop("seconds_of_this_call") >= 0
        texts["result.json"] = json.dumps(result)
    return texts


def test_a_kill_at_any_write_leaves_no_half_file(work: Work, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(folder: str, dies_at: int = 0) -> dict[str, str]:
        """A call that is killed after half of the bytes of one of its writes."""
        left, real = [dies_at], os.fsync

        def sync(descriptor: int) -> None:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # the folder, once the file is in it
                return real(descriptor)
            left[0] -= 1
            if left[0] == 0:
                os.truncate(f"/proc/self/fd/{descriptor}", os.fstat(descriptor).st_size // 2)  # it is open for reading
                raise Killed
            return real(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["run.py", "--model", "none", "--out", str(tmp_path / folder)])
            patch.setattr(os, "fsync", sync)
            with pytest.raises(Killed) if dies_at else contextlib.nullcontext():
                work.example.main()
        return written(tmp_path / folder)

    whole = run("whole")
    assert len(whole) == 8  # demonstrations, two files of questions, four evaluations, the result
    for dies_at in range(1, 10):  # the result is written after each arm
        left = run(str(dies_at), dies_at)
        assert all(left[name] == whole[name] for name in left.keys() - {"result.json"})
        assert len(left) == dies_at - 1
        assert {name: text.replace(f"/{dies_at}/", "/whole/") for name, text in run(str(dies_at)).items()} == whole


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--arms", "A,D"), "there is no 'D'; choose from A,B,C"),
        (("--arms", "C"), "add --hops 2"),
        (("--test", "0"), "'0' is not a number above 0"),
    ],
)
def test_what_cannot_be_trained_or_tested_is_refused_first(
    work: Work, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: tuple[str, str], said: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "--model", "none", *given])
    with pytest.raises(SystemExit):
        work.example.main()
    assert said in capsys.readouterr().err
    assert work.done == []
