import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from questwell.retrieval.corpora.corpus import CorpusSpec
from questwell.retrieval.index import subjects
from questwell.retrieval.index.analysis import Analyzer
from questwell.retrieval.index.indexing import build_index
from questwell.retrieval.index.lexical import LexicalIndex

LONG = "It is a language for systems. " + "Its authors describe types, modules, coroutines and devices at length. " * 5
OPEN = Callable[..., LexicalIndex]


@pytest.fixture
def opened(tmp_path: Path) -> OPEN:
    """Opens an index over (title, text)."""

    def opener(*passages: tuple[str, str], analyzer: Analyzer = Analyzer.EN) -> LexicalIndex:
        path = tmp_path / "corpus.jsonl"
        lines = [json.dumps({"title": title, "text": text}) for title, text in passages]
        path.write_text("\n".join(lines), encoding="utf-8")
        build_index(CorpusSpec(str(path)), tmp_path / "index", analyzer=analyzer)
        return LexicalIndex.open(tmp_path / "index")

    return opener


def others(name: str) -> Sequence[tuple[str, str]]:
    """Passages whose titles and texts have a name, and others that say nothing of it."""
    naming = [(f"{name} Guide {n}", f"It is about {name}.") for n in range(6)]
    return [*naming, *((f"Filler{n}", LONG) for n in range(30))]


@pytest.mark.parametrize(
    ("title", "name", "asked"),
    [
        ("Modula-2", "Modula-2", "Who is the designer of Modula-2?"),
        ("Modula-2", "Modula-2", "modula-2"),
        ("C++", "C++", "When was C++ released?"),
        ("Lord of the Isles", "Lord of the Isles", "Who was the Lord of the Isles in 1400?"),
        ("Orbit (film)", "Orbit", "Who shot 'Orbit'?"),
        ("Señor Quell", "Señor Quell", "Where was Señor Quell born?"),
    ],
)
def test_an_entry_that_others_mention_more_is_found_by_its_name(
    opened: OPEN, monkeypatch: pytest.MonkeyPatch, title: str, name: str, asked: str
) -> None:
    index = opened(*others(name), (title, LONG))
    assert index.find(asked, 1)[0].passage.title == title
    monkeypatch.setattr(subjects, "WEIGHT", 0)
    assert index.find(asked, 1)[0].passage.title != title


def test_a_part_of_a_name_and_words_that_only_ask_are_no_names(opened: OPEN, monkeypatch: pytest.MonkeyPatch) -> None:
    index = opened(("Who", LONG), ("The", LONG), ("Modula", LONG), *others("Modula-2"))
    asked = "Who is the designer of Modula-2?"
    named = {hit.passage.title: hit.score for hit in index.find(asked, 99)}
    monkeypatch.setattr(subjects, "WEIGHT", 0)
    assert named == {hit.passage.title: hit.score for hit in index.find(asked, 99)}


def test_the_score_is_the_weight_of_the_words(opened: OPEN, monkeypatch: pytest.MonkeyPatch) -> None:
    index = opened(*others("Orbit"), ("Orbit Prime", "A satellite."))
    whole = index.find("Orbit Prime", 1)[0].score
    monkeypatch.setattr(subjects, "WEIGHT", 0)
    weights = [math.log(1 + (37 - holding + 0.5) / (holding + 0.5)) for holding in (7, 1)]  # of "orbit" and "prime"
    assert whole - index.find("Orbit Prime", 1)[0].score == pytest.approx(sum(weights), abs=2e-4)


def test_scores_of_given_passages_are_those_of_a_search(opened: OPEN) -> None:
    index = opened(*others("Modula-2"), ("Modula-2", LONG))
    ranked = index.rank("the designer of Modula-2", 9)
    scored = index.score("the designer of Modula-2", [one.ordinal for one in ranked])
    assert {one.ordinal: one.score for one in scored} == {one.ordinal: one.score for one in ranked}


def test_without_stop_words_every_word_counts(opened: OPEN) -> None:
    index = opened(*others("Das Modula"), ("Das Modula", LONG), analyzer=Analyzer.MULTI)
    assert index.find("Wer schrieb Das Modula?", 1)[0].passage.title == "Das Modula"


def test_a_name_has_eight_words_at_most_and_only_the_beginning_of_a_query_is_read(
    opened: OPEN, monkeypatch: pytest.MonkeyPatch
) -> None:
    eight, nine = "a1 b2 c3 d4 e5 f6 g7 h8", "a1 b2 c3 d4 e5 f6 g7 h8 i9"
    index = opened((eight, LONG), (nine, LONG), *others("a1"))

    def scores(query: str) -> dict[str, float]:
        return {hit.passage.title: hit.score for hit in index.find(query, 9)}

    named, late = scores(nine), scores(f"{'w ' * 57}{nine}")
    monkeypatch.setattr(subjects, "WEIGHT", 0)
    plain = scores(nine)
    assert named[eight] > plain[eight]
    assert named[nine] == plain[nine]  # nine words
    assert late[eight] == plain[eight]  # the eighth is the 65th of the query
