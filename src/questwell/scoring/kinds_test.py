import pytest

from questwell.scoring.kinds import has_type, type_of
from questwell.types.game import AnswerType


@pytest.mark.parametrize(
    ("answer", "types"),
    [
        ("12", {AnswerType.NUMBER}),
        ("a dozen", {AnswerType.NUMBER, AnswerType.ENTITY}),
        ("96 metres", {AnswerType.NUMBER, AnswerType.ENTITY}),
        ("36,289 km", {AnswerType.NUMBER, AnswerType.ENTITY}),
        ("103,000 km", {AnswerType.NUMBER, AnswerType.ENTITY}),
        ("1881", {AnswerType.NUMBER, AnswerType.DATE}),
        ("early March", {AnswerType.DATE, AnswerType.ENTITY}),
        ("10月3日", {AnswerType.NUMBER, AnswerType.DATE, AnswerType.ENTITY}),
        ("the 1930s", {AnswerType.NUMBER, AnswerType.DATE, AnswerType.ENTITY}),
        ("seventeen", {AnswerType.NUMBER, AnswerType.ENTITY}),
        ("siebenundzwanzig", {AnswerType.NUMBER, AnswerType.ENTITY}),
        ("douze", {AnswerType.NUMBER, AnswerType.ENTITY}),
        ("3 mars", {AnswerType.NUMBER, AnswerType.DATE, AnswerType.ENTITY}),
        ("44 BC", {AnswerType.NUMBER, AnswerType.DATE, AnswerType.ENTITY}),
        ("двенадцать", set(AnswerType)),  # not plain: no check
        ("十二", set(AnswerType)),
        ("Quillan", {AnswerType.ENTITY}),
        ("?", set()),
    ],
)
def test_types_are_told_apart_where_it_is_plain(answer: str, types: set[AnswerType]) -> None:
    assert {kind for kind in AnswerType if has_type(answer, kind)} == types


@pytest.mark.parametrize(
    ("answer", "asked", "found"),
    [
        ("1936", AnswerType.DATE, AnswerType.DATE),
        ("1936", AnswerType.ENTITY, AnswerType.DATE),
        ("1936", AnswerType.NUMBER, AnswerType.NUMBER),
        ("12", AnswerType.DATE, AnswerType.NUMBER),
        ("3 November 1881", AnswerType.NUMBER, AnswerType.DATE),
        ("96 metres", AnswerType.ENTITY, AnswerType.NUMBER),
        ("$16.00", AnswerType.ENTITY, AnswerType.NUMBER),
        ("twelve rooms", AnswerType.ENTITY, AnswerType.NUMBER),
        ("Apollo 11", AnswerType.NUMBER, AnswerType.ENTITY),
        ("Elsa Marwood", AnswerType.DATE, AnswerType.ENTITY),
        ("C++", AnswerType.NUMBER, AnswerType.ENTITY),
        ("Seven Samurai", AnswerType.ENTITY, AnswerType.ENTITY),
        ("12 Monkeys", AnswerType.ENTITY, AnswerType.ENTITY),
        ("10月3日", AnswerType.ENTITY, AnswerType.DATE),
        ("Иванович", AnswerType.ENTITY, AnswerType.ENTITY),
    ],
)
def test_the_type_is_that_of_the_answer(answer: str, asked: AnswerType, found: AnswerType) -> None:
    assert type_of(answer, asked) is found


def test_a_number_with_a_unit_has_five_words_at_most() -> None:
    assert type_of("96 metres above sea level", AnswerType.NUMBER) is AnswerType.NUMBER
    assert type_of("96 metres above the sea level", AnswerType.NUMBER) is AnswerType.ENTITY
