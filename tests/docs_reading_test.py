"""Whether the documents can be read: what a page is for, where to go next, no wall of text, no broken table."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from links_test import anchors, links

from questwell.cli.verbs import VERBS

ROOT = Path(__file__).parent.parent
MADE = {"results.md", "log.md"}  # by a script; a diary
PAGES = sorted(
    path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "reference" and path.name not in MADE
)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def parts(page: Path) -> list[str]:
    """Paragraphs, lists, tables and blocks of code, in their order."""
    text = re.sub(r"^```.*?^```", "    code", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [part for part in re.split(r"\n\s*\n", text) if part.strip()]


def is_prose(part: str) -> bool:
    return not re.match(r"    |\||#|!\[|<|[-*] |\d+\. ", part)


@each_page
def test_a_page_begins_by_saying_what_it_is_for_and_ends_with_where_to_go(page: Path) -> None:
    title, first, *_, last = parts(page)
    assert re.fullmatch(r"# .+", title)
    assert is_prose(first) and len(first.split()) >= 6, first
    if page.name != "index.md":  # which is all ways
        assert "](" in last, f"the end leads nowhere: {last}"


@each_page
def test_no_page_is_a_wall_of_text(page: Path) -> None:
    for part in parts(page):
        if is_prose(part):
            assert len(part.split()) <= 110, part
        elif re.match(r"[-*] |\d+\. ", part):
            for item in re.split(r"\n(?=[-*] |\d+\. )", part):
                assert len(item.split()) <= 110, item
    assert len(page.read_text(encoding="utf-8").split()) <= 2_100


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_table_is_whole(document: Path) -> None:
    """A head, a line below it, and as many cells in each row: else it is shown as text."""
    for part in parts(document):
        rows = [line for line in part.splitlines() if line.startswith("|")]
        cells = [re.sub(r"`[^`]*`", "", row).replace("\\|", "").count("|") for row in rows]
        if rows:
            assert len(rows) > 1 and re.fullmatch(r"\|[-: |]+\|", rows[1]), rows[0]
            assert set(cells) == {cells[0]}, rows[cells.index(next(count for count in cells if count != cells[0]))]


def missing(text: str) -> Iterator[str]:
    """Verbs that a text says are not there."""
    for sentence in re.split(r"(?<=[.:;])\s+|\n\s*\n|\n- ", text):
        if re.search(r"\b(is|are) not built|[Nn]ot built yet|not implemented", sentence):
            yield from (verb for verb in (*VERBS, "viewer") if re.search(rf"\b{verb}\b", sentence, re.IGNORECASE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_verb_is_called_missing(document: Path) -> None:
    assert list(missing(document.read_text(encoding="utf-8"))) == []


def test_a_verb_that_is_called_missing_is_found() -> None:
    said = "Form is checked. Harden mode is not built. It shards.\n- Not built yet: no\n- the viewer is not built."
    assert list(missing(said)) == ["harden", "viewer"]
    assert list(missing("Not built: weights over NCCL. `harden` keeps the answer.")) == []


PATHS: dict[str, dict[str, tuple[str, ...]]] = {
    "I have a wiki and want questions from it": {
        "can my files be read?": ("howto/own-corpus.md", "corpora.md"),
        "how hard will they be?": ("concepts/difficulty.md",),
        "what will it cost?": ("howto/hundred-thousand.md", "runs.md#forecast-yield-and-cost"),
        "why was a seed rejected?": ("reference/reasons.md",),
    },
    "I have one GPU": {
        "does it fit?": ("howto/one-gpu.md", "training.md"),
        "one model in both roles?": ("howto/self-play.md", "selfplay.md"),
        "what was measured?": ("results.md#one-h100",),
    },
    "I have a set of questions and answers already": {
        "can they be made harder?": ("howto/harden.md", "harden.md"),
        "which have shortcuts?": ("concepts/certificates.md", "harden.md#certificate"),
        "how do I read them?": ("howto/review.md", "view.md"),
        "how good is my agent on them?": ("evaluation.md",),
    },
    "I doubt your numbers": {
        "where is each figure from?": ("results.md",),
        "what failed?": ("log.md",),
        "what departs from the papers?": ("papers.md",),
        "what is missing?": ("features.md",),
        "how is an interval computed?": ("evaluation.md#what-is-reported",),
    },
    "I want to change the game": {
        "where is the game?": ("concepts/sage.md",),
        "how do the parts fit?": ("architecture.md",),
        "prompts of my own?": ("agents.md#prompts",),
        "a model of my own?": ("python.md#a-model-or-a-retriever-of-your-own",),
        "how do I send a change?": ("../CONTRIBUTING.md",),
    },
}
"""What five people ask, and the clicks from the start page to the answer."""


def section(person: str) -> str:
    """What the start page tells one of the five."""
    return (ROOT / "docs/index.md").read_text(encoding="utf-8").partition(f"### {person}\n")[2].partition("\n#")[0]


@pytest.mark.parametrize("person", PATHS)
def test_the_clicks_from_the_start_page_to_each_answer_are_there(person: str, tmp_path: Path) -> None:
    assert "docs/index.md" in set(links(ROOT / "README.md"))
    (tmp_path / "section.md").write_text(section(person), encoding="utf-8")
    for question, clicks in PATHS[person].items():
        at, offered = ROOT / "docs" / "index.md", set(links(tmp_path / "section.md"))
        for click in clicks:
            target = (ROOT / "docs" / click.partition("#")[0]).resolve()
            there = {((at.parent / link.partition("#")[0]).resolve(), link.partition("#")[2]) for link in offered}
            anchor = click.partition("#")[2]
            assert (target, anchor) in there or (not anchor and target in {path for path, _ in there}), question
            assert not anchor or anchor in anchors(target)
            at, offered = target, set(links(target))
