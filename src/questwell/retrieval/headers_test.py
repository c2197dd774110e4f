"""Key and headers reach every remote retriever; filters are joined, and refused where nobody knows them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.errors import ConfigError
from questwell.http.headers import resolved
from questwell.retrieval.choose import RetrieverOptions, open_retriever
from questwell.retrieval.conftest import QUICK
from questwell.retrieval.remote.filters import both, narrowed_by


async def test_every_call_carries_key_and_headers(api, monkeypatch):
    monkeypatch.setenv("MINE", "abc-123-secret")
    monkeypatch.setenv("TENANT", " seven ")
    api.sends({"result": [[]]})
    options = RetrieverOptions(calls=QUICK, key_name="MINE", headers={"X-Tenant": "$TENANT", "x-a": "b"})
    opened = await asyncio.to_thread(open_retriever, api.url, options)
    assert await opened.search("tea", 3) == ()
    assert [asked.path for asked in api.asked] == ["/healthz", "/retrieve"]
    for asked in api.asked:
        assert asked.headers["authorization"] == "Bearer abc-123-secret"
        assert (asked.headers["x-tenant"], asked.headers["x-a"]) == ("seven", "b")
    await opened.aclose()


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"x": "$NOT_SET"}, "'NOT_SET'"),
        ({"a b": "c"}, "not a valid header name"),
        ({"x": "a\r\nb: c"}, "line break"),
        ({"": "x"}, "not a valid header name"),
    ],
)
def test_what_cannot_be_sent_is_refused(monkeypatch, headers, says):
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(ConfigError, match=says):
        resolved(headers)


FILTERS = st.dictionaries(
    st.sampled_from("ab"), st.one_of(st.sampled_from("xyz"), st.lists(st.sampled_from("xyz"), min_size=1)), max_size=2
)


def fits(metadata, where):
    return all(metadata[key] in ([value] if isinstance(value, str) else value) for key, value in where.items())


@given(FILTERS, FILTERS, st.fixed_dictionaries({"a": st.sampled_from("xyz"), "b": st.sampled_from("xyz")}))
def test_both_filters_hold(one, other, metadata):
    joined = both(one, other)
    assert (joined is not None and fits(metadata, joined)) == (fits(metadata, one) and fits(metadata, other))


def test_a_filter_is_part_of_the_name():
    assert narrowed_by({}) == ""
    assert narrowed_by({"b": ["y", "x"], "a": "z"}) == '+where({"a": ["z"], "b": ["x", "y"]})'
