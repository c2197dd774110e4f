"""The pages in a real browser: live update, keys, review, theme, hostile texts, a narrow screen, the file to mail.

Needs Chromium and playwright; skipped, and says why, where there is none. `make test-browser` installs both.
"""

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hostile_world
import pytest
import uvicorn
import view_world
from hostile_texts import HOSTILE

from questwell.recipes.reports.reviewing import ReviewState, reviews_by_seed
from questwell.store.pages import each_by_interest
from questwell.store.reader import RunReader
from questwell.store.records import WaveSeed
from questwell.store.run import RunStore
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType, Reason, Rejected, Seed
from questwell.view.access import Access
from questwell.view.app import make_app
from questwell.view.export import export_page
from questwell.view.site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page
playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: make test-browser installs it")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: make test-browser installs it where it is root"),
]


PLACES = "a[href], button, input:not([type=hidden]), select, textarea, summary"
SHOWN = "one.checkVisibility()"
CONTRAST = """(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const linear = (one) => one <= .04045 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4;
    const [r, g, b] = parts(colour).map((one) => linear(one / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if ((parts(colour)[3] ?? 1) > 0) return colour;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const poor = [];
  for (const one of document.querySelectorAll("body *")) {
    if (one.closest("svg, select, .skip") || !one.checkVisibility()) continue;
    if (![...one.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
    const pair = [light(getComputedStyle(one).color), light(ground(one))].sort((a, b) => b - a);
    const ratio = (pair[0] + .05) / (pair[1] + .05);
    if (ratio < 4.5) poor.push([one.tagName, one.className, ratio.toFixed(2)]);
  }
  return poor;
})()"""
"""Texts whose colour is less than 4.5 times as light, or as dark, as what is behind them (WCAG 2.2, AA)."""


