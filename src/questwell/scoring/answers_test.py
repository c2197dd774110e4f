from hypothesis import given
from hypothesis import strategies as st

from questwell.scoring.answers import contains, exact_match, f1, normalise, numbers


def test_normalise_follows_squad() -> None:
    assert normalise("The  Blue-Hall, (of) an Okoro!") == "bluehall of okoro"
    assert normalise("ＡＢＣ１") == "abc1"  # full-width


def test_exact_match_takes_any_alias_and_never_an_empty_answer() -> None:
    assert exact_match("the Orrin lighthouse.", ["nothing", "Orrin Lighthouse"])
    assert not exact_match("Orrin", ["Orrin Lighthouse"])
    assert not exact_match("the", ["a"])  # both are empty once normalised
    assert not exact_match("March 7, 2007", ["March 7", "2007"])


@given(st.text(), st.text())
def test_f1_is_symmetric_and_bounded(one: str, other: str) -> None:
    assert f1(one, other) == f1(other, one)
    assert 0.0 <= f1(one, other) <= 1.0


def test_f1_by_hand() -> None:
    assert f1("red green blue", "green blue sky lake") == 2 * 2 / (3 + 4)
    assert f1("", "") == 0.0


def test_contains_compares_whole_words_in_order() -> None:
    assert contains("It opened on 3 November, 1881.", "November 1881")
    assert not contains("The Portland cat", "Port")
    assert not contains("cat sat", "sat cat")
    assert not contains("anything", "the")
    assert not contains("It is 3.5 m wide.", "35 m")
    assert contains("It is 3.5 m wide.", "3.5 m")
    assert contains("首都は東京です", "東京")


def test_numbers_ignore_separators_but_not_values() -> None:
    assert numbers("1,043 metres in 007 steps") == {"1043", "7"}
    assert numbers("none") == frozenset()
