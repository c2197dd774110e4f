"""Pages of a generate run: overview, items, one item with its review, calls, cost and gates."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from urllib.parse import quote, urlencode

from questwell.errors import ReviewConflict
from questwell.recipes.reports import charts
from questwell.recipes.reports.browse import (
    Items,
    Overview,
    Wanted,
    calls_per_second,
    cost_per_item,
    overview,
)
from questwell.recipes.reports.charts import PASSED
from questwell.recipes.reports.coverage import coverage
from questwell.recipes.reports.funnel import ADVICE
from questwell.recipes.reports.gates import gate_rows
from questwell.recipes.reports.label_shares import LabelShares, saved
from questwell.recipes.reports.rechecked import recheck_of
from questwell.recipes.reports.reviewing import Reviewed, ReviewState, agreements, review
from questwell.recipes.reports.runs import FoundRun, is_live
from questwell.recipes.reports.story import Story, find, story
from questwell.recipes.runs.description import config_of
from questwell.store.rawcalls import calls_of, raw_call
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.types.game import Reason
from questwell.types.gates import GateOutcome
from questwell.types.review import Decision, pair_digest
from questwell.view.page import Missing, Page, Shown
from questwell.view.site import Site

MOST_SHOWN = 200_000
"""Maximum length in characters of a request or response on a page; longer ones are downloads."""
_FILTERS = ("state", "target", "difficulty", "review", "q")


def overview_page(site: Site, page: Page) -> Shown:
    """Return the overview page: funnel, difficulty, the paper's table, pace, errors and config."""
    found = _run(site, page)
    stands = overview(found.folder)
    return Shown(
        "overview.html",
        {"run": found, **overview_values(stands, saved(found.folder)), "live": True, "writing": is_live(found.folder)},
    )


def overview_values(stands: Overview, labels: LabelShares | None) -> dict[str, object]:
    """Return the template values of the overview, also used by the exported file."""
    status = stands.status
    name = "this run"
    with_counts = charts.wanted_and_got(status.counts)
    unit, course = cost_per_item(stands)
    return {
        "stands": stands,
        "status": status,
        "advice": ADVICE,
        "labels": labels,
        "charts": [
            charts.funnel([(name, status.funnel)]),
            charts.difficulty([("", *with_counts)]),
            charts.pass_rates([(PASSED, status.intrinsic)]),
            *([charts.strategies(labels.strategies)] if labels else []),
            *([charts.over_time("Spent per accepted item so far", unit, course)] if course else []),
            *([charts.over_time("Model calls per second", "calls per second", calls_per_second(stands))]),
        ],
        "config": config_of(status.info),
    }


def items_page(site: Site, page: Page) -> Shown:
    """Return the page with the filtered list of items."""
    found = _run(site, page)
    wanted = _wanted(page)
    words, complete = site.words(found) if wanted.q.strip() else (None, True)
    try:
        with RunReader(found.folder) as run, run.snapshot():
            items = Items(found.folder, run, wanted, words)
            before = page.query.get("before")
            after = page.query.get("after")
            shown = items.page(
                after=page.number("after", after) if after else -1,
                before=page.number("before", before) if before else None,
            )
            targets = sorted({count.target for count in run.play_counts() if count.target is not None})
    finally:
        if words is not None:
            words.close()
    return Shown(
        "items.html",
        {
            "run": found,
            "wanted": asdict(wanted),
            "shown": shown,
            "targets": targets,
            "states": [*PlayStatus, *Reason],
            "reviews": list(ReviewState),
            "agreements": agreements(found.folder),
            "complete": complete,
            "live": True,
        },
    )


def item_page(site: Site, page: Page) -> Shown:
    """Return the page of one item, with its review form."""
    found = _run(site, page)
    wanted = _wanted(page)
    told = story(found.folder, page.path["item"])
    words = site.words(found)[0] if wanted.q.strip() else None
    try:
        with RunReader(found.folder) as run, run.snapshot():
            items = Items(found.folder, run, wanted, words)
            before, after = items.neighbours(told.play.index)
            fresh = items.next_unreviewed(told.play.index)
            reviewed = items.reviewed(told.play)
    finally:
        if words is not None:
            words.close()
    return Shown(
        "item.html",
        {
            "run": found,
            "wanted": asdict(wanted),
            **item_values(found, told, reviewed),
            "before": before,
            "after": after,
            "fresh": fresh,
            "reviewed": reviewed,
            "digest": pair_digest(told.play.question or "", told.play.answer or ""),
            "live": told.play.status is PlayStatus.PENDING,
        },
    )