@pytest.fixture(scope="module")
def runs(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    asyncio.run(view_world.generated(library, folder / "gen", seeds=12))
    view_world.selfplayed(folder / "play")
    hostile_world.build(library, folder)
    return folder


@pytest.fixture(scope="module")
def site(runs: Path) -> Iterator[str]:
    """The address of a real server."""
    own = socket.socket()
    own.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app(Site([runs], "ann"), Access()), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [own]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{own.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    own.close()


@pytest.fixture(scope="module")  # a session-wide one would break tests with an event loop of their own
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: object) -> Iterator["Page"]:
    context = browser.new_context()
    opened = context.new_page()
    opened.problems = []
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    yield opened
    context.close()


def test_keys_lead_through_a_filtered_list_and_back(site: str, page: "Page") -> None:
    page.goto(f"{site}/r/gen/items?state=accepted")
    names = page.locator("tr[data-row] a").all_inner_texts()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/items/{names[1]}?state=accepted")
    page.keyboard.press("j")
    page.wait_for_url(f"**/items/{names[2]}?state=accepted")
    page.keyboard.press("k")
    page.wait_for_url(f"**/items/{names[1]}?state=accepted")
    page.go_back()
    page.go_back()
    page.go_back()
    assert page.url.endswith("/items?state=accepted")
    page.keyboard.press("/")
    page.keyboard.type("number")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=number*")
    assert "state=accepted" in page.url
    assert page.problems == []


def test_a_deep_link_opens_the_attempt_and_a_question_can_be_copied(site: str, page: "Page", runs: Path) -> None:
    with RunReader(runs / "gen") as run:
        first = next(each_by_interest(run))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{site}/r/gen/items/{first.seed_id}#r0a0")
    assert page.locator("#r0a0").get_attribute("open") is not None
    page.locator(".question .copy").first.click()
    page.wait_for_function("document.querySelector('.question .copy').textContent === 'copied'")
    assert page.evaluate("navigator.clipboard.readText()").startswith("When did the bridge")
    assert page.locator("mark").count() > 0


def test_reviewing_by_keys_goes_on_to_the_next_item_and_a_stale_page_is_refused(
    site: str, page: "Page", runs: Path
) -> None:
    page.goto(f"{site}/r/gen/items?state=accepted")
    one, two, *_ = page.locator("tr[data-row] a").all_inner_texts()
    page.goto(f"{site}/r/gen/items/{one}?state=accepted")
    stale = page.context.new_page()
    stale.goto(page.url)
    page.keyboard.press("a")
    page.wait_for_url(f"**/items/{two}?state=accepted")
    page.keyboard.press("e")
    page.locator("textarea[name=question]").fill("Mended?")
    page.locator("button[value=edit]").click()
    page.wait_for_load_state()
    states = {seed: found.state for seed, found in reviews_by_seed(runs / "gen").items()}
    assert states == {one: ReviewState.ACCEPTED, two: ReviewState.EDITED}
    stale.locator("input[name=note]").fill("what I thought")
    with stale.expect_response(lambda answer: answer.request.method == "POST") as answered:
        stale.locator("button[value=reject]").click()
    assert answered.value.status == 409
    assert "what I thought" in stale.inner_text("main")
    assert page.problems == []


async def finish(folder: Path) -> None:
    seed = Seed(12, Passage("p", "T", "text", "d"), 2, AnswerType.DATE)
    with RunStore(folder) as store:
        await store.add_seeds([WaveSeed(seed, 1)])
        await store.finish(Rejected(seed, (), Reason.NO_PROPOSAL, "came while you looked"), None)


def test_a_page_follows_a_run_that_goes_on(site: str, page: "Page", runs: Path) -> None:
    page.goto(f"{site}/r/gen/items?state=no_proposal")
    assert "came while you looked" not in page.inner_text("main")
    worker = threading.Thread(target=asyncio.run, args=(finish(runs / "gen"),))
    worker.start()
    worker.join()
    page.wait_for_selector("text=came while you looked", timeout=15_000)
    assert page.problems == []


def test_the_theme_stays_and_a_narrow_screen_does_not_scroll_sideways(site: str, page: "Page") -> None:
    page.emulate_media(color_scheme="light")
    page.goto(f"{site}/r/gen/")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("[data-theme-switch]").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    page.set_viewport_size({"width": 375, "height": 800})
    for address in ("/", "/r/gen/", "/r/gen/items", "/r/gen/items/s00000", "/r/gen/cost", "/s/play/", "/s/play/1/0"):
        page.goto(site + address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, address


def test_every_place_is_reached_by_keyboard_and_seen(site: str, page: "Page") -> None:
    for address in (
        "/",
        "/r/gen/",
        "/r/gen/items",
        "/r/gen/items/s00001",
        "/r/gen/cost",
        "/r/gen/gates",
        "/s/play/1/0",
    ):
        page.goto(site + address)
        page.evaluate("delete document.body.dataset.live")
        wanted = page.evaluate(f"[...document.querySelectorAll({PLACES!r})].filter((one) => {SHOWN}).length")
        reached: set[int] = set()
        for _ in range(wanted + 20):  # a box that scrolls takes a stop too
            page.keyboard.press("Tab")
            at, outline = page.evaluate(
                f"""(() => {{ const one = document.activeElement;
                  return [[...document.querySelectorAll({PLACES!r})].filter((one) => {SHOWN}).indexOf(one),
                          getComputedStyle(one).outlineStyle]; }})()"""
            )
            if at >= 0:
                reached.add(at)
                assert outline != "none", (address, at)
        assert reached == set(range(wanted)), address


def test_a_page_that_is_renewed_keeps_the_focus(site: str, page: "Page") -> None:
    page.goto(f"{site}/r/gen/items")
    page.keyboard.press("j")
    page.keyboard.press("j")
    name = page.evaluate("document.activeElement.textContent")
    page.wait_for_selector(
        "body[data-fresh]", state="attached", timeout=15_000
    )  # the first look puts the page in again
    assert page.evaluate("document.activeElement.textContent") == name
    assert page.locator("tr.on a").inner_text() == name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(site: str, page: "Page", scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    for address in (
        "/",
        "/r/gen/",
        "/r/gen/items",
        "/r/gen/items/s00001",
        "/r/gen/cost",
        "/r/gen/coverage",
        "/s/play/",
    ):
        page.goto(site + address)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate(CONTRAST) == [], (scheme, address)


def test_nothing_that_a_run_holds_runs(site: str, page: "Page") -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    assert len(set(HOSTILE)) == 60
    for address in hostile_world.addresses(all_slots=False):
        assert page.goto(site + address).status == (400 if "metric=" in address else 200), address
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate("window.hit") is None, address
        assert page.url == site + address, page.url
    assert all(url.startswith((site, "data:")) for url in asked)
    assert page.problems == []


def test_another_site_cannot_write_and_another_name_cannot_read(site: str, page: "Page", runs: Path) -> None:
    before = {seed: len(found.entries) for seed, found in reviews_by_seed(runs / "gen").items()}
    form = f"<form method=post action='{site}/r/gen/items/s00000/review'><input name=decision value=accept></form>"
    page.route("http://evil.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto("http://evil.example/")
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        page.evaluate("document.forms[0].submit()")
    assert answered.value.status == 403
    assert {seed: len(found.entries) for seed, found in reviews_by_seed(runs / "gen").items()} == before
    port = site.rpartition(":")[2]
    assert page.request.get(site, headers={"Host": f"evil.example:{port}"}).status == 400


@pytest.mark.parametrize("name", ["gen", "run<b>"])
def test_the_file_to_mail_opens_from_the_disk(page: "Page", runs: Path, tmp_path: Path, name: str) -> None:
    written = export_page(Site([runs], ""), name, tmp_path / "run.html")
    assert written.left_out == 0
    text = (tmp_path / "run.html").read_text()
    assert str(runs) not in text
    assert "localhost:1" not in text
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "run.html").as_uri())
    names = page.locator("tr[data-row] a").all_inner_texts()
    assert len(names) == written.items
    for seed in names[:10]:
        page.locator(f"tr[data-row] a[href='#{seed}']").click()
        page.wait_for_selector(f"#item h1:has-text('{seed}')")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate("window.hit") is None
        page.go_back()
    page.locator("#filter").fill("nothing has these words")
    assert page.locator("tr[data-row]:visible").count() == 0
    assert all(url.startswith("file:") for url in asked)
    assert page.problems == []


def test_what_does_not_fit_is_left_out_and_said(runs: Path, tmp_path: Path) -> None:
    small = export_page(Site([runs], ""), "gen", tmp_path / "small.html", most_bytes=206_000)
    assert small.left_out > 0
    assert "items are left out" in (tmp_path / "small.html").read_text()
    one = export_page(Site([runs], ""), "gen", tmp_path / "one.html", ["s00001"])
    assert one.items == 1
