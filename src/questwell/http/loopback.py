"""Addresses of this machine itself: no proxy can reach them, whatever the environment says."""

import os
from collections.abc import Mapping

import httpx2

_HERE = ("localhost", "127.0.0.1", "::1")
DIRECT: dict[str, None] = {
    f"all://{host}": None for host in ("localhost", "*.localhost", "127.0.0.1", "0.0.0.0", "[::1]")
}
"""For `mounts` of a client that may ask any address: past the environment's proxies for this machine."""


def without_proxies_here(environment: Mapping[str, str]) -> dict[str, str]:
    """What to set so that a program or a library that reads `no_proxy` asks this machine directly."""
    named = (environment.get("no_proxy") or environment.get("NO_PROXY") or "").strip()
    if named == "*":
        return {}
    joined = ",".join(dict.fromkeys([*filter(None, map(str.strip, named.split(","))), *_HERE]))
    return {"no_proxy": joined, "NO_PROXY": joined}


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own, which no proxy can reach."""
    try:
        host = httpx2.URL(url).host.lower()
    except httpx2.InvalidURL:
        return False
    return host == "localhost" or host.endswith(".localhost") or host in ("::1", "0.0.0.0") or host.startswith("127.")


def let_hub_libraries_pass_proxies() -> None:
    """Have the libraries of the Hugging Face hub ask a mirror on this machine directly: they read the environment."""
    if is_loopback(os.environ.get("HF_ENDPOINT", "")):
        os.environ.update(without_proxies_here(os.environ))
