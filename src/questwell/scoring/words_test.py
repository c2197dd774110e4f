import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.scoring.words import fold, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-40 °C", "40 °C"),
        ("C++", "C"),
        ("C#", "C"),
        ("F#", "F"),
        (".NET", "net"),
        ("Vitamin A", "Vitamin"),
        ("Plan A", "plan"),
        ("the A", "the"),
        ("version 1.5", "version 15"),
        ("version 1.10", "version 1.1"),
        ("10⁵", "105"),
        ("10^5", "105"),
        ("x²", "x2"),
        ("5%", "$5"),
        ("5%", "5"),
        ("5 €", "5 $"),
        ("AB−", "AB"),
        ("B- donor", "B donor"),
        ("A*", "A"),
        ("1/2", "12"),
        ("2:1", "21"),
        ("1-2", "12"),
        ("3½", "31/2"),
        ("<5", ">5"),
        ("R&B", "RB"),
        ("6′", "6″"),
        ("№ 5 #1", "№ 5 1"),
        ("résumé", "resume"),
        ("हिन्दी", "हनद"),
        ("١٢٫٥", "١٢٥"),
        ("60°", "60"),
    ],
)
def test_what_carries_meaning_is_kept(one: str, other: str) -> None:
    assert words(one) != words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("“Heroes”", "heroes"),
        ("„Heroes“", "«Heroes»"),
        ("「英雄」", "英雄"),
        ("Jean–Luc", "Jean-Luc"),
        ("−5 °C", "-5°C"),
        ("–5", "-5"),
        ("ＡＢＣ１", "abc1"),
        ("12,034 men", "12034 men"),
        ("12,34,567", "1234567"),
        ("१९३६", "1936"),
        ("١٢٬٠٠٠", "12,000"),
        ("**1936**.", "1936"),
        ("*Blue Lantern*", "Blue Lantern"),
        ("5km", "5 km"),
        ("1.5km", "1.5 km"),
        ("O’Brien", "O'Brien"),
        ("Lima, Peru.", "lima peru"),
        ("Lego™", "LEGO"),
        ("ジョン・スミス", "ジョンスミス"),
        ("ΟΔΟΣ", "οδος"),
        ("...the end", "the end"),
        ("  A.  ", "A"),
        ("in\u00adter\u200bnet", "internet"),
        ("\u2067Abel\u2069\u200f\ufeff", "Abel"),
        ("می\u200cخواهم", "میخواهم"),
    ],
)
def test_what_carries_none_folds(one: str, other: str) -> None:
    assert words(one) == words(other) != ()


def test_words_by_hand() -> None:
    assert words("F-16s fly at -40 to +5 °C (1,500 m), 1936年") == (
        *("f", "16s", "fly", "at", "-40", "to", "+5", "°", "c", "1500", "m", "1936", "年"),
    )
    assert words("1931–1936; 5-6") == ("1931", "-", "1936", "5", "-", "6")
    assert words("M*A*S*H and AC/DC") == ("m", "*", "a", "*", "s", "*", "h", "and", "ac", "dc")
    assert words(" — -- '' ...") == ()


@given(st.text())
def test_folding_twice_changes_nothing_and_no_word_is_empty(text: str) -> None:
    found = words(text)
    assert all(word and not word.isspace() for word in found)
    assert words(fold(text)) == words(fold(fold(text)))
