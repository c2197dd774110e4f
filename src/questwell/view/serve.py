"""The server of `questwell view`: on a loopback address, or on other addresses with a token."""

import contextlib
import socket
from collections.abc import Callable

import uvicorn

from questwell.errors import ConfigError
from questwell.view.access import LOOPBACK, Access
from questwell.view.app import make_app
from questwell.view.site import Site


def serve(
    site: Site,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    listening: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; calls `listening` with the server's URL.

    Raises:
        ConfigError: the port is taken, or other machines would have access without a token.
    """
    if host not in LOOPBACK and not token:
        raise ConfigError(f"--host {host} lets other machines in: set --token as well, or use ssh -L")
    names = [*LOOPBACK, host, *([socket.gethostname()] if host in ("0.0.0.0", "::") else [])]
    app = make_app(site, Access(hosts=frozenset(names), token=token))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"{host}:{port} cannot be used to listen on: {error.strerror}; choose another --port"
            ) from error
        named = f"[{host}]" if ":" in host else host
        listening(f"http://{named}:{own.getsockname()[1]}/{f'?token={token}' if token else ''}")
        # A polling page keeps its connection open: close it at the end instead of waiting for it.
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[own])
