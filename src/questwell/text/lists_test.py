import pytest

from questwell.text.lists import parse_fractions, parse_named, parse_range, split_commas


def test_parts_between_commas() -> None:
    assert split_commas(" a, b ,,c,") == ["a", "b", "c"]
    assert split_commas("") == []
    assert split_commas(("a", "b")) == ("a", "b")
    assert split_commas(None) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [("2..5", (2, 5)), (" 3 ", (3, 3)), ("4..4", (4, 4)), ("5..2", None), ("2..", None), ("..2", None), ("a", None)],
)
def test_whole_ranges(text: str, found: tuple[int, int] | None) -> None:
    assert parse_range(text, int) == found


def test_fractions_and_other_separators() -> None:
    assert parse_range("0.2..0.8", float) == (0.2, 0.8)
    assert parse_range("2-3", int, "-") == (2, 3)
    assert parse_range("2.5..3", int) is None
    assert parse_range("nan..1", float) is None


def test_a_band_of_fractions() -> None:
    assert parse_fractions("0..1") == (0.0, 1.0)
    for wrong in ("0.5", "0.8..0.2", "-0.1..1", "0..1.1", "a..b", ""):
        with pytest.raises(ValueError, match="two fractions"):
            parse_fractions(wrong)


def test_numbers_by_name() -> None:
    assert parse_named("b: 2.5, a:1", float) == {"b": 2.5, "a": 1.0}
    for wrong in ("", "a", "a:", "a:1,", "a:0", "a:-1", "a:nan", "a:inf", "a:1,a:2", "a:b"):
        assert parse_named(wrong, float) is None
    assert parse_named("a:1.5", int) is None
