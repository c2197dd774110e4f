"""From the reranker that a user names to one that is ready.

http://HOST/rerank          any endpoint in Jina's and Cohere's form, or TEI's
MODEL@http://HOST/rerank    the same where it wants the name of a model, as in rerank-v3.5@https://api.cohere.com/v2/rerank
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
    """Refuse what names no reranker; nothing is opened.

    Raises:
        ConfigError: it is an address that is none.
    """
    if (endpoint := _endpoint(named)) is not None:
        base_url(endpoint[1])


def connect_reranker(named: str, price_usd: float | None = None) -> Reranker:
    """The reranker; no endpoint is called yet.

    Args:
        named: in one of the forms above.
        price_usd: of one call to an endpoint; None: not known.

    Raises:
        ConfigError: `named` has none of the forms above, or the extra `dense` is not installed.
    """
    check_reranker(named)
    if (endpoint := _endpoint(named)) is not None:
        model, url = endpoint
        key = os.environ.get(KEY_VARIABLE, "").strip() or key_for(url)
        return EndpointReranker(url, model, key=key, price_usd=price_usd)
    if not Path(named).exists():
        raise ConfigError(f"reranker {named!r} is neither an address nor a folder that is there; name one of: {FORMS}")
    from questwell.retrieval.rerankers.cross_encoder import CrossEncoder  # needs the extra

    return CrossEncoder(Path(named))


def _endpoint(named: str) -> tuple[str, str] | None:
    """(model, address), if `named` is an endpoint's."""
    if named.startswith(_SCHEMES):
        return "", named
    model, _, url = named.partition("@")
    return (model, url) if model and url.startswith(_SCHEMES) else None
