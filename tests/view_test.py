"""The pages: every address answers, what a run holds is inert in them, and only who may write writes."""

import re
import threading
from collections import deque
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import hostile_world
import pytest
import view_world
import world
from hostile_texts import HOSTILE
from starlette.testclient import TestClient

from questwell.errors import ConfigError, StoreError
from questwell.recipes.generate.gates_results import FOLDER, Checked, keep_results
from questwell.recipes.reports.reviewing import ReviewState, agreements, reviews_by_seed
from questwell.recipes.reports.runs import find_runs, is_live
from questwell.recipes.reports.story import story
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.store.run import RunStore
from questwell.types.gates import Gate, GateOutcome, GateResult
from questwell.types.review import pair_digest
from questwell.view.access import CSP, Access
from questwell.view.app import ADDRESSES, make_app
from questwell.view.markup import attribute, boxed, marked, raw, word_diff
from questwell.view.serve import serve
from questwell.view.site import Site

ROOT = Path(__file__).parent.parent
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]")
SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def runs(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every kind in one folder."""
    import asyncio

    import evaluation_world

    folder = tmp_path_factory.mktemp("runs")
    asyncio.run(view_world.generated(library, folder / "gen", gates="evidence"))
    bench = evaluation_world.write_questions(folder / "bench.jsonl", 8)
    asyncio.run(view_world.evaluated(library, folder / "ev one", bench))
    asyncio.run(view_world.evaluated(library, folder / "ev2", bench, attempts=2, temperature=1.0))
    view_world.trained(folder / "tr")
    view_world.selfplayed(folder / "sp")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))


def client(folder: Path, **access: object) -> TestClient:
    site = Site([folder], "ann")
    return TestClient(make_app(site, Access(page_token="page", **access)), base_url="http://localhost:8642")


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value for name, value in attrs if name in ("href", "src", "action") and value}


def links(html: str) -> set[str]:
    parser = Links()
    parser.feed(html)
    return parser.found


def test_following_every_link_from_the_first_page_meets_every_address_and_no_error(runs: Path) -> None:
    pages = client(runs)
    todo, seen = deque(["/"]), set[str]()
    while todo:
        address = todo.popleft()
        if address in seen or len(seen) > 250:
            continue
        seen.add(address)
        answer = pages.get(address)
        assert answer.status_code == 200 or "/review" in address, address  # a form posts there
        assert answer.headers["content-security-policy"] == CSP
        if answer.headers["content-type"].startswith("text/html"):
            found = links(answer.text)
            assert all(link.startswith("/") or link in ("data:,", "#main") for link in found), found
            todo += [link.split("#")[0] for link in found if link.startswith("/")]
    for address in ADDRESSES:
        assert any(re.fullmatch(pattern_of(address.path), one) for one in seen), (address.path, sorted(seen)[:5])


def pattern_of(path: str) -> str:
    """What the addresses of a page look like."""
    return re.sub(r"\\{[^}]+\\}", "[^/?]+", re.escape(path)) + r"(\?.*)?"


def test_every_address_is_documented() -> None:
    written = (ROOT / "docs" / "view.md").read_text(encoding="utf-8")
    for address in ["/", "/static/{name}", "/r/{run}/items/{item}/review", *(one.path for one in ADDRESSES)]:
        assert f"`{address.replace(':path', '')}`" in written, address


def test_filters_are_in_the_address_and_previous_and_next_keep_them(runs: Path) -> None:
    pages = client(runs)
    with RunReader(runs / "gen") as run:
        easy = [known for known in run.plays() if known.reason and known.reason.value == "too_easy"]
    shown = re.findall(r">(s\d{8})</a>", pages.get("/r/gen/items?state=too_easy").text)
    assert shown == [known.seed_id for known in easy]
    item = pages.get(f"/r/gen/items/{shown[1]}?state=too_easy").text
    assert f'rel="prev" href="/r/gen/items/{shown[0]}?state=too_easy"' in item
    assert f'rel="next" href="/r/gen/items/{shown[2]}?state=too_easy"' in item
    assert "s00000003</a>" in pages.get("/r/gen/items?q=number").text or shown
    assert pages.get("/r/gen/items?state=nonsense").status_code == 400
    assert pages.get("/r/gen/items?target=2x").status_code == 400
    assert pages.get("/r/gen/items?after=-1").status_code == 404


def test_words_are_found(runs: Path) -> None:
    with RunReader(runs / "gen") as run:
        known = next(one for one in run.plays() if one.status is PlayStatus.ACCEPTED)
    number = re.findall(r"number (\d+)", known.question or "")[0]
    found = client(runs).get(f"/r/gen/items?q=bridge+number+{number}+open").text
    assert known.seed_id in found


def test_what_has_not_changed_is_not_sent_again(runs: Path, library: Path, tmp_path: Path) -> None:
    pages = client(runs)
    first = pages.get("/r/gen/", headers={"x-fragment": "1"})
    assert "<html" not in first.text
    assert "Funnel" in first.text
    tag = {"x-fragment": "1", "if-none-match": first.headers["etag"]}
    assert pages.get("/r/gen/", headers=tag).status_code == 304
    assert pages.get("/r/gen/items", headers=tag).status_code == 200
    with RunStore(runs / "gen"):
        assert is_live(runs / "gen")
        assert pages.get("/r/gen/", headers=tag).status_code == 200
        assert "being written" in pages.get("/r/gen/").text
    assert not is_live(runs / "gen")


def test_an_item_shows_its_certificate_and_what_gates_found_later(reviewed: Path) -> None:
    pages = client(reviewed)
    one, two, *_ = accepted(reviewed)
    before = pages.get(f"/r/own/items/{one}")
    assert cells(before.text)["Solved"] == "4 of 4 (51 to 100 %), needs at least 3 searches"
    assert cells(before.text)["Not checked"].startswith("closed-book, evidence, shortcut, unique, ")
    assert not {"Without any passage", "Check unique", "Asks for"} & set(cells(before.text))
    assert 'id="later"' not in pages.get("/r/own/gates").text
    with RunReader(reviewed) as run:
        other = next(known.seed_id for known in run.plays() if known.status is PlayStatus.REJECTED)
    assert cells(pages.get(f"/r/own/items/{other}").text) == {}

    told = story(reviewed, one).play
    found = (
        GateResult(Gate.CLOSED_BOOK, GateOutcome.PASSED, "never said", 1, 4),
        GateResult(Gate.UNIQUE, GateOutcome.FAILED, "also <b>Ada</b>"),
    )
    same = Checked(one, True, told.question or "", told.answer or "", found)
    keep_results(reviewed / FOLDER, [same, Checked(two, True, "another question", "1800", found[1:])])
    after = pages.get(f"/r/own/items/{one}", headers={"if-none-match": before.headers["etag"]})
    assert after.status_code == 200
    assert cells(after.text)["Check unique"] == "failed: also &lt;b&gt;Ada&lt;/b&gt;"
    assert cells(after.text)["Without any passage"].startswith("1 of 4 (")
    assert cells(after.text)["Not checked"].startswith("evidence, shortcut, single-document, ")
    assert "Check unique" not in cells(pages.get(f"/r/own/items/{two}").text)
    later = pages.get("/r/own/gates").text.partition('id="later"')[2]
    rows = re.findall(r"<tr><td>(\S+)</td>((?:<td class=\"n\">\d+</td>)+)", later)
    counts = {gate: [int(number) for number in re.findall(r">(\d+)<", row)] for gate, row in rows}
    assert counts == {"closed-book": [1, 0, 0, 0], "unique": [0, 2, 0, 0]}


def cells(html: str) -> dict[str, str]:
    """The certificate of an item's page: value by name."""
    block = html.partition('<section id="certificate">')[2].partition("</section>")[0]
    return dict(re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>", block, re.DOTALL))


def post(pages: TestClient, folder: Path, seed: str, headers: dict[str, str] | None = None, **form: str) -> object:
    told = story(folder, seed)
    newest = reviews_by_seed(folder).get(told.id)
    fields = {
        "token": "page",
        "digest": pair_digest(told.play.question or "", told.play.answer or ""),
        "supersedes": str(newest.newest if newest else 0),
        "reviewer": "ann",
        "question": told.play.question or "",
        "answer": told.play.answer or "",
        **form,
    }
    where = f"/r/{folder.name}/items/{told.id}/review?state=accepted"
    return pages.post(where, content=urlencode(fields), headers=headers or SAME, follow_redirects=False)


@pytest.fixture
def reviewed(library: Path, tmp_path: Path) -> Path:
    import asyncio

    asyncio.run(view_world.generated(library, tmp_path / "own"))
    return tmp_path / "own"


def accepted(folder: Path) -> list[str]:
    with RunReader(folder) as run:
        return [known.seed_id for known in run.plays() if known.status is PlayStatus.ACCEPTED]


def test_reviews_are_kept_filtered_and_lead_on(reviewed: Path) -> None:
    pages = client(reviewed)
    one, two, three, *_ = accepted(reviewed)
    answer = post(pages, reviewed, one, decision="accept", then=two, note="good")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/r/own/items/{two}?state=accepted"
    assert post(pages, reviewed, two, decision="reject").headers["location"].endswith("#review")
    assert post(pages, reviewed, three, decision="edit", question="When, then?").status_code == 303
    states = {seed: found.state for seed, found in reviews_by_seed(reviewed).items()}
    assert states == {one: ReviewState.ACCEPTED, two: ReviewState.REJECTED, three: ReviewState.EDITED}
    for seed, state in states.items():
        assert re.findall(r">(s\d{8})</a>", pages.get(f"/r/own/items?review={state.value}").text) == [seed]
    rest = re.findall(r">(s\d{8})</a>", pages.get("/r/own/items?review=unreviewed&state=accepted").text)
    assert rest == accepted(reviewed)[3:]
    assert (
        f'data-fresh href="/r/own/items/{rest[0]}?state=accepted"'
        in pages.get(f"/r/own/items/{one}?state=accepted").text
    )
    assert post(pages, reviewed, two, decision="clear").status_code == 303
    assert reviews_by_seed(reviewed)[two].state is ReviewState.NONE
    post(pages, reviewed, one, decision="note", note="a word")
    assert reviews_by_seed(reviewed)[one].state is ReviewState.ACCEPTED
    assert [entry.note for entry in reviews_by_seed(reviewed)[one].entries] == ["good", "a word"]


def test_who_decides_on_what_has_changed_is_refused_and_keeps_what_was_written(reviewed: Path) -> None:
    pages = client(reviewed)
    one = accepted(reviewed)[0]
    assert post(pages, reviewed, one, decision="accept", supersedes="0").status_code == 303
    late = post(pages, reviewed, one, decision="reject", supersedes="0", reviewer="bob", note="my long thoughts")
    assert late.status_code == 409
    assert "my long thoughts" in late.text
    assert post(pages, reviewed, one, decision="reject", digest="other").status_code == 409
    assert reviews_by_seed(reviewed)[one].state is ReviewState.ACCEPTED


def test_what_is_no_review_is_refused(reviewed: Path) -> None:
    pages = client(reviewed)
    one = accepted(reviewed)[0]
    for wrong in (
        {"decision": "edit"},
        {"decision": "edit", "question": " "},
        {"decision": "note"},
        {"decision": "accept", "reviewer": " "},
    ):
        assert post(pages, reviewed, one, **wrong).status_code == 400, wrong
    assert post(pages, reviewed, one, decision="burn").status_code == 404
    assert post(pages, reviewed, one, decision="note", note="x" * 300_000).status_code == 413
    assert reviews_by_seed(reviewed) == {}


def test_two_reviewers_and_how_far_they_agree(reviewed: Path) -> None:
    pages = client(reviewed)
    said = {"ann": "araa", "bob": "arra"}
    for name, decisions in said.items():
        for seed, decision in zip(accepted(reviewed), decisions, strict=False):
            words = {"a": "accept", "r": "reject"}
            assert post(pages, reviewed, seed, decision=words[decision], reviewer=name).status_code == 303
    (found,) = agreements(reviewed)
    assert (found.first, found.second, found.items, found.agreed) == ("ann", "bob", 4, 0.75)
    assert found.kappa == pytest.approx(0.5)
    assert "ann, bob" in pages.get("/r/own/items").text


def test_a_page_of_somebody_else_cannot_write(reviewed: Path) -> None:
    pages = client(reviewed)
    one = accepted(reviewed)[0]
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"x": "y"},
    ):
        assert post(pages, reviewed, one, headers, decision="accept").status_code == 403, headers
    assert post(pages, reviewed, one, decision="accept", token="guess").status_code == 403
    assert reviews_by_seed(reviewed) == {}
    own = {"origin": "http://localhost:8642"}
    assert post(pages, reviewed, one, own, decision="accept").status_code == 303


