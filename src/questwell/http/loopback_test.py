"""Which addresses are this machine's own, and that whoever reads `no_proxy` asks them directly."""

import urllib.request

import pytest

from questwell.http import loopback


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:8000/x", True),
        ("http://mirror.localhost", True),
        ("http://127.0.0.9", True),
        ("http://[::1]:80/", True),
        ("http://128.0.0.1", False),
        ("http://localhost.example", False),
        ("http://[", False),
    ],
)
def test_loopback(url, here):
    assert loopback.is_loopback(url) is here


@pytest.mark.parametrize("given", ["", "corp.example, 10.0.0.1"])
def test_this_machine_is_added_to_what_is_asked_directly(monkeypatch, given):
    monkeypatch.setenv("no_proxy", given)
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    for name, value in loopback.without_proxies_here({"NO_PROXY": given}).items():
        monkeypatch.setenv(name, value)
    for host in ("localhost", "127.0.0.1", *filter(None, map(str.strip, given.split(",")))):
        assert urllib.request.proxy_bypass(host)
    assert not urllib.request.proxy_bypass("models.example")


def test_nobody_asks_a_proxy_where_none_is_to_be_asked():
    assert loopback.without_proxies_here({"no_proxy": "*"}) == {}


@pytest.mark.parametrize(("endpoint", "bypassed"), [("http://127.0.0.1:1", True), ("https://mirror.example", False)])
def test_the_hubs_libraries_ask_a_mirror_on_this_machine_directly(monkeypatch, endpoint, bypassed):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    loopback.let_hub_libraries_pass_proxies()
    assert bool(urllib.request.proxy_bypass("127.0.0.1")) is bypassed
