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


def test_multi_does_not_stem():
    assert Terms(Analyzer.MULTI).of("Running Türen") == ["running", "turen"]


@given(st.text(st.characters(codec=None)))
def test_any_string_has_terms(text):
    assert all(term and " " not in term for term in Terms(Analyzer.MULTI).of(text))
