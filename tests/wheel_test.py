"""The wheel holds what the package needs and no tests, and works where there is no checkout."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"


def called(*command: str, cwd: Path, **environment: str) -> str:
    """What a command prints that ends well."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_CURRENT_TEST")}
    done = subprocess.run(command, cwd=cwd, env={**kept, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation")
    called(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), str(ROOT), cwd=folder)
    (made,) = folder.glob("questwell-*.whl")
    return made


def test_the_wheel_has_every_file_of_the_package_and_no_test(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("METADATA"))
    tests = ("_test.py", "conftest.py")
    needed = {
        str(path.relative_to(SOURCE))
        for path in (SOURCE / "questwell").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.endswith(tests)
    }
    assert packed == needed
    kinds = {Path(name).suffix for name in packed} | {Path(name).name for name in packed}
    assert {".md", ".html", ".css", ".js", ".jsonl", "py.typed"} <= kinds
    for extra in ("local", "train", "serve", "view", "all"):
        assert f"Provides-Extra: {extra}\n" in metadata


def test_it_plays_without_a_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    here = {"PYTHONPATH": str(tmp_path / "installed"), "QUESTWELL_HOME": str(tmp_path / "home")}
    where = called(sys.executable, "-c", "import questwell; print(questwell.__file__)", cwd=tmp_path, **here)
    assert Path(where.strip()).is_relative_to(tmp_path / "installed")
    shown = called(sys.executable, "-m", "questwell", "demo", "--out", "demo", cwd=tmp_path, **here)
    assert "Question:" in shown
    called(sys.executable, "-m", "questwell", "view", "demo", "--export", "demo.html", cwd=tmp_path, **here)
    assert "<style>" in (tmp_path / "demo.html").read_text(encoding="utf-8")


def test_the_locked_versions_are_an_answer_to_every_extra(wheel: Path) -> None:
    """`pip install dist/*.whl[all]` can be resolved: uv found these versions together, `make test` installs them."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        wanted = [Requirement(line) for line in Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist")]
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE))
    locked["torch"] = "2.13.0"  # by the Makefile: it has one build per platform
    asked = [one for one in wanted if not one.marker or one.marker.evaluate({"extra": "all"})]
    assert len(asked) > 30
    missing = [str(one) for one in asked if not one.specifier.contains(locked.get(one.name.lower(), "0"))]
    assert missing == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pip_installs_it_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    """With what pip's index or cache offers: the only test that needs one."""
    venv.create(tmp_path / "clean", with_pip=True)
    python = str(tmp_path / "clean" / "bin" / "python")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    called(*pip, str(wheel), cwd=tmp_path)
    home = {"QUESTWELL_HOME": str(tmp_path / "home")}
    command = str(tmp_path / "clean" / "bin" / "questwell")
    assert "Question:" in called(command, "demo", "--out", "demo", cwd=tmp_path, **home)
    lacking = called(command, "doctor", cwd=tmp_path, **home)
    assert "pip install" in lacking
