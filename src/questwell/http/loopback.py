"""Addresses of this machine itself: no proxy can reach them, whatever the environment says."""

import httpx2

DIRECT: dict[str, httpx2.AsyncBaseTransport | None] = {
    f"all://{host}": None for host in ("localhost", "*.localhost", "127.0.0.1", "[::1]")
}
"""For `mounts` of an async client that may ask any address: past the environment's proxies for this machine."""


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own, which no proxy can reach."""
    try:
        host = httpx2.URL(url).host.lower()
    except httpx2.InvalidURL:
        return False
    return host == "localhost" or host.endswith(".localhost") or host in ("::1", "0.0.0.0") or host.startswith("127.")
