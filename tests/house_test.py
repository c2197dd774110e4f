"""What holds for the package as a whole: what it imports, that it says what it is, and what is shipped."""

import ast
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import questwell

PACKAGE = Path(questwell.__file__).parent
ROOT = Path(__file__).parent.parent
FILES = sorted(
    path.relative_to(PACKAGE.parent)
    for path in PACKAGE.rglob("*")
    if path.is_file()
    and path.parent.name != "__pycache__"
    and not path.name.endswith("_test.py")
    and path.name != "conftest.py"
)
MODULES = [path for path in FILES if path.suffix == ".py"]
MODEL_HERE = tuple(
    f"questwell/{name}"
    for name in (
        "training/",
        "toy/model.py",
        "llm/pretrained.py",
        "llm/torch_policy.py",
        "llm/vllm_weights.py",
        "recipes/train/rollouts.py",
        "llm/decoding.py",
        "llm/row_cache.py",
    )
)
"""What trains a model, or runs one in this process by torch."""
HEAVY = ("torch", "tensorflow", "transformers", "peft", "openai", "matplotlib", "datasets")
"""Never needed to generate data."""
PAGES = "questwell/view/"
"""Needs the extra `view`."""
LAZY = ("xllamacpp", "genai_prices", "onnxruntime", "onnx", "wordllama", "usearch", "mcp", "starlette", "trafilatura")
"""Optional, so imported only where a model or a price asks for them."""


def loaded(code: str) -> set[str]:
    """Top-level modules that a fresh process holds after `code`."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in shown.stdout.split()}


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def test_generating_data_loads_no_torch_and_nothing_that_is_optional() -> None:
    others = [path for path in MODULES if not path.as_posix().startswith((*MODEL_HERE, PAGES))]
    everything = loaded("\n".join(f"import {dotted(path)}" for path in others))
    assert "questwell" in everything
    assert not everything & {*HEAVY, *LAZY}


def test_an_endpoint_needs_no_local_model(tmp_path: Path) -> None:
    """A run is opened whole: corpus, index, client, agents, run file."""
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"id": "a", "contents": "The river Ost runs through Quillan."}))
    values = {"corpus": str(tmp_path / "corpus.jsonl"), "index": str(tmp_path / "index"), "seeds": 1}
    values |= {"llm": "m@http://127.0.0.1:9/v1", "price_in": 1.0, "price_out": 1.0}
    code = (
        "import pathlib\n"
        "from questwell.recipes.generate.loop import configure, run\n"
        "from questwell.recipes.runs.caller import Caller\n"
        f"folder = pathlib.Path({str(tmp_path / 'run')!r})\n"
        f"run(configure(folder, {values!r}, resume=False), folder, Caller(limit=0))"
    )
    modules = loaded(code)
    assert {"httpx2", "tantivy"} <= modules
    assert not modules & {*HEAVY, *LAZY}
    assert list((tmp_path / "run").iterdir())


def test_no_file_is_too_long() -> None:
    """350 lines at most, 450 for tests: a longer file holds two ideas."""
    lengths = {
        path: (len(path.read_text(encoding="utf-8").splitlines()), 450 if path.name.endswith("_test.py") else 350)
        for path in (*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py"))
    }
    assert len(lengths) > 500
    assert not {path: length for path, (length, most) in lengths.items() if length > most}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_module_says_what_it_is(path: Path) -> None:
    """Its docstring begins as a sentence does."""
    text = ast.get_docstring(ast.parse((PACKAGE.parent / path).read_text(encoding="utf-8")))
    assert text
    first = text.splitlines()[0]
    assert first[0].isupper() or first[0] == "`"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return zipfile.Path(built)


def test_the_wheel_holds_all_modules_and_prompts_and_no_test(wheel: zipfile.Path) -> None:
    names = {name for name in wheel.root.namelist() if name.startswith("questwell/") and name[-1] != "/"}
    assert names == {path.as_posix() for path in FILES}
    assert sum(path.suffix == ".md" for path in FILES) >= 5  # the prompts
    assert not any(name.endswith("_test.py") for name in names)
    others = {name.partition("/")[0] for name in wheel.root.namelist()} - {"questwell"}
    assert [name.endswith(".dist-info") for name in others] == [True]  # no tests/, no benchmarks/


def test_the_wheel_says_how_it_is_started(wheel: zipfile.Path) -> None:
    (info,) = (path for path in wheel.iterdir() if path.name.endswith(".dist-info"))
    assert "questwell = questwell.cli.app:main" in (info / "entry_points.txt").read_text(encoding="utf-8")
    assert questwell.__version__ in info.name
