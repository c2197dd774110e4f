import pytest

from questwell.staged.phrases import as_phrase, can_be_replaced


@pytest.mark.parametrize(
    ("question", "phrase"),
    [
        ("Who is the designer of Tarn?", "the designer of Tarn"),
        ("What is the name of the language used by Tarn?", "the language used by Tarn"),
        ("In which language is Tarn written?", "the language in which Tarn is written"),
        ("At which laboratory was the Tarn written?", "the laboratory at which the Tarn was written"),
        ("Where was Tarn written?", "the place where Tarn was written"),
        ("What language is Tarn written in?", "the language that Tarn is written in"),
        ("What language does Tarn require?", "the language that Tarn requires"),
        ("Which shape does Tarn carry on top?", "the shape that Tarn carries on top"),
        ("Which standard did Tarn extend?", "the standard that Tarn did extend"),
        ("Which bridge is described in Tarn?", "the bridge that is described in Tarn"),
        ("Which engineer designed Tarn?", "the engineer that designed Tarn"),
        ("Which software company sells Tarn?", "the software company that sells Tarn"),
        ("Who wrote Tarn?", "the one who wrote Tarn"),
    ],
)
def test_known_shapes(question: str, phrase: str) -> None:
    assert as_phrase(question, "Tarn") == phrase


@pytest.mark.parametrize(
    "question",
    [
        "When was Tarn released?",
        "How old is Tarn?",
        "Is Tarn old?",
        "Who is Tarn?",
        "What format is Tarn?",
        "Tarn?",
        "What is the step from Tarn to?",
    ],
)
def test_other_questions_make_no_phrase(question: str) -> None:
    assert as_phrase(question, "Tarn") is None


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When was Tarn released?", True),
        ("Who wrote Tarn?", True),
        ("What is the size of Tarn in bytes?", True),
        ("What company did Tarn start?", True),
        ("When was the Tarn recommendation ratified?", False),
        ("Who wrote the Tarn manual?", False),
        ("Who wrote Tarn-2?", False),
        ("When will the most Tarn modems be sold?", False),
        ("When will there be a million Tarn modems?", False),
    ],
)
def test_a_name_that_qualifies_another_noun_cannot_be_replaced(question: str, expected: bool) -> None:
    assert can_be_replaced("Tarn", question) is expected
