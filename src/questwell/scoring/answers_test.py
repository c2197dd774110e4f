import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.scoring.answers import contains, matches, normalise, numbers, same


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("It opened on 3 November, 1881.", "November 1881"),
        ("the film “Blue Lantern” won", "Blue Lantern"),
        ("Marwood's lamp", "Marwood"),
        ("l’Oise coule", "Oise"),
        ("It is 3.5 m wide.", "3.5 m"),
        ("It is 3.5m wide.", "3.5 m"),
        ("1936年に開いた", "1936"),
        ("首都は東京です", "東京"),
        ("เมืองหลวงคือกรุงเทพ", "กรุงเทพ"),
        ("수도는 서울은", "서울"),
        ("built 1931–1936", "1936"),
        ("some 12,000 men", "12000"),
        ("Lima,Peru", "Peru"),
        ("written in C++, not in C#", "C++"),
        ("Anglo-Norman kings", "norman"),
        ("blood group A was found", "A"),
    ],
)
def test_contains_holds(text: str, answer: str) -> None:
    assert contains(text, answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Пётр Иванович", "Иван"),
        ("The Portland cat", "Port"),
        ("cat sat", "sat cat"),
        ("anything", "!"),
        ("anything", ""),
        ("It is 3.5 m wide.", "35 m"),
        ("It is 3.5 m wide.", "5 m"),
        ("Version 1.5", "version 1"),
        ("-40 °C at night", "40 °C"),
        ("written in C++", "C"),
        ("in the year 11936", "1936"),
        ("the 1930s", "1930"),
        ("남서울은", "서울"),
        ("सुन्दरता", "सुन्दर"),
        ("Straßenbahn", "Straße"),
        ("12,000 men", "12"),
    ],
)
def test_contains_does_not_hold(text: str, answer: str) -> None:
    assert not contains(text, answer)


@given(st.text(), st.text(), st.text())
def test_a_text_holds_what_is_put_into_it_between_spaces(before: str, answer: str, after: str) -> None:
    if normalise(answer) and not set("*_`^⁻") & set(before + answer + after):  # emphasis may close in another part
        assert contains(f"{before} {answer} {after}", answer)


def test_same_takes_any_reference_and_never_an_empty_answer() -> None:
    assert same("orrin lighthouse.", ["nothing", "Orrin Lighthouse"])
    assert not same("Orrin", ["Orrin Lighthouse"])
    assert not same("!", ["?"])
    assert not same("March 7, 2007", ["March 7", "2007"])
    assert not same("the Hague", ["Hague"])  # an article may matter: a judge says


def test_matches_leaves_a_leading_article_out_but_no_letter() -> None:
    assert matches("The Orrin Lighthouse", ["Orrin lighthouse"])
    assert matches("a dozen", ["dozen"])
    assert matches("the A", ["A"])
    assert not matches("Vitamin A", ["Vitamin"])
    assert not matches("A", ["the"])
    assert not matches("!", ["?"])


def test_numbers_ignore_separators_but_not_values() -> None:
    assert numbers("港口城市在一九三一年建成了第一座") == {"一九三一"}
    assert numbers("1,043 metres in 007 steps at 3.5 or -2") == {"1043", "7", "3.5", "-2"}
    assert numbers("none") == frozenset()
