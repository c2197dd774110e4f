import pytest

from questwell.agents.staged.phrases import as_phrase


@pytest.mark.parametrize(
    ("question", "phrase"),
    [
        ("Who is the designer of Tarn?", "the designer of Tarn"),
        ("What is the name of the language used by Tarn?", "the language used by Tarn"),
        ("In which language is Tarn written?", "the language in which Tarn is written"),
        ("At which laboratory was the Tarn written?", "the laboratory at which the Tarn was written"),
        ("Where was Tarn written?", "the place where Tarn was written"),
        ("What language is Tarn written in?", "the language that Tarn is written in"),
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
    ["When was Tarn released?", "How old is Tarn?", "Is Tarn old?", "Who is Tarn?", "What format is Tarn?", "Tarn?"],
)
def test_other_questions_make_no_phrase(question: str) -> None:
    assert as_phrase(question, "Tarn") is None
