import pytest

from questwell.scoring.times import named_time


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("Who was mayor of Ostia as of March 2021?", "as of March 2021"),
        ("Who was mayor of Ostia as of 1936?", "as of 1936"),
        ("How many people lived in Ostia in 2011?", "in 2011"),
        ("Who ruled on 4 May 1921?", "on 4 May 1921"),
        ("Who won the 1998 cup?", "1998"),
        ("Who led it during the 1990s?", "during the 1990s"),
        ("2019年的市长是谁?", ""),
        ("Who is the mayor of Ostia?", ""),
        ("Which dam is 1.936 km long?", ""),
        ("How many are the 12,000 seats?", ""),
        ("Which model is called T2000x?", ""),
    ],
)
def test_the_time_that_a_question_names(question: str, named: str) -> None:
    assert named_time(question) == named
