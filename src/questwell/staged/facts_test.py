"""When two readings agree."""

import pytest

from questwell.staged.facts import agrees


@pytest.mark.parametrize(
    ("found", "agreed"),
    [
        ("Prime Minister Edi Rama", True),
        ("edi rama", True),
        ("Rama", False),  # one word of a name may be another's
        ("Prime Minister", False),
        ("the Prime Minister Edi Rama of Albania", True),
        ("Prime Minister Edi Rama, who has led the country and its party since then", False),
        ("not found", False),
        ("", False),
    ],
)
def test_readings_agree_but_for_articles_titles_and_a_few_words(found: str, agreed: bool) -> None:
    assert agrees(found, ("Prime Minister Edi Rama",)) is agreed


def test_an_alias_agrees() -> None:
    assert agrees("96", ("96 metres", "96"))
    assert not agrees("69", ("96 metres", "96"))