def test_another_name_of_this_server_is_refused(runs: Path) -> None:
    pages = client(runs)
    for host in ("evil.example", "evil.example:8642", "localhost.evil.example", "", "[::2]:1"):
        assert pages.get("/", headers={"host": host}).status_code == 400, host
    for host in ("localhost", "127.0.0.1:9", "[::1]:9"):
        assert pages.get("/", headers={"host": host}).status_code == 200, host


def test_a_token_is_asked_for_once_and_leaves_the_address(runs: Path) -> None:
    pages = client(runs, token="secret")
    assert pages.get("/").status_code == 401
    assert pages.get("/?token=wrong").status_code == 401
    assert pages.get("/r/gen/items/s00000", headers={"cookie": "questwell_view=wrong"}).status_code == 401
    first = pages.get("/?token=secret", follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert "HttpOnly" in first.headers["set-cookie"]
    assert pages.get("/").status_code == 200  # the cookie


def test_other_machines_need_a_token(runs: Path) -> None:
    with pytest.raises(ConfigError, match="--token"):
        serve(Site([runs], "ann"), host="0.0.0.0")


def test_hostile_runs_are_inert_in_every_page(library: Path, tmp_path: Path) -> None:
    assert len(set(HOSTILE)) == 60
    hostile_world.build(library, tmp_path)
    pages = client(tmp_path)
    kinds = set[str]()
    for address in hostile_world.addresses():
        answer = pages.get(address)
        bad_metric = "metric=" in address
        assert answer.status_code == (400 if bad_metric else 200), (address, answer.text)
        check = Tags()
        check.feed(answer.text)
        assert not check.bad, (address, check.bad)
        assert not HIDDEN.search(visible(answer.text)), address
        kinds |= {one.path for one in ADDRESSES if re.fullmatch(pattern_of(one.path), address)}
    assert kinds == {one.path for one in ADDRESSES}
    for address in hostile_world.addresses()[:6]:
        for query in ("?q=%3Cscript%3Ealert%3C/script%3E", "?state=%22%3E%3Cscript%3E"):
            assert "<script>" not in pages.get(address.partition("?")[0] + query).text


def visible(html: str) -> str:
    """Without the fields that are sent back, which hold a text as it is."""
    return re.sub(r"<textarea.*?</textarea>|<input[^>]*>", "", html, flags=re.DOTALL)


OWN = re.compile(
    "html|head|meta|title|link|script|body|header|a|span|button|main|footer|h[123]|div|p|b|small|nav|form|label|select|"
    "option|input|textarea|table|thead|tbody|tr|th|td|details|summary|section|pre|q|ol|li|mark|ins|del|code|figure|"
    "figcaption|svg|g|text|rect|line|path|circle"
)
"""Elements that our templates and pictures have."""


class Tags(HTMLParser):
    """Elements and attributes that no template of ours has."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if not OWN.fullmatch(tag) or any(name.startswith("on") or name == "style" for name in names):
            self.bad.append((tag, attrs))
        for key in ("href", "src", "action"):
            if key in names and not re.match(r"/(?!/)|#|data:,$", names[key] or ""):
                self.bad.append((tag, attrs))
        if tag == "script" and names.get("src") != "/static/app.js":
            self.bad.append((tag, attrs))
        linked = tag == "link" and names.get("rel") not in ("stylesheet", "icon")
        if linked or (tag == "meta" and "http-equiv" in names):
            self.bad.append((tag, attrs))


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_is_inert_wherever_a_text_stands(text: str) -> None:
    for html in (boxed(text), marked(f"x {text} y", ["y", text]), word_diff(f"old {text}", f"{text} new")):
        assert "<script" not in html
        assert "<img" not in html
        assert set(re.findall(r"<(/?\w+)", html)) <= {
            f"{end}{tag}" for tag in ("b", "mark", "ins", "del") for end in ("", "/")
        }
    for value in (attribute(text), raw(text)):
        assert not re.search(r"[<>\"']", value)


def test_what_cannot_be_seen_stands_in_a_box() -> None:
    assert boxed("a\u202eb\n\tc") == "a<b class=u>U+202E</b>b\n\tc"
    assert marked("In the\nyear 1800, not 18001.", ["the year 1800"]) == "In <mark>the\nyear 1800</mark>, not 18001."
    assert word_diff("a b c", "a x c") == "a <del>b</del> <ins>x</ins> c"


def test_runs_are_found_in_folders_and_a_folder_without_any_is_an_error(runs: Path, tmp_path: Path) -> None:
    kinds = {found.name: found.kind.value for found in find_runs([runs])}
    assert kinds == {"gen": "generate", "ev one": "evaluate", "ev2": "evaluate", "tr": "train", "sp": "selfplay"}
    assert [found.name for found in find_runs([runs / "gen", runs / "gen"])] == ["gen"]
    with pytest.raises(StoreError, match="no run"):
        find_runs([tmp_path / "nothing"])


def test_comparing_says_what_was_gained_and_lost(runs: Path) -> None:
    pages = client(runs)
    text = pages.get("/compare?a=ev+one&b=ev2").text
    assert "ev one" in text
    assert "p (Holm)" in text
    assert pages.get("/compare?a=ev+one&b=ev2&metric=none").status_code == 400
    assert pages.get("/compare?a=gen&b=ev2").status_code == 404


def test_reading_pages_leaves_the_log_free_to_be_folded(runs: Path, library: Path) -> None:
    pages = client(runs)
    threads = [threading.Thread(target=pages.get, args=("/r/gen/items/s00001",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with RunStore(runs / "gen") as store:
        ((busy, *_),) = store.read.rows("PRAGMA wal_checkpoint(PASSIVE)")
        assert busy == 0
    assert world.BRIDGES
