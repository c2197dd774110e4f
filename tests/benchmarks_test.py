"""The scripts of `benchmarks/` against what is written about them: flags, recorded commands, the list. None is run."""

import argparse
import ast
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import arguments
import overhead
import report
from claims import speed

FOLDER = Path(report.__file__).parent
PARTS = {"fixed_endpoint.py"}
"""Started by other scripts only."""
SCRIPTS = sorted(
    path.relative_to(FOLDER).as_posix()
    for path in [*FOLDER.glob("*.py"), *(FOLDER / "gpu").glob("*.py")]
    if "\nif __name__ ==" in path.read_text(encoding="utf-8") and path.name not in PARTS
)


def flags(name: str) -> set[str]:
    """The flags that a script reads."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return set(re.findall(r'add_argument\(\s*"(--[\w-]+)"', text))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_shows_its_command_and_only_flags_that_it_has(name: str) -> None:
    doc = ast.get_docstring(ast.parse((FOLDER / name).read_text(encoding="utf-8")))
    assert doc is not None
    command = re.search(rf"^    python benchmarks/{re.escape(name)}(.*(?:\n     .*)*)", doc, re.MULTILINE)
    assert command is not None, "its docstring shows no command"
    assert set(re.findall(r"--[a-z][a-z-]*", command[1])) <= flags(name)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("results/*.json")), ids=lambda path: path.stem)
def test_a_recorded_command_can_still_be_given(path: Path) -> None:
    command = json.loads(path.read_text(encoding="utf-8"))["command"]
    program, script, *rest = command.split()
    assert program == "python" and script.removeprefix("benchmarks/") in SCRIPTS
    assert {word.strip("[]") for word in rest if word.lstrip("[").startswith("--")} <= flags(Path(script).name)


def test_the_list_names_every_script_and_no_other() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.py)`", text))
    tools = {"bench.py", "results_page.py"}
    assert set(SCRIPTS) - tools <= named
    assert {name for name in named if not (FOLDER / name).is_file()} == set()
    in_bench = {line.split("`")[1] for line in text.splitlines() if line.endswith("in `make bench` |")}
    import bench

    assert in_bench == {f"{one.name}.py" for one in bench.BENCHMARKS}


def test_names_may_have_a_comma() -> None:
    read = arguments.names(["grpo", "ppo", "grpo, mask off"])
    assert read("grpo,ppo") == ["grpo", "ppo"]
    assert read("grpo;grpo, mask off") == ["grpo", "grpo, mask off"]
    with pytest.raises(argparse.ArgumentTypeError, match="there is no 'sft'; choose from: grpo; ppo; grpo, mask off"):
        read("grpo,sft")


def test_a_folder_with_files_is_not_taken_as_new(tmp_path: Path) -> None:
    assert arguments.new_folder(str(tmp_path / "new")) == tmp_path / "new"
    assert arguments.new_folder(str(tmp_path)) == tmp_path
    (tmp_path / "a").write_text("kept")
    for taken in (tmp_path, tmp_path / "a"):
        with pytest.raises(argparse.ArgumentTypeError, match="is not an empty folder"):
            arguments.new_folder(str(taken))


def test_a_recorded_command_is_one_that_a_shell_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = str(FOLDER / "gpu" / "speed.py")
    monkeypatch.setattr(sys, "argv", [script, "--only", "lora 16;all weights", "--out", str(tmp_path / "speed.json")])
    told = report.heading()
    given = ["python", "benchmarks/gpu/speed.py", "--only", "lora 16;all weights", "--out", "speed.json"]
    assert shlex.split(str(told["command"])) == given
    report.write("speed", told, tmp_path / "new" / "speed.json")
    assert json.loads((tmp_path / "new" / "speed.json").read_text(encoding="utf-8")) == told
    assert not (report.RESULTS / "speed.json").exists()


def test_the_page_has_words_for_every_way_to_make_a_call() -> None:
    row = {"in_flight": 8, "latency_s": 1.0, "share_of_ideal": 0.5, "cpu_ms_per_call": 0.1}
    claims = list(speed.overhead({"results": [{**row, "path": path} for path in overhead.PATHS]}))
    assert len({claim.what for claim in claims}) == len(overhead.PATHS)


def test_a_run_that_was_continued_is_read_after_its_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    siblings = ("arms", "facts", "world", "writer")
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in siblings:  # others have some of the same name
        monkeypatch.delitem(sys.modules, name, raising=False)
    import real_text

    for name in siblings:
        del sys.modules[name]
    for step, right in (("step-000005", False), ("step-000020", True)):
        (tmp_path / f"test-B-{step}.jsonl").write_text(json.dumps({"right": right}) + "\n")
    assert real_text.answers(tmp_path, "test", "B") == [{"right": True}]
