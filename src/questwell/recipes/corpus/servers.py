"""Config keys for calling a search server, shared by each recipe that searches or fills one."""

from questwell.recipes.corpus.index import IndexConfig
from questwell.recipes.runs.models import Pairs
from questwell.retrieval.remote.remote import KEY_VARIABLE


class ServerConfig(IndexConfig):
    """Config keys for which corpus to use, and how a search server is called."""

    retriever_key_env: str | None = None
    """Environment variable with the key of the search server; by default QUESTWELL_RETRIEVER_KEY."""
    retriever_headers: Pairs | None = None
    """Extra headers for the search server: NAME=VALUE,NAME=VALUE; the value $NAME is read from the environment."""

    @property
    def key_name(self) -> str:
        """Environment variable of the server's key."""
        return self.retriever_key_env or KEY_VARIABLE
