"""`/rerank` endpoints: loopback servers that speak the forms of their documentation.

Cohere: docs.cohere.com/reference/rerank (v2). Jina: api.jina.ai/redoc. TEI: its OpenAPI's RerankRequest and Rank;
serde's message for a missing field is what its server answers with. Voyage: docs.voyageai.com/reference/reranker-api.
"""

import json

import pytest

from questwell.errors import ConfigError, MalformedHits, RetrievalRefused, RetrievalUnavailable
from questwell.http.conftest import Answer
from questwell.retrieval.conftest import QUICK
from questwell.retrieval.rerankers.endpoint import EndpointReranker, read_scores

TEXTS = ["tea", "milk", "hot tea"]
RANKED = [(2, 0.9), (0, 0.5), (1, -3.25)]


def cohere(units=1):
    results = [{"index": index, "relevance_score": score} for index, score in RANKED]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": units}}
    return {"results": results, "id": "07734bd2", "meta": meta}


def jina():
    results = [
        {"index": index, "document": {"text": TEXTS[index]}, "relevance_score": score} for index, score in RANKED
    ]
    return {"model": "jina-reranker-v2", "usage": {"total_tokens": 815}, "results": results}


def voyage():
    data = [{"relevance_score": score, "index": index} for index, score in RANKED]
    return {"object": "list", "data": data, "model": "rerank-2", "usage": {"total_tokens": 26}}


@pytest.mark.parametrize("reply", [cohere(), jina(), voyage()], ids=["cohere", "jina", "voyage"])
async def test_the_form_of_jina_and_cohere(api, reply):
    api.sends(reply)
    found = EndpointReranker(f"{api.url}/v1/rerank", "the-model", key="abc", options=QUICK)
    scored = await found.score("tea \ud800", [*TEXTS[:2], "hot tea"])
    assert scored.scores == (0.5, -3.25, 0.9)
    assert scored.cost_usd is None and not found.priced
    (asked,) = api.asked
    assert (asked.method, asked.path) == ("POST", "/v1/rerank")
    assert asked.headers["authorization"] == "Bearer abc"
    assert asked.body == {"model": "the-model", "query": "tea \ufffd", "documents": TEXTS}
    assert found.name == "the-model"
    await found.aclose()


async def test_without_a_model_none_is_sent_and_the_address_is_the_name(api):
    api.sends(jina())
    found = EndpointReranker(f"{api.url}?tenant=7", options=QUICK)
    await found.score("tea", TEXTS)
    assert "model" not in api.asked[0].body
    assert (api.asked[0].path, api.asked[0].params) == ("/rerank", {"tenant": "7"})
    assert found.name == f"{api.url}/rerank"
    assert (await found.score("tea", [])).scores == ()
    assert len(api.asked) == 1
    await found.aclose()


@pytest.mark.parametrize(
    "refusal",
    [
        (b"Failed to deserialize the JSON body into the target type: missing field `texts` at line 1 column 40", 422),
        ({"error": "missing field `texts`", "error_type": "validation"}, 422),
    ],
)
async def test_teis_form_is_found_out_once(api, refusal):
    def answers(asked):
        scores = [{"index": place, "score": float(len(text))} for place, text in enumerate(asked.body["texts"])]
        return Answer(200, json.dumps(scores[::-1]).encode())

    api.sends(*refusal)
    api.does(answers)
    found = EndpointReranker(api.url, options=QUICK, price_usd=0.5)
    texts = ["x" * n for n in range(70)]
    scored = await found.score("tea", texts)
    assert scored.scores == tuple(float(n) for n in range(70))
    assert scored.cost_usd == 1.5  # three calls
    assert [len(asked.body.get("texts", ())) for asked in api.asked] == [0, 32, 32, 6]
    assert api.asked[1].body["truncate"] is True and "model" not in api.asked[1].body
    await found.score("tea", ["a"])
    assert len(api.asked) == 5  # the other form is not asked again
    await found.aclose()


async def test_what_a_call_costs(api):
    api.sends(cohere(units=3))
    api.sends(jina())
    found = EndpointReranker(api.url, "m", options=QUICK, price_usd=0.002)
    assert found.priced
    assert (await found.score("tea", TEXTS)).cost_usd == pytest.approx(0.006)  # of search units
    assert (await found.score("tea", TEXTS)).cost_usd == 0.002
    await found.aclose()


@pytest.mark.parametrize(
    ("status", "error", "says", "tries"),
    [
        (401, RetrievalRefused, "QUESTWELL_RERANKER_KEY", 1),
        (404, RetrievalRefused, "check the address", 1),
        (422, RetrievalRefused, "why", 1),
        (429, RetrievalUnavailable, "after 2 retries", 3),
        (503, RetrievalUnavailable, "after 2 retries", 3),
    ],
)
async def test_statuses(api, status, error, says, tries):
    api.sends({"message": "why"}, status)
    found = EndpointReranker(api.url, "m", key="secret-secret", options=QUICK)
    with pytest.raises(error, match=says) as caught:
        await found.score("tea", TEXTS)
    assert len(api.asked) == tries
    assert "secret-secret" not in str(caught.value)
    await found.aclose()


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"results": "x"},
        [1, 2, 3],
        [{"index": 0, "score": 1.0}, {"index": 1, "score": 1.0}],  # one has none
        [{"index": 0, "score": 1.0}, {"index": 1, "score": 1.0}, {"index": 1, "score": 1.0}],
        [{"index": 0, "score": 1.0}, {"index": 1, "score": 1.0}, {"index": 3, "score": 1.0}],
        [{"index": 0, "score": 1.0}, {"index": 1, "score": 1.0}, {"index": -1, "score": 1.0}],
        [{"index": 0, "score": 1.0}, {"index": 1, "score": 1.0}, {"index": True, "score": 1.0}],
        [{"index": 0, "score": 1.0}, {"index": 1, "score": 1.0}, {"index": 2, "score": None}],
        [{"index": 0, "score": 1.0}, {"index": 1, "score": 1.0}, {"index": 2, "score": float("nan")}],
    ],
)
def test_what_does_not_score_each_text_once(reply):
    with pytest.raises(MalformedHits):
        read_scores(reply, 3)


async def test_no_address_and_a_malformed_reply(api):
    with pytest.raises(ConfigError):
        EndpointReranker("ftp://x/rerank")
    api.sends({"results": []})
    found = EndpointReranker(api.url, options=QUICK)
    with pytest.raises(MalformedHits, match=r"reranker at .*0 of 3 texts"):
        await found.score("tea", TEXTS)
    await found.aclose()
