"""What happened on a date, as a passage says it, and dates of something else."""

import pytest

from questwell.staged.events import event
from questwell.staged.values import values
from questwell.types.corpus import Passage

FOUND = [
    ("Tarn was founded in 1979.", "founded"),
    ("The Tarn was opened by Ana Ruiz on 3 May 1979.", "opened"),
    ("Tarn is a language designed by Ana Ruiz at Quell in 1979.", "designed"),
    ("Tarn (or T) is a language designed in 1979.", "designed"),
    ("(company) (TN) A company set up in April 1979 by Ana Ruiz.", "set up"),
    ("(language) One of the languages, first released on May 3, 1979.", "first released"),
    ("Tarn is a language. It was originally written in 1979.", "originally written"),
    ("Tarn is a language. It was widely released in 1979.", "released"),
    ("A language developed for the Fen machine in 1979.", "developed"),
    ("A dialect of Fen written in 1979.", "written"),
]
NOT_FOUND = [
    "Tarn was founded in 1980, and moved in 1979.",
    "Tarn was founded in 19790.",
    "Tarn was founded before 1979.",
    "Tarn is a language by Ana Ruiz, born in 1979.",
    "A dialect defined by a group of companies brought together in 1979.",
    "A ship operated by a line that sank in 1979.",
    "A tool made by a company founded in 1979.",
    "A tool that was bought in 1979.",
    "Fen was founded in 1979.",
    "Bigtarn was founded in 1979. A town.",
    "She was born in 1979.",
    "Tarn was used in 1979.",
    "Tarn was followed by Fen in 1979.",
    "Tarn is a book. The author was born in 1979.",
]


def dated(text: str) -> str:
    return next(date for date in ("3 May 1979", "May 3, 1979", "April 1979", "1979") if date in text)


@pytest.mark.parametrize(("text", "said"), FOUND)
def test_what_happened_is_said_in_the_texts_words(text: str, said: str) -> None:
    assert event(text, "Tarn", dated(text)) == said


@pytest.mark.parametrize("text", NOT_FOUND)
def test_a_date_of_something_else_tells_of_no_event(text: str) -> None:
    assert event(text, "Tarn", "1979") == ""


def test_a_date_of_an_event_is_a_clearer_value_than_another_date() -> None:
    passage = Passage("t", "Tarn", "Tarn was founded in 1979. Tarn had a fire in 1985, with 40 hurt.", "t")
    weights = {value.text: value.weight for value in values(passage)}
    assert weights["1979"] == weights["1985"] + 3
