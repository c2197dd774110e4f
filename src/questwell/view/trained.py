"""Pages of train and self-play runs."""

from questwell.llm.speech import spoken, thoughts
from questwell.recipes.reports.runs import FoundRun, Kind, is_live
from questwell.recipes.reports.stepping import saved_steps, train_attempts
from questwell.recipes.reports.story import turns_of
from questwell.recipes.reports.training import selfplay_run, training_run
from questwell.recipes.selfplay.record import Record
from questwell.types.selfplay import Episode
from questwell.view.page import Missing, Page, Shown
from questwell.view.site import Site

_COLUMNS = (
    "valid_rate",
    "solver_accuracy",
    "held_out_accuracy",
    "proposer_reward",
    "proposer_searches",
    "solver_searches",
    "pool",
)


def training_page(site: Site, page: Page) -> Shown:
    """Return the page with the charts of a training run."""
    found = _run(site, page, Kind.TRAIN)
    values = {"run": found, "trained": training_run(found.folder), "writing": is_live(found.folder), "live": True}
    return Shown("training.html", values)


def attempts_page(site: Site, page: Page) -> Shown:
    """Return the page with the saved attempts of one training step."""
    found = _run(site, page, Kind.TRAIN)
    step = page.number("step")
    saved = saved_steps(found.folder)
    attempts = [
        (one, [(thoughts("", wrote), spoken(wrote), saw) for wrote, saw in one.turns])
        for one in train_attempts(found.folder, step)
    ]
    values = {
        "run": found,
        "step": step,
        "attempts": attempts,
        "previous": max((other for other in saved if other < step), default=None),
        "next": min((other for other in saved if other > step), default=None),
    }
    return Shown("attempts.html", values)


def selfplay_page(site: Site, page: Page) -> Shown:
    """Return the page with the charts, alarms and steps of a self-play run."""
    found = _run(site, page, Kind.SELFPLAY)
    played = selfplay_run(found.folder)
    values = {"run": found, "played": played, "columns": _COLUMNS, "writing": is_live(found.folder), "live": True}
    return Shown("selfplay.html", values)


def step_page(site: Site, page: Page) -> Shown:
    """Return the page with the episodes of one step."""
    found = _run(site, page, Kind.SELFPLAY)
    step = page.number("step")
    record = Record(found.folder)
    rows = record.rows()
    row = next((row for row in rows if row.step == step), None)
    last = max((row.step for row in rows), default=0)
    values = {"run": found, "step": step, "last": last, "episodes": record.episodes(step), "row": row}
    return Shown("step.html", values)


def slot_page(site: Site, page: Page) -> Shown:
    """Return the page of one full episode."""
    found = _run(site, page, Kind.SELFPLAY)
    step, slot = page.number("step"), page.number("slot")
    episodes = Record(found.folder).episodes(step)
    if slot >= len(episodes):
        raise Missing(f"step {step} has {len(episodes)} slots, from 0")
    episode = episodes[slot]
    rollouts = [
        ("Proposer", "", turns_of(episode.proposed.trajectory), episode.proposed.trajectory),
        *_attempts(episode),
    ]
    values = {
        "run": found,
        "step": step,
        "slot": slot,
        "last": len(episodes) - 1,
        "episode": episode,
        "rollouts": rollouts,
        "marks": list(episode.proposed.seed.references),
    }
    return Shown("slot.html", values)


def _attempts(episode: Episode) -> list[tuple[str, str, object, object]]:
    return [
        (f"Attempt {one.index}", one.judgement.label.value, turns_of(one.trajectory), one.trajectory)
        for one in episode.attempts
    ]


def _run(site: Site, page: Page, kind: Kind) -> FoundRun:
    found = site.run(page.path["run"])
    if found.kind is not kind:
        raise Missing(f"{found.name!r} is a run of {found.kind}; open it from the first page")
    return found
