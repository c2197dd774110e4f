import random

import pytest

from questwell.toy.selfplay import PassageRetriever, TwoWayRetriever, proposing, solving, truth
from questwell.toy.world import ToyWorld

WORLD = ToyWorld(12, 2, seed=3)


async def found(retriever: PassageRetriever, query: str) -> list[str]:
    return [hit.passage.text for hit in await retriever.search(query, 3)]


async def test_each_fact_is_found_from_either_end_and_by_nothing_else() -> None:
    retriever = TwoWayRetriever(WORLD)
    for (relation, subject), entity in WORLD.facts.items():
        fact = [f"{relation} of {subject} is {entity}"]
        assert await found(retriever, f"{relation} of {subject}") == fact
        assert await found(retriever, f"{relation} is {entity}") == fact
    for query in ("", "r0", "r0 of", "r0 of e3 of e4", "r9 of e3", "r0 is nobody", "e3 of r0", "r0 or e3"):
        assert await found(retriever, query) == []
    some = PassageRetriever(WORLD.passages[:1])
    relation, _, subject, *_ = WORLD.passages[0].text.split()
    assert len(await found(some, f"{relation} of {subject}")) == 1
    relation, _, subject, *_ = WORLD.passages[1].text.split()
    assert await found(some, f"{relation} of {subject}") == []


@pytest.mark.parametrize("hops", [1, 2, 3, 4])
def test_the_truth_is_what_the_worlds_own_questions_say(hops: int) -> None:
    for question in WORLD.questions(hops):
        assert truth(WORLD, question.question) == question.answer
        assert truth(WORLD, f" {question.question} ? ") == question.answer
    for text in ("", "e3", "r9 of e3", "r0 of nobody", "r0 of r1", "e3 of r0", "Which?"):
        assert truth(WORLD, text) is None


@pytest.mark.parametrize("hops", [2, 3])
def test_a_proposer_that_never_slips_asks_what_is_so_and_one_that_does_mostly_not(hops: int) -> None:
    rng = random.Random(1)

    def share(error_rate: float) -> float:
        right = 0
        for _ in range(100):
            answer = rng.choice(sorted(set(WORLD.facts.values())))
            shown = proposing(WORLD, answer, hops, error_rate, rng)
            question = shown.turns[-1].text.removeprefix("<question>").removesuffix("</question>")
            assert len(shown.turns) == hops + 1 and shown.values == {"answer": answer, "hops": str(hops)}
            assert question.count(" of ") == hops
            right += truth(WORLD, question) == answer
        return right / 100

    assert share(0.0) == 1.0
    assert share(1.0) < 0.4


def test_a_solver_shows_its_searches() -> None:
    (question, *_) = WORLD.questions(2)
    shown = solving(WORLD, question, 0.0, random.Random(1))
    assert [turn.query for turn in shown.turns] == [*question.queries, None]
    assert shown.turns[-1].text == f"<answer>{question.answer}</answer>"
