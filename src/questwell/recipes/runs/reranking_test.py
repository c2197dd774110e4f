"""A reranking is a call of its own: kept, counted and paid once, whatever became of the other half of the search."""

from pathlib import Path

import pytest

from questwell.errors import BudgetReached, ConfigError, RetrievalUnavailable
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.runs.budget import Budget, SpendingLimits, refuse_unknown_prices
from questwell.recipes.runs.recorder import Recorder
from questwell.retrieval.rerankers.reranked import reranked
from questwell.retrieval.rerankers.reranker import Scores
from questwell.retrieval.retriever import Found
from questwell.store.records import CallKind
from questwell.store.run import RunStore
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Place
from questwell.types.trajectory import Role

PLACE = Place("s00000", 0, Role.SOLVER, 2)


class Paid:
    """Two passages for a dollar."""

    name = "paid@1"
    priced = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def search_paid(self, query: str, k: int) -> Found:
        self.asked.append((query, k))
        passages = (Passage("long", "", "x" * 9, "d"), Passage("short", "", "x", "d"))
        return Found(tuple(Hit(passage, 1.0, rank) for rank, passage in enumerate(passages, 1)), 1.0)

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        return (await self.search_paid(query, k)).hits

    async def aclose(self) -> None:
        """Nothing."""


class Shortest:
    """Short texts first, for a quarter of a dollar."""

    name = "shortest"

    def __init__(self, *, broken: bool = False, price: float | None = 0.25) -> None:
        self.broken, self.price, self.priced = broken, price, price is not None
        self.asked = 0

    async def score(self, query: str, texts: list[str]) -> Scores:
        self.asked += 1
        if self.broken:
            raise RetrievalUnavailable("the reranker is down")
        return Scores(tuple(-float(len(text)) for text in texts), self.price)

    async def aclose(self) -> None:
        """Nothing."""


def recorder(store: RunStore, inner: Paid, model: Shortest, limits: SpendingLimits | None = None) -> Recorder:
    budget = Budget(limits or SpendingLimits(), store.read.usage())
    return Recorder(store, dict.fromkeys(Role, ScriptedLLM([])), reranked(inner, model, 20), budget)


async def test_both_halves_are_kept_and_a_replay_makes_neither(tmp_path: Path) -> None:
    inner, model = Paid(), Shortest()
    said = []
    for _ in range(2):
        with RunStore(tmp_path) as store:
            session = recorder(store, inner, model).sessions("s00000")(PLACE)
            said.append(await session.search("tea", 1))
            assert [store.read.calls(kind) for kind in (CallKind.SEARCH, CallKind.RERANK)] == [1, 1]
            spent = store.read.searches()
            assert (spent.searches, spent.cost_usd) == (1, 1.25)
            assert store.read.usage().cost_usd == store.read.usage_of("s00000").cost_usd == 1.25
            models = {row.kind: row.model for row in store.read.call_counts()}
            assert models == {CallKind.SEARCH: "paid@1", CallKind.RERANK: "shortest"}
    assert said[0] == said[1]
    assert [(hit.passage.id, hit.rank) for hit in said[0]] == [("short", 1)]
    assert (inner.asked, model.asked) == ([("tea", 20)], 1)


async def test_a_search_is_not_paid_again_when_its_reranking_failed(tmp_path: Path) -> None:
    inner = Paid()
    with RunStore(tmp_path) as store:
        session = recorder(store, inner, Shortest(broken=True)).sessions("s00000")(PLACE)
        with pytest.raises(RetrievalUnavailable):
            await session.search("tea", 1)
        assert store.read.failures() == {"RetrievalUnavailable": 1}
    with RunStore(tmp_path) as store:
        session = recorder(store, inner, Shortest()).sessions("s00000")(PLACE)
        (hit,) = await session.search("tea", 1)
        assert store.read.searches().cost_usd == 1.25
    assert hit.passage.id == "short"
    assert len(inner.asked) == 1


async def test_other_hits_or_another_reranker_are_another_reranking(tmp_path: Path) -> None:
    inner, other = Paid(), Shortest()
    other.name = "another"
    with RunStore(tmp_path) as store:
        for model in (Shortest(), other):
            await recorder(store, inner, model).sessions("s00000")(PLACE).search("tea", 1)
            assert model.asked == 1
        assert store.read.calls(CallKind.RERANK) == 2


async def test_the_budget_counts_both(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        playing = recorder(store, Paid(), Shortest(), SpendingLimits(cost_usd=1.2))
        session = playing.sessions("s00000")(PLACE)
        await session.search("tea", 1)
        assert playing.budget.spent.cost_usd == 1.25
        with pytest.raises(BudgetReached):
            await session.search("milk", 1)


def test_a_limit_of_money_is_refused_without_the_rerankers_price() -> None:
    limits = SpendingLimits(cost_usd=1.0)
    with pytest.raises(ConfigError, match="--price-rerank"):
        refuse_unknown_prices(limits, [], reranked(Paid(), Shortest(price=None)))
    refuse_unknown_prices(limits, [], reranked(Paid(), Shortest(price=0.0)))
    refuse_unknown_prices(SpendingLimits(), [], reranked(Paid(), Shortest(price=None)))
