"""Opens the embedder that the user names, in one of these forms.

minilm            all-MiniLM-L6-v2 in this process (91 MB, fetched once)
wordllama         static vectors in this process: 40 times as fast, less exact
onnx:FOLDER       a sentence encoder in this process: model.onnx and tokenizer.json, as the hub has e5, bge and others
openai:MODEL      MODEL at OPENAI_BASE_URL, or at api.openai.com where that is not set
MODEL@BASE_URL    MODEL at any OpenAI-compatible endpoint, as in BAAI/bge-m3@http://gpu1:8000/v1
"""

from pathlib import Path
from typing import TYPE_CHECKING

from questwell.errors import ConfigError
from questwell.llm.keys import OPENAI_URL, endpoint_of, key_for, key_variable
from questwell.retrieval.extras import optional

if TYPE_CHECKING:
    from questwell.retrieval.embedders.embedder import Embedder

EMBEDDERS = ("minilm", "wordllama")
ONNX = "onnx:"
FORMS = "minilm, wordllama, onnx:FOLDER, openai:MODEL or MODEL@BASE_URL (such as BAAI/bge-m3@http://127.0.0.1:8000/v1)"


def check_embedder(named: str) -> None:
    """Check that `named` has the form of an embedder; opens nothing.

    Raises:
        ConfigError: `named` has none of the forms above.
    """
    if named not in EMBEDDERS and not named.startswith(ONNX) and endpoint_of(named) is None:
        raise ConfigError(f"unknown embedder {named!r}: name one of: {FORMS}")


def connect_embedder(named: str, query_prefix: str | None = None, document_prefix: str | None = None) -> "Embedder":
    """Return the embedder with its model's prefixes. Downloads weights if needed; calls no endpoint yet.

    Args:
        named: in one of the forms above.
        query_prefix: text put before each query; None uses the prefix from the model's card.
        document_prefix: the same for documents.

    Raises:
        AssetError: the weights cannot be fetched.
        ConfigError: `named` has none of the forms above, or the extra `dense` is not installed.
    """
    check_embedder(named)
    optional("numpy", "dense")
    from questwell.retrieval.embedders.prefixes import prefixed, prefixes_of

    if named.startswith(ONNX):
        from questwell.retrieval.embedders.onnx_encoder import OnnxEncoder

        encoder = OnnxEncoder(Path(named.removeprefix(ONNX)))
        return prefixed(encoder, prefixes_of(encoder.model, query_prefix, document_prefix, encoder.prompts))
    return prefixed(_connect(named), prefixes_of(named.rpartition("@")[0] or named, query_prefix, document_prefix))


def _connect(named: str) -> "Embedder":
    # The modules below need the extra, so they are imported only when needed.
    if named == "minilm":
        from questwell.retrieval.embedders.minilm import MiniLM

        return MiniLM()
    if named == "wordllama":
        from questwell.retrieval.embedders.wordllama import WordLlama

        return WordLlama()
    from questwell.llm.embeddings import EndpointEmbedder

    model, base_url = endpoint_of(named) or ("", "")
    key = key_for(base_url)
    if not key and base_url == OPENAI_URL:
        raise ConfigError(f"{model!r} at {base_url} needs a key: set {key_variable(base_url)}")
    return EndpointEmbedder(model, base_url, key)
