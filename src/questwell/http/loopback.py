"""Loopback addresses, which must bypass the environment's proxies."""

import os
from collections.abc import Mapping

import httpx2

_HERE = ("localhost", "127.0.0.1", "::1")
DIRECT: dict[str, None] = {
    f"all://{host}": None for host in ("localhost", "*.localhost", "127.0.0.1", "0.0.0.0", "[::1]")
}
"""`mounts` for an httpx2 client, so that requests to this machine bypass the environment's proxies."""


def without_proxies_here(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set so that programs that read `no_proxy` reach this machine directly."""
    named = (environment.get("no_proxy") or environment.get("NO_PROXY") or "").strip()
    if named == "*":
        return {}
    joined = ",".join(dict.fromkeys([*filter(None, map(str.strip, named.split(","))), *_HERE]))
    return {"no_proxy": joined, "NO_PROXY": joined}


def is_loopback(url: str) -> bool:
    """Return whether a URL is a loopback address, which no proxy can reach."""
    try:
        host = httpx2.URL(url).host.lower()
    except httpx2.InvalidURL:
        return False
    return host == "localhost" or host.endswith(".localhost") or host in ("::1", "0.0.0.0") or host.startswith("127.")


def let_hub_libraries_pass_proxies() -> None:
    """Set the environment so that the Hugging Face libraries reach a mirror on this machine without a proxy."""
    if is_loopback(os.environ.get("HF_ENDPOINT", "")):
        os.environ.update(without_proxies_here(os.environ))
