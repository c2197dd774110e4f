import asyncio

import pytest

from questwell.retrieval.conftest import serper, tavily
from questwell.retrieval.remote.pages import PageOptions, PageRefusedError, Pages, is_public

Told = dict


def page(paragraphs):
    return f"<html><head><title>T</title></head><body><article>{''.join(paragraphs)}</article></body></html>".encode()


FILLER = [f"<p>{'This paragraph talks of nothing in particular and goes on for a while. ' * 8}</p>"] * 6
FACT = "<p>The samovar of Tula was first made by the Lisitsyn brothers in their workshop by the river.</p>"
HTML = {"headers": {"content-type": "text/html; charset=utf-8"}}


def here(api, **more):
    port = int(api.url.rsplit(":", 1)[1])
    return PageOptions(allowed=lambda address: address == "127.0.0.1", ports=frozenset({port}), **more)


async def test_page_text_is_the_part_that_fits_the_query(api, opened):
    web = opened("google", pages=True, page=here(api))
    rows = [(f"{api.url}/page", "Tula", "a snippet"), (f"{api.url}/gone", "Gone", "another snippet")]
    api.sends(serper(rows=rows)).sends(page([*FILLER, FACT, *FILLER]), **HTML).sends(b"", 404)
    found = {hit.passage.title: hit.passage.text for hit in await web.search("who made the samovar of Tula", 2)}
    texts = set(found.values())
    assert any("Lisitsyn brothers" in text for text in texts)
    assert found["Gone"] == "another snippet" or found["Tula"] == "a snippet"
    assert all(len(text) <= 1500 for text in texts)
    count = len(api.asked)
    assert {hit.passage.text for hit in await web.search("who made the samovar of Tula", 2)} >= {
        text for text in texts if "Lisitsyn" in text
    }
    assert len(api.asked) - count <= 1  # the page that was had is kept


async def test_only_pages_of_hits_are_fetched(api, opened):
    web = opened("google", pages=True, page=here(api))
    rows = [(f"{api.url}/{number}", f"T{number}", "a snippet") for number in range(6)]
    api.sends(serper(rows=rows)).sends(page(FILLER), **HTML)
    assert [hit.passage.title for hit in await web.search("tea", 2)] == ["T0", "T1"]
    assert {asked.path for asked in api.asked} == {"/search", "/0", "/1"}


async def test_tavily_gives_page_text_itself(api, opened):
    body = tavily()
    body["results"][0]["raw_content"] = "Long page. " * 300 + "Samovars come from Tula."
    api.sends(body)
    hits = await opened("tavily", pages=True, page=here(api)).search("Samovars Tula", 1)
    assert "Samovars come from Tula." in hits[0].passage.text
    assert api.asked[0].body["include_raw_content"] == "text"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Told(body=b"%PDF", headers={"content-type": "application/pdf"}), "content type"),
        (Told(body=b"x" * 5000, headers={"content-type": "text/plain"}), "more than 4000 bytes"),
        (Told(body=b"", **HTML), "no text|no text could be read"),
        (Told(body=b"<html></html>", **HTML), "no text"),
        (Told(status=500, body=b""), "status 500"),
        (Told(status=302, body=b"", headers={"location": "/again"}), "redirects"),
        (Told(status=302, body=b"", headers={"location": "http://169.254.169.254/latest/meta-data"}), "port|public"),
        (Told(status=302, body=b"", headers={"location": "file:///etc/passwd"}), "scheme"),
        (Told(body=b"x" * 100, headers={"content-type": "text/plain"}, cut_after=10), "Error"),
    ],
)
async def test_what_is_no_page(api, answer, says):
    pages = Pages(here(api, most_bytes=4000))
    api.sends(**answer)
    with pytest.raises(PageRefusedError, match=says):
        await pages.text(f"{api.url}/x")
    assert len(api.asked) <= 4
    await pages.aclose()


async def test_a_slow_page_is_given_up(api):
    pages = Pages(here(api, timeout_s=0.2))
    api.hangs()
    with pytest.raises(PageRefusedError, match=r"within 0\.2 s|Timeout"):
        await pages.text(f"{api.url}/x")
    await pages.aclose()


async def test_plain_text_and_a_redirect_within_limits(api):
    pages = Pages(here(api))
    api.sends(b"", 301, headers={"location": "/there"}).sends(b"plain\x00 text", headers={"content-type": "text/plain"})
    assert await pages.text(f"{api.url}/here") == "plain  text"
    assert [asked.path for asked in api.asked] == ["/here", "/there"]
    assert api.asked[1].headers["host"] == api.url.removeprefix("http://")
    await pages.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "http://0/",
        "http://0x7f.1/",
        "https://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://127.0.0.1:8080/",
        "http://8.8.8.8:22/",
        "ftp://8.8.8.8/",
        "http:///x",
        "http://user@127.0.0.1/",
    ],
)
async def test_addresses_that_are_not_public_are_never_connected_to(url, monkeypatch):
    pages = Pages(PageOptions(timeout_s=2.0))

    def never(*_, **__):
        raise AssertionError("connected")

    monkeypatch.setattr(pages._http, "send", never)
    with pytest.raises(PageRefusedError):
        await pages.text(url)
    await pages.aclose()


async def test_a_name_that_changes_its_address_is_connected_to_where_it_was_checked(api, monkeypatch):
    pages = Pages(here(api))
    loop = asyncio.get_running_loop()
    port = int(api.url.rsplit(":", 1)[1])
    answers = iter(["127.0.0.1", "10.0.0.1"])

    async def rebinding(host, *_, **__):
        assert host == "rebind.example"
        return [(2, 1, 6, "", (next(answers), port))]

    monkeypatch.setattr(loop, "getaddrinfo", rebinding)
    connected = []
    real = pages._http.send

    async def send(request, **more):
        connected.append((request.url.host, request.headers["host"], request.extensions["sni_hostname"]))
        return await real(request, **more)

    monkeypatch.setattr(pages._http, "send", send)
    api.sends(b"fine", headers={"content-type": "text/plain"})
    await _text_or_refused(pages, f"http://rebind.example:{port}/")
    assert connected == [("127.0.0.1", f"rebind.example:{port}", "rebind.example")]
    await pages.aclose()


async def _text_or_refused(pages, url):
    try:
        return await pages.text(url)
    except PageRefusedError:
        return None


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"])
def test_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.1.1", "172.16.0.1", "192.168.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
     "2002:7f00:1::"],
)  # fmt: skip
def test_not_public(address):
    assert not is_public(address)
