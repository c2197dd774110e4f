import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.retrieval.index.analysis import Analyzer, Terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The runner's RUNNING", ["the", "runner", "s", "run"]),
        ("Émile Łódź ﬁne Ｗｉｄｅ", ["emil", "lodz", "fine", "wide"]),
        ("C++ and C#, a+b #1", ["c", "plusplus", "and", "c", "sharp", "a", "b", "1"]),
        ("北京大学 of 한국어, 字", ["北京", "京大", "大学", "of", "한국", "국어", "字"]),
        ("مُحَمَّد", ["محمد"]),
        ("a\ud800b", ["a", "b"]),
        ("", []),
        ("?! … 。", []),
        ("x" * 200, []),
    ],
)
def test_english_terms(text, terms):
    assert Terms(Analyzer.EN).of(text) == terms


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("In which year was Ada Lovelace born?", ["ada", "lovelac", "born"]),
        ("What's the name of the country whose capital is Lima?", ["countri", "capit", "lima"]),
        ("How many moons does Mars have?", ["moon", "mar"]),
        ("moons of Mars", ["moon", "mar"]),
        ("the year of the name", ["year", "name"]),  # they ask only at the beginning of a question
        ("When Harry Met Sally", ["when", "harri", "met", "salli"]),
        ("Doctor Who", ["doctor", "who"]),
        ("The Who discography", ["who", "discographi"]),
        ("The Who", ["who"]),
        ("It", ["it"]),
        ("What is it?", ["what", "is", "it"]),
        ("", []),
    ],
)
def test_a_query_is_searched_for_what_it_is_about(query: str, terms: list[str]) -> None:
    assert Terms(Analyzer.EN).of_query(query) == terms


def test_no_word_of_another_language_is_dropped() -> None:
    """ "Was", "in" and "die" are words of German too."""
    assert Terms(Analyzer.MULTI).of_query("Was ist in the Elbe?") == ["was", "ist", "in", "the", "elbe"]


def test_multi_does_not_stem():
    assert Terms(Analyzer.MULTI).of("Running Türen") == ["running", "turen"]


@given(st.text(st.characters(codec=None)))
def test_any_string_has_terms(text):
    assert all(term and " " not in term for term in Terms(Analyzer.MULTI).of(text))
