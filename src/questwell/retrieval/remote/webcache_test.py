"""What a search costs, and that a reply is paid for once."""

import asyncio

import pytest

from questwell.errors import RetrievalError
from questwell.retrieval.conftest import APIS, serper
from questwell.retrieval.remote.webcache import WebCache


async def test_a_reply_is_paid_for_once(api, opened, tmp_path):
    api.sends(serper())
    google = opened("google")
    found = await asyncio.gather(*(google.search_paid("tea", 3) for _ in range(5)))
    assert sorted(each.cost_usd for each in found) == [0.0, 0.0, 0.0, 0.0, 0.001]
    assert (await google.search_paid("tea", 3)).cost_usd == 0.0
    assert (await opened("google").search_paid("tea", 3)).cost_usd == 0.0  # another process, the same file
    assert len(api.asked) == 1
    assert (await opened("google", cache_days=0).search_paid("tea", 3)).cost_usd == 0.001
    assert len(api.asked) == 2


@pytest.mark.parametrize(
    ("engine", "more", "cost"),
    [
        ("google", {"credits": 2}, 0.002),
        ("google", {"credits": None}, 0.001),
        ("google", {"credits": True}, 0.001),
        ("tavily", {"usage": {"credits": 2}}, 0.016),
        ("tavily", {"usage": None}, 0.008),
        ("brave", {}, 0.005),
        ("searxng", {}, 0.0),
    ],
)
async def test_what_a_search_costs(api, opened, engine, more, cost):
    api.sends(APIS[engine][1](**more))
    assert (await opened(engine).search_paid("tea", 3)).cost_usd == pytest.approx(cost)
    assert (await opened(engine, price_usd=0.5).search_paid("other", 3)).cost_usd == 0.5


async def test_a_failure_is_not_kept(api, opened):
    api.sends({"unexpected": 1}).sends({}, 401).sends(serper())
    google = opened("google")
    for _ in range(2):
        with pytest.raises(RetrievalError):
            await google.search("tea", 3)
    assert len(await google.search("tea", 3)) == 2


def test_an_old_reply_does_not_count(tmp_path):
    now = [1000.0]
    cache = WebCache(tmp_path / "c", 1, lambda: now[0])
    cache.put({"b": 1, "a": 2}, {"x": "ü"})
    assert cache.get({"a": 2, "b": 1}) == {"x": "ü"}
    now[0] += 86_401
    assert cache.get({"a": 2, "b": 1}) is None
    cache.close()
    reopened = WebCache(tmp_path / "c", 100, lambda: now[0])
    assert reopened.get({"a": 2, "b": 1}) == {"x": "ü"}
    reopened.close()


def test_a_file_that_is_no_cache(tmp_path):
    (tmp_path / "c").write_bytes(b"no database" * 100)
    with pytest.raises(RetrievalError, match="delete it"):
        WebCache(tmp_path / "c", 1)
