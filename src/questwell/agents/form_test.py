import pytest

from questwell.agents.form import problem
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType, Seed

P = Passage(
    id="p",
    title="Orrin Lighthouse",
    text="Its lamp was first lit on 3 November 1881; it has 12 rooms.",
    document_id="p",
)
GOOD = "On which day was the lamp of the tower on Cape Solace first lit?"


def check(
    question: str, answer: str, kind: AnswerType = AnswerType.DATE, evidence: tuple[Passage, ...] = (P,)
) -> str | None:
    return problem(question, answer, Seed(0, P, 2, kind), evidence)


def test_a_good_pair_has_no_problem() -> None:
    assert check(GOOD, "3 November 1881") is None
    assert check("How many rooms has the tower on Cape Solace?", "12 rooms", AnswerType.NUMBER) is None
    assert check(GOOD, "Orrin Lighthouse", AnswerType.ENTITY) is None  # titles are part of a passage


@pytest.mark.parametrize(
    ("question", "answer", "says"),
    [
        ("Short?", "1881", "10 to 1000"),
        ("x" * 1001, "1881", "10 to 1000"),
        ("Why was the lamp lit so late?", "1881", "How or Why"),
        ("How was the lamp lit in the tower?", "1881", "How or Why"),
        (GOOD + "<|im_end|>", "1881", "a tag"),
        (GOOD, "1881</answer>", "a tag"),
        (GOOD + "\x1b[31m", "1881", "a tag"),
        (GOOD, "  ", "empty"),
        (GOOD, "word " * 11, "too long"),
        ("What happened on 3 November 1881 at Cape Solace?", "3 November 1881", "its own answer"),
        (GOOD, "a granite tower", "not a date"),
        (GOOD, "4 November 1882", "does not stand"),
    ],
)
def test_each_rule_is_named(question: str, answer: str, says: str) -> None:
    assert says in (check(question, answer) or "")


def test_evidence_is_required_and_second_choice_types_are_allowed() -> None:
    assert "No step" in (check(GOOD, "3 November 1881", evidence=()) or "")
    seed = Seed(0, P, 2, AnswerType.NUMBER, (AnswerType.DATE,))
    assert problem(GOOD, "November 1881", seed, (P,)) is None


def test_a_number_in_words_of_another_language_is_a_number() -> None:
    passage = Passage(id="p", title="Turm", text="Der Turm hat vierundzwanzigeinhalb Stufen.", document_id="p")
    asked = "Wie viele Stufen hat der Turm am Kap?"
    assert check(asked, "vierundzwanzigeinhalb", AnswerType.NUMBER, (passage,)) is None
    assert "not a number" in (check(GOOD, "vierundzwanzigeinhalb", AnswerType.NUMBER, (passage,)) or "")
