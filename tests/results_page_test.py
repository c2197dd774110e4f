"""docs/results.md is what benchmarks/results_page.py makes of the result files."""

import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import results_page  # pyright: ignore[reportMissingImports]

    return results_page


@pytest.fixture
def copy(maker: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The result files in a folder of their own."""
    shutil.copytree(ROOT / "benchmarks" / "results", tmp_path / "results")
    monkeypatch.setattr(maker, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_results_are_of_clean_commits() -> None:
    commits = {
        path.stem: json.loads(path.read_text(encoding="utf-8")).get("commit")
        for path in (ROOT / "benchmarks" / "results").glob("*.json")
    }
    assert len(commits) > 20 and all(commits.values())
    assert [name for name, commit in commits.items() if commit.endswith("-dirty")] == []


def test_the_page_agrees_with_the_files(maker: ModuleType) -> None:
    made = maker.page()
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == made, "run python benchmarks/results_page.py"
    for line in made.splitlines():
        if line.startswith("|"):
            assert line.count("|") == 4, line


def test_the_readme_s_figures_agree_with_the_files(maker: ModuleType) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert maker.readme(text) == text, "run python benchmarks/results_page.py"


def test_another_figure_makes_another_readme(maker: ModuleType, copy: Path) -> None:
    result = json.loads((copy / "staged_questions.json").read_text(encoding="utf-8"))
    result["sound_by_reader"][1]["accepted"] = 3
    result["pooled"]["2"] |= {"accepted": 99, "of": 100}
    (copy / "staged_questions.json").write_text(json.dumps(result), encoding="utf-8")
    made = " ".join(maker.readme((ROOT / "README.md").read_text(encoding="utf-8")).split())
    assert "99 of 100 at 2, " in made
    assert " 3 of " in made
    with pytest.raises(ValueError, match="README"):
        maker.readme("# Questwell\n")


def test_another_figure_makes_another_page(maker: ModuleType, copy: Path) -> None:
    before = maker.page()
    result = json.loads((copy / "staged_questions.json").read_text(encoding="utf-8"))
    result["pooled"]["2"] |= {"accepted": 99, "of": 100}
    (copy / "staged_questions.json").write_text(json.dumps(result), encoding="utf-8")
    changed = set(maker.page().splitlines()) - set(before.splitlines())
    assert [line for line in changed if line.startswith("| items accepted, 2 steps wanted, all corpora | 99 of 100 | ")]


def test_a_result_that_no_section_shows_is_refused(maker: ModuleType, copy: Path) -> None:
    (copy / "secret.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"secret\.json"):
        maker.page()


def test_each_result_says_where_it_comes_from(maker: ModuleType) -> None:
    sections = maker.page().split("\n## ")[1:]
    assert len(sections) == len(list((ROOT / "benchmarks" / "results").rglob("*.json")))
    for section in sections:
        assert "\nCommand: `" in section
        assert "\n2026-" in section and ", commit " in section and "File: `benchmarks/results/" in section
