"""A retriever with a reranker: the order, what it costs, and what goes through."""

import pytest

from questwell.errors import MalformedHits
from questwell.retrieval.rerankers.reranked import Reranked, reranked
from questwell.retrieval.rerankers.reranker import Scores
from questwell.retrieval.retriever import (
    DocumentReader,
    FilteringRetriever,
    Found,
    PaidRetriever,
    search_and_reckon,
)
from questwell.types.corpus import Hit, Passage


class Shortest:
    """Short texts first."""

    name = "shortest"

    def __init__(self, cost=0.0):
        self.priced, self.cost, self.seen, self.closed = cost is not None, cost, [], 0

    async def score(self, query, texts):
        self.seen.append((query, list(texts)))
        return Scores(tuple(-float(len(text)) for text in texts), self.cost)

    async def aclose(self):
        self.closed += 1


class Fixed:
    """Five passages, whatever is asked; the third is the shortest, the first two are alike."""

    name = "fixed"
    lengths = (5, 5, 1, 9, 2)

    def __init__(self):
        self.asked, self.closed = [], 0

    async def search(self, query, k):
        self.asked.append(k)
        passages = [Passage(f"p{n}", "", "x" * length, "d") for n, length in enumerate(self.lengths)]
        return tuple(Hit(passage, 9.0 - n, n + 1) for n, passage in enumerate(passages))[:k]

    async def aclose(self):
        self.closed += 1


class Paid(Fixed):
    priced = True

    async def search_paid(self, query, k):
        return Found(await self.search(query, k), 0.25)


async def test_candidates_are_put_in_the_rerankers_order():
    inner, model = Fixed(), Shortest()
    both = reranked(inner, model, 4)
    hits = await both.search("q", 3)
    assert [(hit.passage.id, hit.score, hit.rank) for hit in hits] == [("p2", -1, 1), ("p0", -5, 2), ("p1", -5, 3)]
    assert inner.asked == [4]  # p4 was no candidate
    assert [hit.passage.id for hit in await both.search("q", 5)] == ["p2", "p4", "p0", "p1", "p3"]
    assert inner.asked == [4, 5]  # more hits, more candidates
    assert await both.search("q", 0) == ()
    assert len(model.seen) == 2
    assert both.name == "fixed+rerank.1(shortest,4)"
    await both.aclose()
    assert (inner.closed, model.closed) == (1, 1)
    await reranked(inner, model, lent=True).aclose()
    assert (inner.closed, model.closed) == (1, 2)  # what a caller lent stays open


async def test_the_reranker_reads_titles_too():
    model = Shortest()
    both = reranked(Fixed(), model)
    hit = Hit(Passage("a", "Tea", "It is hot.", "a"), 1.0, 1)
    await both.rerank("q", [hit], 1)
    assert model.seen == [("q", ["Tea\nIt is hot."])]


@pytest.mark.parametrize(
    ("inner", "cost", "total", "priced"),
    [(Fixed, 0.0, 0.0, True), (Fixed, 0.5, 0.5, True), (Paid, 0.5, 0.75, True), (Paid, None, None, False)],
)
async def test_costs_add_up_and_unknown_is_not_0(inner, cost, total, priced):
    both = reranked(inner(), Shortest(cost))
    assert isinstance(both, PaidRetriever)
    assert both.priced is priced
    assert (await search_and_reckon(both, "q", 1)).cost_usd == total


async def test_a_reranker_that_does_not_score_all_is_a_failure_not_the_old_order():
    class Broken(Shortest):
        async def score(self, query, texts):
            raise MalformedHits("it scored 0 of 5 texts")

    with pytest.raises(MalformedHits):
        await reranked(Fixed(), Broken()).search("q", 3)


async def test_what_the_retriever_can_do_besides_goes_through(index):
    both = reranked(index, Shortest(), 10)
    assert isinstance(both, FilteringRetriever) and isinstance(both, DocumentReader)
    assert isinstance(both, Reranked)
    hits = await both.search("town founded", 3)
    assert len(hits) == 3
    assert both.get(hits[0].passage.id) == hits[0].passage
    assert not both.outdated()
    page = await both.read_page(hits[0].passage.document_id, 1)
    assert page.passages[0] == hits[0].passage
    assert await both.find_in("t/1", "town", 1) == await index.find_in("t/1", "town", 1)
    (narrow,) = await both.search_where(["town"], 3, {"lang": "none"})
    assert narrow == ()
    plain = reranked(Fixed(), Shortest())
    assert not isinstance(plain, FilteringRetriever) and not isinstance(plain, DocumentReader)
    assert not hasattr(plain, "get") and not hasattr(plain, "outdated")
