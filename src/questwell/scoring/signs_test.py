import pytest

from questwell.scoring.answers import same
from questwell.scoring.quantities import compare_numbers
from questwell.scoring.signs import signs
from questwell.scoring.words import words

MEANT = [
    ("C:\\", "C"),
    ("C:", "C"),
    ("a\\b", "a b"),
    ("\\n", "n"),
    ("a/b", "a b"),
    ("π/2", "π 2"),
    ("/etc", "etc"),
    ("/etc/", "/etc"),
    ("http://x", "http x"),
    ("5!", "5"),
    ("n!", "n"),
    ("5'", "5"),
    ('5"', "5"),
    ("6'2\"", "6 2"),
    ("x·y", "x y"),
    ("x†", "x"),
    ("--verbose", "verbose"),
    ("-x", "x"),
    ("anti-", "anti"),
    ("[0, 1)", "(0, 1)"),
    ("{x}", "x"),
    ("f(x)", "f x"),
    ("a[0]", "a 0"),
    ("std::vector", "std vector"),
    ("Node.js", "Node js"),
    ("main.c", "main c"),
    ("_init_", "init"),
    ("__init__", "init"),
    ("a_b", "a b"),
    ("A'", "A"),
    ("A''", "A'"),
    ("A--", "A-"),
    ("5 MW", "5 mW"),
    ("5 M", "5 m"),
    ("10 Gb", "10 GB"),
]
HARMLESS = [
    ("Yahoo!", "Yahoo"),
    ("...And Justice", "And Justice"),
    ('"Catch 22"', "Catch 22"),
    ("'Catch 22'", "Catch 22"),
    ("“Catch 22”", "Catch 22"),
    ("the 1990s.", "the 1990s"),
    ("AC/DC", "AC DC"),
    ("and/or", "and or"),
    ("No.5", "No. 5"),
    ("St.Louis", "St Louis"),
    ("J.R.R. Tolkien", "J. R. R. Tolkien"),
    ("Ph.D.", "Ph. D"),
    ("3 p.m.", "3 p. m."),
    ("Paris (France)", "Paris, France"),
    ("O'Brien", "O Brien"),
    ("rock 'n' roll", "rock n roll"),
    ("- Paris", "Paris"),
    ("**Paris**", "Paris"),
    ("Spider-Man", "Spider Man"),
    ("Answer: Paris", "Answer Paris"),
    ("1)", "1"),
    ("¿Quién?", "Quién"),
    ("dogs'", "dogs"),
    ("'A'", "A"),
    ("'90'", "90"),
    ("10 AM", "10 am"),
    ("500 BC", "500 bc"),
    ("1st", "1ST"),
    ("50 Cent", "50 CENT"),
    ("東京。", "東京"),
]


@pytest.mark.parametrize(("one", "other"), MEANT)
def test_signs_that_mean_something_leave_it_to_the_judge(one: str, other: str) -> None:
    assert words(one) == words(other)  # else no sign is needed
    assert signs(one) != signs(other)
    assert same(one, [one]) and not same(one, [other]) and not same(other, [one])


@pytest.mark.parametrize(
    ("answer", "reference"), [("5'", "5"), ('5"', "5"), ("'90", "1990"), ("’90", "1990"), ("5!", "5")]
)
def test_a_number_with_a_sign_is_no_plain_number(answer: str, reference: str) -> None:
    assert compare_numbers(answer, reference) is None and compare_numbers(reference, answer) is None


@pytest.mark.parametrize(("one", "other"), HARMLESS)
def test_punctuation_asks_nobody(one: str, other: str) -> None:
    assert same(one, [other]) and same(other, [one])