def item_values(found: FoundRun, told: Story, reviewed: Reviewed) -> dict[str, object]:
    """Return the template values of an item's page, also used by the exported file."""
    edited = reviewed.decision if reviewed.state is ReviewState.EDITED else None
    return {
        "story": told,
        "answers": [[one.answer, *one.aliases] for one in told.rounds],  # texts to highlight in the passages, by round
        "edited": edited,
        "again": recheck_of(found.folder, edited) if edited is not None else None,
    }


def calls_page(site: Site, page: Page) -> Shown:
    """Return the page of an item's calls, or of one `call` with request and response; a long one is a download."""
    found = _run(site, page)
    with RunReader(found.folder) as run, run.snapshot():
        name = find(run, page.path["item"]).seed_id
        number = page.query.get("call")
        if number is None:
            return Shown("calls.html", {"run": found, "item": name, "calls": calls_of(run, name), "raw": None})
        made = raw_call(run, name, page.number("call", number))
    parts = {"request": _pretty(made.request), "response": _pretty(made.response)}
    part = page.query.get("part")
    if part in parts:
        headers = {"content-disposition": f'attachment; filename="call-{made.row.id}-{part}.json"'}
        return Shown("", {}, text=parts[part], headers=headers)
    sizes = {name: len(text) for name, text in parts.items()}
    shown = {name: text for name, text in parts.items() if len(text) <= MOST_SHOWN}
    raw = {"row": made.row, "parts": shown, "sizes": sizes}
    return Shown("calls.html", {"run": found, "item": name, "calls": [], "raw": raw})


def cost_page(site: Site, page: Page) -> Shown:
    """Return the page with calls, tokens and cost by role, model and round, and the failed calls."""
    found = _run(site, page)
    stands = overview(found.folder)
    with RunReader(found.folder) as run, run.snapshot():
        rows = run.call_counts()
    unit, course = cost_per_item(stands)
    drawn = [charts.over_time("Spent per accepted item so far", unit, course)] if course else []
    return Shown("cost.html", {"run": found, "stands": stands, "rows": rows, "charts": drawn, "live": True})


def coverage_page(site: Site, page: Page) -> Shown:
    """Return the page with documents, distances and topics of the accepted items, or of a sample."""
    found = _run(site, page)
    covered = coverage(found.folder)
    drawn = [charts.documents([("items", covered)])] if covered.most_used else []
    drawn += [charts.topics("items", covered)] if covered.topics else []
    return Shown("coverage.html", {"run": found, "covered": covered, "charts": drawn, "live": True})


def gates_page(site: Site, page: Page) -> Shown:
    """Return the page of gate results, with links to the rejected items."""
    found = _run(site, page)
    rows = gate_rows(found.folder)
    return Shown("gates.html", {"run": found, "rows": rows, "outcomes": list(GateOutcome), "live": True})


def post_review(site: Site, page: Page, form: Mapping[str, str]) -> str:
    """Store the review of a form, and return the URL of the next page.

    Raises:
        ReviewConflict: the item changed, or somebody else reviewed it, since the form was made.
        ConfigError: the review is invalid.
    """
    found = _run(site, page)
    told = story(found.folder, page.path["item"])
    last = told.rounds[-1] if told.rounds else None
    pair = (told.play.question or "", told.play.answer or "", last.aliases if last else ())
    if form.get("digest") != pair_digest(pair[0], pair[1]):
        raise ReviewConflict(f"{told.id} is a different question now: reload the page, then decide")
    try:
        decision = Decision(form.get("decision", ""))
        supersedes = int(form.get("supersedes", ""))
    except ValueError:
        raise Missing("there is no such decision") from None
    aliases = tuple(line.strip() for line in form.get("aliases", "").split("\n") if line.strip())
    edited = (form.get("question", "").strip(), form.get("answer", "").strip(), aliases)
    review(
        found.folder,
        told.id,
        pair,
        decision,
        reviewer=form.get("reviewer", ""),
        supersedes=supersedes,
        note=form.get("note", ""),
        edited=edited,
    )
    query = {name: value for name, value in page.query.items() if name in _FILTERS and value}
    query_text = f"?{urlencode(query)}" if query else ""
    where = f"/r/{quote(found.name, safe='')}/items"
    following = form.get("then", "")
    if following.isascii() and following.isalnum() and following:
        return f"{where}/{following}{query_text}"
    return f"{where}/{told.id}{query_text}#review"


def _run(site: Site, page: Page) -> FoundRun:
    found = site.run(page.path["run"])
    if not found.kind.plays:
        raise Missing(f"{found.name!r} is a run of {found.kind}; open it from the first page")
    return found


def _wanted(page: Page) -> Wanted:
    return Wanted(**{name: page.query.get(name, "") for name in _FILTERS})


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except ValueError:
        return text
