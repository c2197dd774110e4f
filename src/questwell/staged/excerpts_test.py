"""What is left of a long passage: its first sentence, and what the question is about."""

from dataclasses import replace

from questwell.staged.conftest import passage
from questwell.staged.excerpts import excerpt, shown
from questwell.types.corpus import Hit

FIRST = "Orrin Lighthouse stands on Cape Solace."
DULL = [f"Orrin Lighthouse was painted again in the summer of {1870 + number}." for number in range(12)]
SAID = "It was automated in 1968."
LONG = passage("Orrin Lighthouse", " ".join([FIRST, *DULL[:6], SAID, *DULL[6:]]))
ASKED = "What is the year of automation of Orrin Lighthouse?"


def test_the_sentence_that_answers_is_kept_in_its_place() -> None:
    text = excerpt(LONG, ASKED, 150).text
    assert text.startswith(FIRST) and SAID in text
    assert len(text) <= 150
    lines = excerpt(LONG, ASKED, 300).text.splitlines()
    whole = [FIRST, *DULL[:6], SAID, *DULL[6:]]
    assert lines == [line for line in whole if line in lines] and len(lines) > 3


def test_words_of_the_title_do_not_count() -> None:
    """Else a sentence that names the subject would come before the one that says what is asked."""
    named, said = "Orrin Lighthouse is red.", "A lamp of Quill."
    last = passage("Orrin Lighthouse", " ".join([FIRST, named, "Nobody knows why.", said]))
    text = excerpt(last, "Which lamp has Orrin Lighthouse?", len(FIRST) + len(named) + 2).text
    assert text.splitlines() == [FIRST, said]


def test_function_words_of_the_question_do_not_count() -> None:
    """Else a long sentence, which has many of them, would come before the one that says what is asked."""
    long, said = "The shield which was on the cross is what the king had from then on.", "Independence: 3 March 1921."
    later = replace(passage("Lumia", f"{long} {said} {DULL[0]}"), offset=500)
    assert excerpt(later, "What was the date from which the independence is counted?", 40).text == said


def test_a_short_passage_and_a_long_first_sentence_are_whole() -> None:
    short = passage("Orrin Lighthouse", f"{FIRST} {SAID}")
    assert excerpt(short, ASKED, len(short.text)) is short
    assert excerpt(LONG, ASKED, 10).text == FIRST


def test_only_a_document_begins_with_its_first_sentence() -> None:
    later = replace(LONG, offset=500)
    assert excerpt(later, ASKED, 40).text == SAID
    assert excerpt(LONG, ASKED, 40).text == FIRST


def test_a_sentence_that_goes_on_and_on_counts_less() -> None:
    long = f"Automation {'went on and on, ' * 40}and so did the year."
    both = replace(passage("Orrin Lighthouse", f"{long} {SAID}"), offset=500)
    assert excerpt(both, ASKED, 100).text == SAID
    assert excerpt(both, ASKED, len(both.text)) is both


def test_hits_are_numbered_lines() -> None:
    lines = shown([Hit(LONG, 1.0, 1), Hit(passage("Cape", "A cape."), 0.5, 2)], ASKED).splitlines()
    assert [line[:3] for line in lines] == ["[1]", "[2]"]
    assert SAID in lines[0] and len(lines[0]) < 350
    assert shown([], ASKED).startswith("Nothing was found")
