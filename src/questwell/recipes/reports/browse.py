"""The items of a run a page at a time, and its figures for the pages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from questwell.assets.cache import home
from questwell.errors import ConfigError
from questwell.recipes.reports.reviewing import UNREVIEWED, Reviewed, ReviewState, reviews_by_seed
from questwell.recipes.reports.status import Status, status
from questwell.recipes.runs.opening import info_of
from questwell.store.pages import (
    PlayFilter,
    accepted_by_minute,
    difficulties,
    duplicate_indices,
    latest_failures,
    page,
    page_before,
)
from questwell.store.reader import RunReader
from questwell.store.records import CallCount, Play, PlayStatus
from questwell.store.textsearch import TextIndex
from questwell.types.game import Reason
from questwell.types.review import pair_digest

PAGE = 50
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the list is narrowed to; empty is any. All of it is in the page's address."""

    state: str = ""
    """`accepted`, `rejected`, `pending`, or a reason."""
    target: str = ""
    difficulty: str = ""
    review: str = ""
    """A `ReviewState`."""
    q: str = ""
    """Words of the question, the answer or the detail."""


@dataclass(frozen=True, slots=True)
class ListedPlay:
    """A row of the list."""

    play: Play
    difficulty: int | None
    reviewed: Reviewed


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of the list."""

    rows: Sequence[ListedPlay]
    before: int | None
    """The page before ends before this seed; None: there is none."""
    after: int | None
    """The next page starts after this seed; None: there is none."""


class Items:
    """The plays of one run under one filter; read within one `RunReader`."""

    def __init__(self, folder: Path, run: RunReader, wanted: Wanted, words: TextIndex | None = None) -> None:
        """Look at the run in `folder`.

        Raises:
            ConfigError: a filter that cannot be.
        """
        self._run = run
        self._words = words
        self._q = wanted.q.strip() or None
        self._reviews = reviews_by_seed(folder)
        self._filter = self._narrowed(PlayFilter(_state(wanted.state), _number(wanted.target, "target")), wanted)

    def page(self, *, after: int = -1, before: int | None = None) -> ListPage:
        """The rows after or before a seed."""
        if before is not None:
            plays = self._find_before(before, PAGE)
            if len(plays) < PAGE:
                plays = self._find(-1, PAGE)
        else:
            plays = self._find(after, PAGE)
        first = plays[0].index if plays else after + 1
        last = plays[-1].index if plays else after
        hard = difficulties(self._run, [known.index for known in plays])
        return ListPage(
            rows=[ListedPlay(known, hard.get(known.index), self.reviewed(known)) for known in plays],
            before=first if self._find_before(first, 1) else None,
            after=last if self._find(last, 1) else None,
        )

    def neighbours(self, index: int) -> tuple[Play | None, Play | None]:
        """The plays before and after a seed."""
        before, after = self._find_before(index, 1), self._find(index, 1)
        return (before[0] if before else None, after[0] if after else None)

    def next_unreviewed(self, index: int) -> Play | None:
        """The next play that nobody has decided on, from `index` on and then from the start."""
        known = [int(seed[1:]) for seed, one in self._reviews.items() if one.decision is not None]
        kept = self._filter
        self._filter = replace(kept, without=(*kept.without, *known, index))
        try:
            found = self._find(index, 1) or self._find(-1, 1)
        finally:
            self._filter = kept
        return found[0] if found else None

    def reviewed(self, play: Play) -> Reviewed:
        """How a play stands with its reviewers; a decision about another question than it has now is stale."""
        known = self._reviews.get(play.seed_id, UNREVIEWED)
        if known.decision is None or known.decision.digest == pair_digest(play.question or "", play.answer or ""):
            return known
        return replace(known, state=ReviewState.STALE)

    def _narrowed(self, found: PlayFilter, wanted: Wanted) -> PlayFilter:
        found = replace(found, difficulty=_number(wanted.difficulty, "difficulty"))
        if found.state is Reason.DUPLICATE:  # looked for once, not again for each step of the page
            found = replace(found, state=None, among=tuple(duplicate_indices(self._run)))
        if not wanted.review:
            return found
        try:
            state = ReviewState(wanted.review)
        except ValueError:
            known = ", ".join(ReviewState)
            raise ConfigError(f"review = {wanted.review!r}: there are {known}") from None
        decided = [int(seed[1:]) for seed, one in self._reviews.items() if one.decision is not None]
        if state is ReviewState.NONE:
            return replace(found, without=tuple(decided))
        drawn = self._run.drawn()
        fitting = [index for index in decided if index < drawn and self.reviewed(self._run.play(index)).state is state]
        among = sorted(fitting if found.among is None else set(fitting).intersection(found.among))
        return replace(found, among=tuple(among))

    def _find(self, after: int, size: int) -> list[Play]:
        if self._words is None or self._q is None:
            return page(self._run, self._filter, after=after, size=size)
        found: list[Play] = []
        while len(found) < size and (some := self._words.find(self._q, after=after, limit=_BATCH)):
            found += page(self._run, self._among(some), after=after, size=size - len(found))
            after = some[-1]
        return found

    def _find_before(self, before: int, size: int) -> list[Play]:
        if self._words is None or self._q is None:
            return page_before(self._run, self._filter, before, size=size)
        found: list[Play] = []
        while len(found) < size and (some := self._words.find(self._q, before=before, limit=_BATCH)):
            found = page_before(self._run, self._among(some), before, size=size - len(found)) + found
            before = some[0]
        return found

    def _among(self, some: Sequence[int]) -> PlayFilter:
        kept = self._filter.among
        return replace(self._filter, among=[one for one in some if kept is None or one in kept])


@dataclass(frozen=True, slots=True)
class Overview:
    """A run for its first page."""

    status: Status
    calls: Sequence[CallCount]
    """By minute."""
    accepted: Sequence[tuple[str, int]]
    """(minute, accepted plays)."""
    failures: Sequence[tuple[str, str, str, str]]
    """(when, seed, class, message), newest first."""
    hours: float
    """From the first call to the last."""


def overview(folder: Path) -> Overview:
    """How the run in `folder` stands, and its course."""
    stands = status(folder)
    with RunReader(folder) as run, run.snapshot():
        info_of(run)
        calls = run.call_counts("minute")
        minutes = [one.minute for one in calls]
        hours = (_at(minutes[-1]) - _at(minutes[0])) / 3600 if minutes else 0.0
        return Overview(stands, calls, accepted_by_minute(run), latest_failures(run), hours)


def cost_per_item(found: Overview) -> tuple[str, list[tuple[float, float]]]:
    """(unit, (hours since the start, spent per accepted item so far)): dollars where all are known and some are paid.

    Empty before the first item, and where not even the tokens are known.
    """
    total = found.status.spending.total
    paid = total.cost_usd is not None and total.cost_usd > 0
    tokens = total.prompt_tokens is not None and total.completion_tokens is not None
    if not paid and not tokens:
        return "tokens", []
    spent: dict[str, float] = {}
    for one in found.calls:
        took = one.usage.cost_usd if paid else (one.usage.prompt_tokens or 0) + (one.usage.completion_tokens or 0)
        if paid or one.kind == "llm":
            spent[one.minute] = spent.get(one.minute, 0.0) + (took or 0.0)
    items = dict(found.accepted)
    start = min([*spent, *items], default="")
    course: list[tuple[float, float]] = []
    money = 0.0
    accepted = 0
    for minute in sorted({*spent, *items}):
        money += spent.get(minute, 0.0)
        accepted += items.get(minute, 0)
        if accepted:
            course.append(((_at(minute) - _at(start)) / 3600, money / accepted))
    return ("US dollars" if paid else "tokens"), thinned(course)


def calls_per_second(found: Overview) -> list[tuple[float, float]]:
    """(hours since the start, answered model calls a second in that minute)."""
    by_minute: dict[str, int] = {}
    for one in found.calls:
        if one.kind == "llm":
            by_minute[one.minute] = by_minute.get(one.minute, 0) + one.usage.calls
    start = min(by_minute, default="")
    return thinned([((_at(minute) - _at(start)) / 3600, calls / 60) for minute, calls in sorted(by_minute.items())])


def thinned(points: Sequence[tuple[float, float]], most: int = 1_000) -> list[tuple[float, float]]:
    """At most twice `most` of `points`: of each stretch its lowest and its highest, so that no spike is lost."""
    if len(points) <= 2 * most:
        return list(points)
    size = -(-len(points) // most)
    found: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        ends = {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
        found += sorted(ends)
    return found


def words_path(run_id: str) -> Path:
    """Where the index of a run's words is kept."""
    return home() / "view" / f"{run_id}.words.sqlite"


def _at(minute: str) -> float:
    return datetime.fromisoformat(f"{minute}:00+00:00").timestamp()


def _state(text: str) -> PlayStatus | Reason | None:
    if not text:
        return None
    try:
        return PlayStatus(text)
    except ValueError:
        pass
    try:
        return Reason(text)
    except ValueError:
        raise ConfigError(f"state = {text!r}: there are {', '.join([*PlayStatus, *Reason])}") from None


def _number(text: str, name: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise ConfigError(f"{name} = {text!r}: a number is expected")
    return int(text)
