import pytest

from questwell.text.money import dollars


@pytest.mark.parametrize(
    ("usd", "written"),
    [
        (None, "unknown"),
        (0, "$0"),
        (0.00009, "under $0.0001"),
        (0.0001, "$0.0001"),
        (0.013, "$0.0130"),
        (0.99994, "$0.9999"),
        (0.99996, "$1.00"),
        (4.2, "$4.20"),
        (1234.5, "$1,234.50"),
    ],
)
def test_what_is_spent_is_never_shown_as_nothing(usd: float | None, written: str) -> None:
    assert dollars(usd) == written
