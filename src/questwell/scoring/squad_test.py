import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.scoring.squad import exact_match, f1, squad_tokens


def test_tokens_follow_squad() -> None:
    assert squad_tokens("The  Blue-Hall, (of) an Okoro!") == ("bluehall", "of", "okoro")
    assert squad_tokens("ＡＢＣ１") == ("abc1",)  # full-width
    assert exact_match("C++", ["C"])  # why verdicts do not use it


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


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("洛登市", "洛登", 2 * 2 / (3 + 2)),
        ("ロデン", "ロデン市", 6 / 7),
        ("กรุงเทพ", "กรุงเทพ", 1.0),
        ("東京 tower", "東京", 0.8),
    ],
)
def test_languages_without_spaces_are_compared_by_characters(answer: str, reference: str, expected: float) -> None:
    assert f1(answer, reference) == pytest.approx(expected)


def test_quotation_marks_of_other_scripts_are_punctuation() -> None:
    assert exact_match("「青い灯」", ["青い灯"])
    assert exact_match("《红楼梦》。", ["红楼梦"])
    assert exact_match("“Heroes”", ['"Heroes"'])


def test_marks_that_are_not_seen_and_the_minus_sign_make_no_difference() -> None:
    assert exact_match("\u200fAb\u00adel\u202c", ["Abel\u200b"]) and f1("\ufeffAbel Finch", "Abel Finch") == 1.0
    assert exact_match("−5", ["-5"]) and exact_match("5", ["−5"])  # SQuAD's rules drop the hyphen of -5 too
