"""docs/reference is what docs/make/reference.py makes of the code, and leaves nothing of it out."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from questwell import errors
from questwell.cli.app import app
from questwell.cli.verbs import VERBS, load
from questwell.recipes.sections import CONFIGS, config_of
from questwell.recipes.selfplay.record import MEANINGS as SELFPLAY
from questwell.retrieval.serve.metrics import MEANINGS as SERVED
from questwell.training.metrics import MEANINGS as TRAINING
from questwell.types.game import Reason

sys.path.insert(0, str(Path(__file__).parent.parent / "docs" / "make"))

import pictures
import reference
import reference_text
import site_hook

ROOT = Path(__file__).parent.parent
PAGES = dict(reference.pages())
AGAIN = "run python docs/make/reference.py"


def test_the_pages_agree_with_the_code() -> None:
    assert reference.differing() == [], AGAIN


def test_a_page_that_is_changed_missing_or_too_much_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reference, "PAGES", tmp_path)
    reference.main()
    assert reference.differing() == []
    (tmp_path / "errors.md").write_text(PAGES["errors.md"].replace("| 4 |", "| 5 |"))
    (tmp_path / "keys.md").unlink()
    (tmp_path / "questwell-gone.md").write_text("# Gone\n")
    assert reference.differing() == ["errors.md", "keys.md", "questwell-gone.md"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_command_s_page_has_each_of_its_flags_and_what_it_means(verb: str) -> None:
    rows = dict(re.findall(r"^- `([^`]+)`: (.+)$", PAGES[f"questwell-{verb}.md"], re.MULTILINE))
    command = load(verb)
    assert isinstance(command, TyperCommand)
    for parameter in command.params:
        if parameter.param_type_name == "option" and not getattr(parameter, "hidden", False):
            (row,) = [
                row for row in rows if {*parameter.opts, *parameter.secondary_opts} <= set(re.split(r"[ ,/]+", row))
            ]
            assert len(rows[row]) > 10, row
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    assert f"[`{verb}`](questwell-{verb}.md)" in PAGES["commands.md"]


def test_every_key_error_metric_and_reason_has_a_row() -> None:
    keys = {key for verb in CONFIGS for key in config_of(verb).model_fields}
    assert keys == set(re.findall(r"^\| `(\w+)` \| \[", PAGES["keys.md"], re.MULTILINE))
    named = {name for name, one in vars(errors).items() if isinstance(one, type)}
    assert named == set(re.findall(r"^\| `(\w+)` \|", PAGES["errors.md"], re.MULTILINE))
    metrics = set(re.findall(r"^\| `(\w+)` \|", PAGES["metrics.md"], re.MULTILINE))
    assert metrics == {*TRAINING, *SELFPLAY, *SERVED}
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGES["reasons.md"], re.MULTILINE))
    assert set(rows) == set(Reason) and all(len(said) > 10 for said in rows.values())


def test_every_environment_variable_that_is_read_is_on_the_page() -> None:
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py") if "test" not in path.stem
    )
    read = set(re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"", source))
    read |= set(re.findall(r"_VARIABLE = \"([A-Z_]+)\"", source))
    read |= set(re.findall(r"\"([A-Z_]+_(?:KEY|TOKEN))\"", source))
    ours = {name for name in read if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    assert len(ours) > 30
    assert {name for name in ours if name not in PAGES["environment.md"]} == set()


def test_nothing_in_a_help_text_is_markup() -> None:
    assert reference_text.prose("a*b [c] <d> e|f g_h _i_ --top-k") == r"a\*b \[c\] &lt;d> e\|f g_h \_i\_ `--top-k`"


def test_the_strings_under_the_members_are_read() -> None:
    said = reference_text.under_members(Reason)
    assert said["LOOPING"] == "The proposer repeated the same search several times."
    assert set(said) == set(Reason.__members__)


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_picture_is_what_the_code_draws(name: str) -> None:
    made = pictures.PICTURES[name]().svg()
    assert (pictures.IMAGES / name).read_text(encoding="utf-8") == made, "run python docs/make/pictures.py"
    assert ElementTree.fromstring(made).get("aria-label")


def test_the_examples_of_verdicts_come_to_different_ones() -> None:
    outcomes = [pictures.verdict_of(tried[: pictures.stopped_after(tried)]).outcome for tried, _ in pictures.EXAMPLES]
    assert outcomes == ["pass", "too_easy", "unsolved", "unscored", "errored"]
    assert [pictures.stopped_after(tried) for tried, _ in pictures.EXAMPLES] == [4, 2, 4, 4, 2]


def test_the_site_s_navigation_has_every_page() -> None:
    written = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    shown = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", written, re.MULTILINE)
    there = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert len(shown) == len(set(shown))
    assert set(shown) == there | set(site_hook.OUTSIDE.values())


@pytest.mark.parametrize(
    ("page", "written", "there"),
    [
        ("index.md", "[a](../CONTRIBUTING.md)", "[a](CONTRIBUTING.md)"),
        ("howto/review.md", "[`a`](../view.md#pages) `b`", "[`a`](../view.md#pages) `b`"),
        ("CONTRIBUTING.md", "[a](docs/runs.md#resume), [b](LICENSE)", "[a](runs.md#resume), b"),
        ("evaluation.md", "[a](../examples/real_text/README.md)", "[a](examples/real_text.md)"),
        ("examples/real_text.md", "[a](../../docs/log.md)", "[a](../log.md)"),
        ("index.md", "[a](https://x.y/z) [b](#c)", "[a](https://x.y/z) [b](#c)"),
        ("index.md", "```\n[a](LICENSE)\n```", "```\n[a](LICENSE)\n```"),
    ],
)
def test_links_from_and_to_outside_lead_to_the_site_s_pages(page: str, written: str, there: str) -> None:
    assert site_hook.relinked(written, page) == there
