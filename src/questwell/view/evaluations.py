"""Pages of evaluations: scores, single questions, and comparisons of runs."""

from questwell.errors import ConfigError
from questwell.evaluation.scores import values
from questwell.recipes.reports.runs import FoundRun, Kind, is_live
from questwell.recipes.reports.scores import compare_runs, evaluation, pooled
from questwell.recipes.reports.story import turns_of
from questwell.recipes.reports.traces import listing, trace
from questwell.text.lists import comma_parts
from questwell.view.page import Missing, Page, Shown
from questwell.view.site import Site

_SIZE = 100
_MOST_CHANGED = 100


def evaluation_page(site: Site, page: Page) -> Shown:
    """Return the page with scores, intervals, groups, agreement of the judges, and one page of questions."""
    found = _run(site, page.path["run"])
    listed = listing(found.folder)
    after = page.number("after", page.query["after"]) if page.query.get("after") else 0
    wanted = page.query.get("label", "")
    if wanted:
        listed = [one for one in listed if wanted in one.labels]
    return Shown(
        "evaluation.html",
        {
            "run": found,
            "evaluated": evaluation(found.folder),
            "listed": listed[after : after + _SIZE],
            "label": wanted,
            "previous": max(0, after - _SIZE) if after else None,
            "next": after + _SIZE if len(listed) > after + _SIZE else None,
            "total": len(listed),
            "others": [one for one in site.runs.values() if one.kind is Kind.EVALUATE and one.name != found.name],
            "writing": is_live(found.folder),
            "live": True,
        },
    )


def question_page(site: Site, page: Page) -> Shown:
    """Return the page of one question with its full attempts."""
    found = _run(site, page.path["run"])
    try:
        told = trace(found.folder, page.path["question"])
    except ConfigError as error:
        raise Missing(str(error)) from error
    position = int(told.id.removeprefix("q"))
    attempts = [(one, turns_of(one.trajectory)) for one in told.attempts]
    values = {"run": found, "told": told, "attempts": attempts, "position": position, "last": told.questions - 1}
    return Shown("question.html", values)


def compare_page(site: Site, page: Page) -> Shown:
    """Return the comparison of evaluations on common questions: the paired test, and questions won and lost."""
    names = comma_parts(page.query.get("runs", ""))
    names += [page.query[key] for key in ("a", "b") if page.query.get(key)]
    metric = page.query.get("metric", "em")
    known = [one for one in site.runs.values() if one.kind is Kind.EVALUATE]
    if len(names) < 2:
        return Shown("compare.html", {"known": known, "rows": [], "names": names, "metric": metric, "changed": []})
    folders = [_run(site, name).folder for name in names]
    shown = {str(folder): name for folder, name in zip(folders, names, strict=True)}
    rows = [(shown[row.first], shown[row.second], row) for row in compare_runs(folders, metric)]
    changed: list[tuple[str, str, str, float, float]] = []
    if len(names) == 2:
        first, second = (pooled([folder], metric) for folder in folders)
        before, after = values(first, metric), values(second, metric)
        ids = {(one.question.benchmark, one.question.id): (one.question.id, one.question.question) for one in first}
        changed = [
            (*ids[key], "gained" if after[key] > before[key] else "lost", before[key], after[key])
            for key in before
            if key in after and before[key] != after[key]
        ]
    gained = [row for row in changed if row[2] == "gained"]
    lost = [row for row in changed if row[2] == "lost"]
    return Shown(
        "compare.html",
        {
            "known": known,
            "names": names,
            "metric": metric,
            "rows": rows,
            "changed": [*gained[:_MOST_CHANGED], *lost[:_MOST_CHANGED]],
            "gained": len(gained),
            "lost": len(lost),
        },
    )


def _run(site: Site, name: str) -> FoundRun:
    found = site.run(name)
    if found.kind is not Kind.EVALUATE:
        raise Missing(f"{found.name!r} is a run of {found.kind}; open it from the first page")
    return found
