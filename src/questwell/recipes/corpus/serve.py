"""Behind `questwell serve`: the index of a corpus, built if need be, served by reader processes or over MCP."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import Field

from questwell.errors import ConfigError
from questwell.recipes.corpus.index import IndexConfig, IndexProgress, open_index, open_ready
from questwell.retrieval.retriever import Retriever
from questwell.retrieval.serve.mcp_server import serve_stdio
from questwell.retrieval.serve.server import ServerOptions
from questwell.retrieval.serve.service import ServiceLimits
from questwell.retrieval.serve.workers import Address, available_cores, serve


class ServeConfig(IndexConfig):
    """What is served, and how much of it at once."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 lets other machines in."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen at; 0 takes a free one."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Reader processes; as many as there are cores, 8 at most."""
    top_k: int = Field(default=3, ge=1, le=1000)
    """Passages for a request that does not say how many."""
    deadline: float = Field(default=10.0, gt=0)
    """Seconds from a request to its hits; later it gets a time-out (504)."""
    queue: int = Field(default=1024, ge=1)
    """Queries that may wait in a process; beyond that a request is refused (429, Retry-After)."""
    batch: int = Field(default=32, ge=1)
    """Queries searched together, at most."""
    cache: int = Field(default=20_000, ge=0)
    """Answers that a process keeps."""

    @property
    def limits(self) -> ServiceLimits:
        """Of one process."""
        return ServiceLimits(self.deadline, self.queue, self.batch, self.cache)

    @property
    def processes(self) -> int:
        """How many."""
        return self.workers or min(8, available_cores())


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens an index that is there; each reader process gets a copy of this."""

    config: ServeConfig

    def __call__(self) -> Retriever:
        """The retriever of one process."""
        return open_ready(self.config)


def prepare(config: ServeConfig, index_progress: IndexProgress | None = None) -> Opening:
    """Build the index if it is not there, and say how it is opened.

    Raises:
        AssetError, ConfigError, CorpusError, IndexMismatch: from the corpus and its index.
    """
    config = config.model_copy(update={"index": config.folder})  # else each process would read the corpus to find it
    open_index(config, index_progress)
    return Opening(config)


def serve_http(
    config: ServeConfig, opening: Opening, *, mcp: bool, listening: Callable[[int], None] = lambda port: None
) -> None:
    """Serve `/retrieve` (and MCP at /mcp) until SIGTERM or Ctrl-C; `listening` is told of the port.

    Raises:
        ConfigError: the address is taken, or the extra `serve` is not installed.
    """
    options = ServerOptions(top_k=config.top_k, mcp=mcp, host=config.host, limits=config.limits)
    serve(opening, Address(config.host, config.port), config.processes, options, listening)


def serve_mcp_stdio(config: ServeConfig, opening: Opening) -> None:
    """Serve MCP over standard input and output until the input ends.

    Raises:
        ConfigError: the extra `serve` is not installed.
    """
    serve_stdio(opening, config.limits)


def transport(name: str) -> str:
    """`name`, if MCP is served over it."""
    if name not in ("stdio", "http"):
        raise ConfigError(f"transport = {name!r}: there are stdio and http")
    return name
