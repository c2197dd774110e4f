"""Opens the reranker that the user names, in one of these forms.

http://HOST/rerank          any endpoint in Jina's and Cohere's form, or TEI's
MODEL@http://HOST/rerank    the same with the name of a model, as in rerank-v3.5@https://api.cohere.com/v2/rerank
PATH                        a folder with model.onnx and tokenizer.json, or the graph: a cross-encoder in this process
"""

import os
from pathlib import Path

from questwell.errors import ConfigError
from questwell.llm.keys import key_for
from questwell.retrieval.remote.remote import base_url
from questwell.retrieval.rerankers.endpoint import KEY_VARIABLE, EndpointReranker
from questwell.retrieval.rerankers.reranker import Reranker

FORMS = "http://HOST/rerank, MODEL@http://HOST/rerank, or the folder of a cross-encoder (model.onnx, tokenizer.json)"
_SCHEMES = ("http://", "https://")


def check_reranker(named: str) -> None:
    """Check that `named` has the form of a reranker; opens nothing.

    Raises:
        ConfigError: it is an invalid address.
    """
    if (endpoint := _endpoint(named)) is not None:
        base_url(endpoint[1])


def connect_reranker(named: str, price_usd: float | None = None) -> Reranker:
    """Return the reranker; calls no endpoint yet.

    Args:
        named: in one of the forms above.
        price_usd: price of one call to an endpoint; None if unknown.

    Raises:
        ConfigError: `named` has none of the forms above, or the extra `dense` is not installed.
    """
    check_reranker(named)
    if (endpoint := _endpoint(named)) is not None:
        model, url = endpoint
        key = os.environ.get(KEY_VARIABLE, "").strip() or key_for(url)
        return EndpointReranker(url, model, key=key, price_usd=price_usd)
    if not Path(named).exists():
        raise ConfigError(f"reranker {named!r} is neither an address nor an existing folder; name one of: {FORMS}")
    from questwell.retrieval.rerankers.cross_encoder import CrossEncoder  # needs the extra

    return CrossEncoder(Path(named))


def _endpoint(named: str) -> tuple[str, str] | None:
    """Return (model, address) if `named` is an endpoint, else None."""
    if named.startswith(_SCHEMES):
        return "", named
    model, _, url = named.partition("@")
    return (model, url) if model and url.startswith(_SCHEMES) else None
