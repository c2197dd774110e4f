import pytest

from questwell.staged.spans import (
    fact_sentences,
    is_about,
    is_misnamed,
    is_of_its_year,
    names,
    spans,
    stands_alone,
    year_of,
)
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType

HARROW = Passage(
    id="h#0",
    title="Harrow Bridge",
    text="The Harrow Bridge is a bridge over the River Tamsel near Dunwick. It was designed by Elsa Marwood and opened "
    "on 3 May 1874. It has seven arches, is 212 metres long and cost 1,043,000 crowns [Guide, 1999, p. 12].",
    document_id="h",
    links=("River Tamsel", "bridge"),
)


def passage(text: str, title: str = "T", offset: int = 0) -> Passage:
    return Passage(id="p", title=title, text=text, document_id="p", offset=offset)


def test_names_are_proper_names_links_first() -> None:
    assert names(HARROW, "Harrow Bridge") == ("River Tamsel", "Dunwick", "Elsa Marwood")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("He wrote the GNU Manifesto in Boston.", "GNU"),  # inside a longer name
        ("Made by Anton and Felix Duarte.", "Anton"),  # one of a list: a phrase cannot tell them apart
        ("It borders Andorra 55 km; Belgium 556 km; Italy 476 km.", "Belgium"),
        ("The IBM 709 came later.", "IBM"),
    ],
)
def test_a_name_that_a_phrase_could_not_replace_is_left_out(text: str, name: str) -> None:
    assert not stands_alone(name, text)
    assert name not in names(passage(text), "T")


def test_initials_are_part_of_a_name() -> None:
    text = "It was founded by Steven P. Jobs. It employs J. R. Hartley."
    assert names(passage(text), "T") == ("Steven P. Jobs", "J. R. Hartley")


def test_a_name_stands_alone_when_one_mention_does() -> None:
    assert stands_alone("GNU", "The GNU Manifesto made GNU known.")
    assert stands_alone("Boston", "It began. Boston was next.")


def test_dates_numbers_and_entities() -> None:
    def texts(kind: AnswerType) -> list[str]:
        return [span.text for span in spans(HARROW, "Harrow Bridge", kind)]

    assert texts(AnswerType.DATE) == ["3 May 1874"]  # not the year of a source in brackets
    assert texts(AnswerType.NUMBER) == ["212 metres", "1,043,000 crowns"]
    assert texts(AnswerType.ENTITY) == ["River Tamsel", "Dunwick", "Elsa Marwood"]
    seen = Passage("s", "Orbit", "First seen: 2019-01-31. Last seen: 2019-41-01.", "s")
    assert [span.text for span in spans(seen, "Orbit", AnswerType.DATE)] == ["2019-01-31", "2019"]
    (metres, _) = spans(HARROW, "Harrow Bridge", AnswerType.NUMBER)
    assert metres.aliases == ("212",)


@pytest.mark.parametrize(
    "text",
    ["The IBM 709 is old.", "In version 3 of it.", "In 1999 it grew.", "On May 12 it came.", "See RFC 1268 and 68010."],
)
def test_what_looks_like_a_number_but_is_none(text: str) -> None:
    assert spans(passage(text), "T", AnswerType.NUMBER) == ()


def test_the_year_of_an_estimate_is_no_date() -> None:
    assert spans(passage("Population: 1,202 (2023 est.)"), "T", AnswerType.DATE) == ()


def test_a_fact_is_the_first_sentence_and_the_one_that_holds_it() -> None:
    assert fact_sentences(HARROW, "3 May 1874").startswith(
        "The Harrow Bridge is a bridge over the River Tamsel near Dunwick. It was"
    )
    assert "seven" not in fact_sentences(HARROW, "3 May 1874")
    assert fact_sentences(HARROW, "Dunwick") == "The Harrow Bridge is a bridge over the River Tamsel near Dunwick."


def test_what_is_said_of_another_thing_is_not_about_the_subject() -> None:
    text = "Tarn is a program. Ole Brandt was born in 1951. Tarn was released in 1988."
    assert is_about(passage(text, "Tarn"), "Tarn", "1988")
    assert not is_about(passage(text, "Tarn"), "Tarn", "1951")
    assert is_about(
        passage("Tarn is a program. It began at Cobalt Labs. Its fans met there in 1990.", "Tarn"), "Tarn", "1990"
    )
    assert not is_about(passage("Tarn is a program. Ole Brandt wrote it. He was born in 1951.", "Tarn"), "Tarn", "1951")
    assert is_about(passage("Area: 12 sq km.", "Chad: Geography", offset=90), "Chad", "12 sq km")
    said_of_another = "Tarn is a language. There is a Tarn assembler by Ole Brandt. It requires Orbit."
    assert not is_about(passage(said_of_another, "Tarn"), "Tarn", "Orbit")
    assert is_about(passage("Old. The Tarn compiler is small. It requires Orbit.", "Tarn", offset=9), "Tarn", "Orbit")


@pytest.mark.parametrize(
    ("text", "offset", "year"),
    [
        ("Hook is a 1991 American film by Ana Ruiz. It was shown in 1992.", 0, "1991"),
        ("Hook is a 1991 American film by Ana Ruiz.", 80, None),  # not the document's first sentence
        ("Hook is a film that was shown in 1991.", 0, None),
        ("Hook was the 1914-1918 war.", 0, None),
        ("Hook is a film. It is a 1991 comedy.", 0, None),
    ],
)
def test_the_year_of_a_thing(text: str, offset: int, year: str | None) -> None:
    assert year_of(passage(text, "Hook", offset)) == year


@pytest.mark.parametrize(
    ("text", "noun", "said"),
    [
        ("Hook is a 1991 American fantasy film by Ana Ruiz.", "film", True),
        ("Hook is a 1991 American fantasy film by Ana Ruiz.", "fantasy film", True),
        ("Hook is a 1991 American fantasy film by Ana Ruiz.", "book", False),
        ("Hook is a film that was shown in 1991.", "film", False),
        ("Hook is a 1991 one two three four five six film.", "film", True),
        ("Hook is a 1991 one two three four five six seven film.", "film", False),  # too far away to be called so
        ("Hook is a 1991 hit, and a film.", "film", False),
    ],
)
def test_what_is_called_of_its_year(text: str, noun: str, *, said: bool) -> None:
    assert is_of_its_year(passage(text, "Hook"), noun) is said


@pytest.mark.parametrize(
    ("title", "text", "misnamed"),
    [
        ("The Tall Man", "Joseph Quell was a clerk born in Arel City.", True),
        ("The Tall Man", "Joseph Quell (1840-1912), called the Tall Man, was a clerk.", False),
        ("Tall Man", "Three Talls: Man is a film.", False),
        ("ABQ", "Arel Bridge Quotient.", False),
        ("ABQ", "A measure that Ana Ruiz is known for.", False),
    ],
)
def test_a_document_under_another_name(title: str, text: str, misnamed: bool) -> None:
    assert is_misnamed(passage(text, title), title) is misnamed
    assert not is_misnamed(passage(text, title, 90), title)
