from decimal import Decimal

import pytest

from questwell.scoring.quantities import amount, compare_numbers, read_number


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12 000", "12,000"),
        ("12'000", "12000"),
        ("12\u202f000", "12,000"),
        ("3.5", "3,5"),
        ("1.5 million", "1,500,000"),
        ("150万", "1,500,000"),
        ("1.5 Millionen", "1.500.000"),
        ("16.00", "16"),
        ("5 percent", "5.0%"),
        ("−5", "-5"),
        ("٣٫٥", "3.5"),
        ("१२", "12"),
        ("1.234.567,8", "1,234,567.8"),
        ("12.", "12"),
        ("“12”", "12"),
    ],
)
def test_equal_values(one: str, other: str) -> None:
    assert compare_numbers(one, other) is compare_numbers(other, one) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-40", "40"),
        ("35", "3.5"),
        ("1936", "1937"),
        ("1900", "1936"),  # years are not rounded
        ("10", "12"),
        ("0", "1"),
        ("1.5 million", "2.5 million"),
        ("1.5 million", "1.5 billion"),
        ("1.500.000", "1.900.000"),
        ("5%", "6%"),
        ("3.14", "3.15"),
    ],
)
def test_other_values(one: str, other: str) -> None:
    assert compare_numbers(one, other) is compare_numbers(other, one) is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5%", "5"),  # the question may ask for percent
        ("5%", "0.05"),
        ("$16", "16"),
        ("16 m", "16 km"),
        ("in 1882", "1881"),
        ("44 BC", "44"),
        ("1882", "March 1881"),
        ("1.500", "1500"),  # read in two ways
        ("1,500", "1.5"),
        ("1.10", "1.1"),  # versions
        ("007", "7"),
        ("1.5 million", "1,523,000"),  # one may be the other, rounded
        ("12,000", "12,034"),
        ("3.14", "3.14159"),
        ("4", "3.5"),
        ("1-2", "12"),
        ("18 81", "1881"),
        ("10^5", "105"),
        ("10⁵", "105"),
        ("3½", "31"),
        ("1e5", "15"),
        ("twelve", "13"),
        ("", "1"),
        ("12 or 13", "12"),
    ],
)
def test_everything_else_is_left_to_a_judge(one: str, other: str) -> None:
    assert compare_numbers(one, other) is compare_numbers(other, one) is None


def test_what_is_no_number() -> None:
    for text in ("", "a", "1.2.3", "1,2,3", "--1", "1 000 00", "$5", "5 m", "1/2", "."):
        assert read_number(text) is None, text


def test_round_numbers_of_five_digits_may_be_rounded_and_shorter_ones_are_not() -> None:
    assert compare_numbers("12034", "12000") is None
    assert compare_numbers("1234", "1200") is False


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("17,098,242 sq km", "17098242"),  # and not the year 98
        ("17 098 242 sq km", "17098242"),
        ("36,289 km", "36289"),
        ("1'200 m", "1200"),
        ("40.1234 m", "40.1234"),
        ("10.4 million people", "10400000"),
        ("about 5 MW", "5"),
        ("-5 m", "-5"),
        ("1969", "1969"),
        ("1990s", "1990"),
        ("Completed in 1936", "1936"),
        ("26 July 1581", "1581"),
        ("31 May 742", "742"),
        ("32 May 742", None),
        ("3.11.1881", "1881"),
        ("450 BC", "-450"),
        ("44 B.C.E.", "-44"),
        ("44 BCE", "-44"),
        ("British Columbia, 1900", "1900"),
        ("5 to 7 km", None),
        ("1999 to 2004", None),
        ("250 km in 1999", None),
        ("none", None),
    ],
)
def test_the_amount_in_a_text_is_its_only_number_or_the_year_of_a_date(text: str, value: str | None) -> None:
    assert amount(text) == (None if value is None else Decimal(value))
