"""`EndpointReranker`: calls a `/rerank` endpoint, which may have one of two forms.

The first form is that of Jina and Cohere, also used by vLLM, llama.cpp, Infinity and Xinference. The second is that of
Hugging Face's text-embeddings-inference (TEI):

    {"model", "query", "documents"} -> {"results": [{"index", "relevance_score"}]}     Jina, Cohere; Voyage says "data"
    {"query", "texts"}              -> [{"index", "score"}]                            TEI

We try the first form; if the endpoint asks for the field `texts`, we use the second from then on.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Any, cast

from questwell.errors import MalformedHits, RetrievalError, RetrievalRefused
from questwell.http.retrying import Failure
from questwell.retrieval.remote.calling import Call, Caller, CallOptions, said
from questwell.retrieval.remote.remote import at_route, authorization, base_url, shown
from questwell.retrieval.rerankers.reranker import Scores
from questwell.text.unicode import without_surrogates

KEY_VARIABLE = "QUESTWELL_RERANKER_KEY"
"""Environment variable with the key of the endpoint that the user names."""
TEI_BATCH = 32
"""Maximum number of texts per call in TEI's form; it refuses more unless --max-client-batch-size is larger."""


class _OtherFormError(RetrievalRefused):
    """The endpoint asks for `texts`, not `documents`."""


class EndpointReranker:
    """Scores texts with one model at one endpoint. Implements `Reranker`; belongs to one event loop."""

    def __init__(
        self,
        url: str,
        model: str = "",
        *,
        key: str | None = None,
        options: CallOptions | None = None,
        price_usd: float | None = None,
    ) -> None:
        """Use the model at `url`, with or without /rerank at its end.

        Args:
            url: an http or https address.
            model: the endpoint's name for the model; empty if it serves only one.
            key: key to send as a bearer token; None for none.
            options: time-outs and retries of the calls.
            price_usd: price of a call (Cohere: of a search unit; replies state their number); None if not known.

        Raises:
            ConfigError: `url` is not an address.
        """
        address, mark, query = base_url(url).partition("?")
        self._url = at_route(f"{address.removesuffix('/rerank')}{mark}{query}", "rerank")
        self._model = model
        self._price_usd = price_usd
        self._texts = False
        """Whether the endpoint uses TEI's form."""
        self._caller = Caller(
            f"reranker at {shown(self._url)}",
            authorization(key),
            key,
            options,
            read_error=self._failure,
        )

    @property
    def name(self) -> str:
        """Name of the model without its address, which may change; the address if no model is named."""
        return self._model or shown(self._url)

    @property
    def priced(self) -> bool:
        """Whether the user stated the price of a call."""
        return self._price_usd is not None

    async def score(self, query: str, texts: Sequence[str]) -> Scores:
        """The score of each text, as `Reranker.score`.

        Raises:
            RetrievalError: as for `Caller.ask`; also if the reply does not have a score for each text.
        """
        if not texts:
            return Scores((), 0.0)
        clean = [without_surrogates(text) for text in texts]
        query = without_surrogates(query)
        if not self._texts:
            try:
                return await self._ask(query, clean)
            except _OtherFormError:
                self._texts = True
        batches = [clean[at : at + TEI_BATCH] for at in range(0, len(clean), TEI_BATCH)]
        parts = await asyncio.gather(*(self._ask(query, batch) for batch in batches))
        costs = [part.cost_usd for part in parts]
        known = [cost for cost in costs if cost is not None]
        return Scores(
            tuple(score for part in parts for score in part.scores), sum(known) if len(known) == len(costs) else None
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._caller.aclose()

    async def _ask(self, query: str, texts: Sequence[str]) -> Scores:
        body: dict[str, object] = (
            {"query": query, "texts": texts, "truncate": True}
            if self._texts
            else {**({"model": self._model} if self._model else {}), "query": query, "documents": texts}
        )
        reply = await self._caller.ask(Call("POST", self._url, json=body))
        try:
            scores = read_scores(reply, len(texts))
        except MalformedHits as error:
            raise MalformedHits(f"reranker at {shown(self._url)}: {error}") from error
        return Scores(scores, None if self._price_usd is None else self._price_usd * _units(reply))

    def _failure(self, status: int, body: object) -> Failure[RetrievalError] | None:
        told = said(body)
        if status in (400, 422) and not self._texts and "texts" in told:
            return Failure(_OtherFormError, f"status {status}: {told}", "", False)
        if status in (401, 403):
            return Failure(
                RetrievalRefused, f"status {status}: {told}", f"set {KEY_VARIABLE} to the endpoint's key", False
            )
        return None


def read_scores(reply: object, count: int) -> tuple[float, ...]:
    """The scores in a reply of either form, in the order of the `count` texts.

    Raises:
        MalformedHits: a text has no score, or more than one.
    """
    if isinstance(reply, dict):
        fields = cast(dict[str, object], reply)
        reply = fields.get("results", fields.get("data"))
    if not isinstance(reply, list):
        raise MalformedHits("the reply is not a list of results")
    found: dict[int, float] = {}
    for entry in cast(list[object], reply):
        fields = cast(dict[str, object], entry) if isinstance(entry, dict) else {}
        index, score = fields.get("index"), fields.get("relevance_score", fields.get("score"))
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < count or index in found:
            raise MalformedHits(f"a result with the index {index!r} for {count} texts")
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            raise MalformedHits(f"a result with the score {score!r}")
        found[index] = float(score)
    if len(found) != count:
        raise MalformedHits(f"only {len(found)} of {count} texts have a score")
    return tuple(found[index] for index in range(count))


def _units(reply: object) -> float:
    """Number of billed units: as stated by Cohere, otherwise 1."""
    match reply:
        case {"meta": {"billed_units": {"search_units": int() | float() as units}}} if units >= 0:
            return cast(Any, units)
        case _:
            return 1
