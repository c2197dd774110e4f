import pytest

from questwell.errors import ConfigError
from questwell.games.answers import GroundedAnswers, KnownAnswer, ListedAnswers, Position, several
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType

LIST = [KnownAnswer("Quillan", ("the village",)), KnownAnswer("1881", hops=5), KnownAnswer("Ost")]
CORPUS = [
    Passage("0", "Harrow Bridge", "The Harrow Bridge was designed by Elsa Marwood in 1881.", "0"),
    Passage("1", "Nothing", "there is nothing to ask for here", "1"),
    Passage("2", "Ost", "The Ost is 1,043 km long and was charted by Ole Brandt.", "2"),
]


def grounded(position: Position | None = None, corpus: list[Passage] = CORPUS, seed: int = 7) -> GroundedAnswers:
    return GroundedAnswers(corpus.__getitem__, len(corpus), tuple(AnswerType), (2, 4), seed, position)


def test_a_list_is_gone_through_whole_each_time() -> None:
    taken = ListedAnswers(LIST, (2, 3), 1).take(30)
    assert [seed.index for seed in taken] == list(range(30))
    orders = [tuple(seed.answer for seed in taken[at : at + 3]) for at in range(0, 30, 3)]
    assert all(sorted(order) == ["1881", "Ost", "Quillan"] for order in orders)
    assert len(set(orders)) > 1
    hops = {seed.answer: {one.hops for one in taken if one.answer == seed.answer} for seed in taken}
    assert hops == {"1881": {5}, "Quillan": {2, 3}, "Ost": {2, 3}}
    assert next(seed for seed in taken if seed.answer == "Quillan").references == ("Quillan", "the village")


@pytest.mark.parametrize("at", range(0, 12))
def test_sources_go_on_from_their_position(at: int) -> None:
    for make in (lambda p: ListedAnswers(LIST, (2, 9), 3, p), grounded):
        whole, first = make(None), make(None)
        expected = whole.take(12)
        begun = first.take(at)
        assert begun + make(first.position).take(12 - at) == expected


def test_answers_out_of_a_corpus_stand_in_their_passage() -> None:
    taken = grounded().take(40)
    assert [seed.index for seed in taken] == list(range(40))
    for seed in taken:
        assert seed.passage is not None and seed.answer in seed.passage.text
        assert 2 <= seed.hops <= 4
    found = {seed.answer for seed in taken}
    assert {"Elsa Marwood", "1881", "Ole Brandt"} <= found
    assert any("1,043" in answer for answer in found)
    assert {seed.passage.id for seed in taken if seed.passage} == {"0", "2"}
    assert [seed.answer for seed in grounded(seed=8).take(40)] != [seed.answer for seed in taken]


def test_nothing_to_ask_for_says_so() -> None:
    with pytest.raises(ConfigError, match="empty"):
        ListedAnswers([], (2, 3), 1)
    with pytest.raises(ConfigError, match="no passage"):
        grounded(corpus=[CORPUS[1]] * 3).take(1)


def test_several_proposals_of_an_answer_are_seeds_of_their_own() -> None:
    taken = ListedAnswers([KnownAnswer("a"), KnownAnswer("b"), KnownAnswer("c")], (2, 4), 0).take(4)
    made = several(taken, 3)
    assert [seed.answer for seed in made] == [seed.answer for seed in taken for _ in range(3)]
    assert [seed.hops for seed in made[::3]] == [seed.hops for seed in taken]
    assert [seed.index for seed in made] == list(range(12))
    assert several(taken, 1) == taken
