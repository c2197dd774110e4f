import json

import pytest

from questwell.retrieval.serve.asked import AskLimits, BadRequestError, count, read_search

LIMITS = AskLimits(top_k=3, most_k=100, most_queries=10, most_passages=200)


def asked(**body):
    return read_search(json.dumps(body).encode(), LIMITS)


@pytest.mark.parametrize("body", [{"queries": "tea"}, {"queries": ["tea"]}, {"query": "tea"}, {"query": ["tea"]}])
def test_one_query_or_many(body):
    assert asked(**body).queries == ["tea"]


@pytest.mark.parametrize("key", ["topk", "top_k", "k"])
@pytest.mark.parametrize(
    ("given", "k"), [(7, 7), ("7", 7), (" 7 ", 7), (7.0, 7), (0, 3), ("0", 3), (None, 3), (100, 100)]
)
def test_a_count_however_it_is_written(key, given, k):
    assert asked(queries=["tea"], **{key: given}).k == k


def test_two_names_for_a_count_must_agree():
    assert asked(queries=["tea"], topk=5, k="5").k == 5
    with pytest.raises(BadRequestError, match="topk = 5, k = 6"):
        asked(queries=["tea"], topk=5, k=6)


@pytest.mark.parametrize("given", [-1, 101, 1.5, True, "x", "", "٣", [3], "9" * 5_000])
def test_what_is_no_count(given):
    with pytest.raises(BadRequestError) as error:
        asked(queries=["tea"], topk=given)
    assert error.value.status == 422


def test_too_much_at_once():
    assert len(asked(queries=["q"] * 2, topk=100).queries) == 2
    for body in ({"queries": ["q"] * 11}, {"queries": ["q"] * 3, "topk": 100}):
        with pytest.raises(BadRequestError) as error:
            asked(**body)
        assert error.value.status == 413


def test_filters():
    where = {"lang": "en", "year": 2020, "tags": ["a", 1], "open": True, "x": 0.5}
    expected = {"lang": ["en"], "year": ["2020"], "tags": ["a", "1"], "open": ["true"], "x": ["0.5"]}
    assert asked(queries="q", where=where).where == expected
    assert asked(queries="q", where=None).where == asked(queries="q").where == {}
    for wrong in ([1], "x", {"a": None}, {"a": []}, {"a": {"b": 1}}, {"a": [None]}):
        with pytest.raises(BadRequestError):
            asked(queries="q", where=wrong)


def test_switches():
    assert asked(queries="q", return_scores=True, passages="true").scores
    assert not asked(queries="q", return_scores=1.5).whole
    assert not asked(queries="q", return_scores="no").scores
    assert count({}, ("page",), 1, 5) == 1
