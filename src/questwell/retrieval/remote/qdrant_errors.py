"""Translates errors of Qdrant's client into domain failures."""

from datetime import UTC, datetime

from questwell.errors import MalformedHits, RetrievalError, RetrievalRefused, RetrievalUnavailable
from questwell.http.retrying import Failure, retry_after_s
from questwell.retrieval.extras import optional
from questwell.retrieval.remote.calling import PASSING, UNANSWERED, CallOptions, unanswered
from questwell.retrieval.remote.remote import KEY_PLACE


def failure_of(error: Exception, name: str, options: CallOptions) -> Failure[RetrievalError]:
    """The domain failure for an error of the client; `name` is the collection's. No other place translates them."""
    busy = optional("qdrant_client.common.client_exceptions", "qdrant").ResourceExhaustedResponse
    unhandled = optional("qdrant_client.http.exceptions", "qdrant").ResponseHandlingException
    if isinstance(error, busy):
        after = retry_after_s(str(getattr(error, "retry_after_s", "")), datetime.now(UTC))
        return Failure(RetrievalUnavailable, "status 429", "try again later", True, retry_after_s=after)
    source = getattr(error, "source", None)
    for cause in (error, source):
        if isinstance(cause, UNANSWERED):
            return unanswered(cause, options)
    if isinstance(error, unhandled | RecursionError):
        if isinstance(error, RecursionError) or isinstance(source, ValueError | RecursionError):  # such as pydantic's
            return Failure(MalformedHits, "a reply that is not Qdrant's", "check the address", False)
        return Failure(RetrievalUnavailable, f"no connection ({source})", "check that the server runs", True)
    status, told = getattr(error, "status_code", None), " ".join(str(error).split())[:200]
    if status in (401, 403):
        return Failure(RetrievalRefused, f"status {status}: {told}", f"set {KEY_PLACE} to the server's key", False)
    if isinstance(status, int) and (status in PASSING or status >= 500):
        return Failure(RetrievalUnavailable, f"status {status}: {told}", "try again later", True)
    if status == 404:
        advice = f"fill it: questwell index CORPUS --to {name}"
        collection = name.rpartition("/")[2]
        return Failure(RetrievalRefused, f"there is no collection {collection!r}", advice, False)
    return Failure(RetrievalRefused, told, "check the address, the collection and the embedder", False)
