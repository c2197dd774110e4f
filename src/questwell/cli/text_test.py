import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from questwell.cli.text import folded, one_line, quoted, visible


@given(st.text())
def test_nothing_that_moves_or_reorders_is_left(text: str) -> None:
    for char in visible(text):
        assert char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(char) not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


@given(st.text(), st.integers(2, 50))
def test_one_line_is_one_line_of_at_most_its_width(text: str, width: int) -> None:
    line = one_line(text, width)
    assert len(line) <= width
    assert len(line.splitlines()) <= 1


def test_readable_text_is_left_alone() -> None:
    text = "Größe 中文 العربية 👩‍🚀 [red] a\tb\nc"
    assert visible(text) == text


def test_a_text_is_folded_and_quoted_without_pythons_escapes() -> None:
    assert quoted("it's \\d 橋\x1b") == "“it's \\d 橋<U+001B>”"
    assert folded("x" * 600) == "x" * 600
    assert folded("x" * 601) == "x" * 600 + " … 1 more characters (--full)"
