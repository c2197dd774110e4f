"""Implements `questwell serve`: serves the index of a corpus from reader processes or over MCP; builds it if needed."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field

from questwell.errors import ConfigError
from questwell.recipes.corpus.index import IndexConfig, in_order, open_index, open_ready, open_reranker
from questwell.recipes.runs.caller import IndexProgress
from questwell.retrieval.retriever import Retriever
from questwell.retrieval.serve.asked import AskLimits
from questwell.retrieval.serve.gate import ConnectionLimits, GateOptions
from questwell.retrieval.serve.gate import is_local as is_local
from questwell.retrieval.serve.mcp_server import serve_stdio
from questwell.retrieval.serve.server import ServerOptions
from questwell.retrieval.serve.service import ServiceLimits
from questwell.retrieval.serve.workers import Address, available_cores, serve
from questwell.text.lists import split_commas

TOKEN_VARIABLE = "QUESTWELL_SERVE_TOKEN"


class ServeConfig(IndexConfig):
    """Config keys for what to serve, and with which limits."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 accepts connections from other machines."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on; 0 picks a free one."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Number of processes that search; by default one per core, at most 8."""
    top_k: int = Field(default=3, ge=1, le=1000)
    """Number of passages per query if the request does not state it."""
    token: str = ""
    """Secret that callers must send (Authorization: Bearer TOKEN); required when other machines can reach the host.
    Also read from QUESTWELL_SERVE_TOKEN, which other users of this machine cannot see."""
    anyone: bool = False
    """Serve without a token, to anyone who can reach the address."""
    allow_host: Annotated[tuple[str, ...], BeforeValidator(split_commas)] = ()
    """Further host names of this server, separated by commas; requests for any other name are refused."""
    deadline: float = Field(default=10.0, gt=0)
    """Maximum time of a request in seconds; after that it is answered with a time-out (504)."""
    queue: int = Field(default=1024, ge=1)
    """Maximum number of waiting queries per process; beyond that, requests are refused (503 with Retry-After)."""
    batch: int = Field(default=32, ge=1)
    """Maximum number of queries searched in one batch."""
    cache_mb: int = Field(default=256, ge=0)
    """Size of the answer cache of each process, in megabytes."""
    connections: int = Field(default=1024, ge=1)
    """Maximum open connections per process; beyond that, idle ones are closed, or a new one gets a 503."""

    @property
    def limits(self) -> ServiceLimits:
        """The limits of one reader process."""
        return ServiceLimits(self.deadline, self.queue, self.batch, self.cache_mb * 1_000_000)

    @property
    def processes(self) -> int:
        """Number of reader processes."""
        return self.workers or min(8, available_cores())


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens an existing index; each reader process gets a copy of this."""

    config: ServeConfig

    def __call__(self) -> Retriever:
        """Open the retriever of one process."""
        return in_order(self.config, open_ready(self.config), open_reranker(self.config))


def prepare(config: ServeConfig, index_progress: IndexProgress | None = None) -> Opening:
    """Build the index if it does not exist, and return an object that opens it.

    Raises:
        AssetError, ConfigError, CorpusError, IndexMismatch: the corpus or its index cannot be opened.
    """
    config = config.model_copy(update={"index": config.folder})  # or each process would read the corpus to find it
    open_reranker(config)  # or fail at once if it cannot be fetched
    open_index(config, index_progress)
    return Opening(config)


def serve_http(
    config: ServeConfig, opening: Opening, *, mcp: bool, listening: Callable[[int], None] = lambda port: None
) -> None:
    """Serve `/retrieve` (and MCP at /mcp) until SIGTERM or Ctrl-C; `listening` is called with the port.

    Raises:
        ConfigError: the address is in use, other machines would need no token, or the extra `serve` is not
            installed.
    """
    token = config.token or os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token and not config.anyone and not is_local(config.host):
        raise ConfigError(
            f"--host {config.host} lets other machines in: set a secret that callers must send (--token, or better "
            f"the environment variable {TOKEN_VARIABLE}); or serve without one with --anyone"
        )
    options = ServerOptions(
        mcp=mcp,
        asking=AskLimits(top_k=config.top_k),
        gate=GateOptions(config.host, config.allow_host, token),
        limits=config.limits,
        connections=ConnectionLimits(config.connections),
    )
    serve(opening, Address(config.host, config.port), config.processes, options, listening)


def serve_mcp_stdio(config: ServeConfig, opening: Opening) -> None:
    """Serve MCP over standard input and output until the input ends.

    Raises:
        ConfigError: the extra `serve` is not installed.
    """
    serve_stdio(opening, config.limits)


def reached_at(host: str) -> str:
    """Return the host name that others can use for `host`; for 0.0.0.0, one address of this machine."""
    if host not in ("0.0.0.0", "::"):
        return f"[{host}]" if ":" in host else host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only looks up which interface a packet would use
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def transport(name: str) -> str:
    """Return `name` if MCP can be served over it."""
    if name not in ("stdio", "http"):
        raise ConfigError(f"transport = {name!r}: there are stdio and http")
    return name
