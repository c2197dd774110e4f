"""Lists the plays of a run page by page, and provides its metrics for the web pages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from questwell.assets.cache import home
from questwell.errors import ConfigError
from questwell.recipes.reports.reviewing import UNREVIEWED, Reviewed, ReviewState, reviews_by_seed
from questwell.recipes.reports.status import Status, status
from questwell.store.pages import (
    PlayFilter,
    accepted_by_time,
    difficulties,
    indices,
    latest_failures,
)
from questwell.store.reader import RunReader
from questwell.store.records import CallCount, Play, PlayStatus
from questwell.store.textsearch import TextIndex
from questwell.types.game import Reason
from questwell.types.review import pair_digest

PAGE = 50
_HITS = 2_000
"""Number of plays containing the words up to which we scan those; with more, we scan the filter's plays."""
_MOST_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter of the list; an empty field means any. All of it is part of the page's address."""

    state: str = ""
    """`accepted`, `rejected`, `pending`, or a reason."""
    target: str = ""
    difficulty: str = ""
    review: str = ""
    """A `ReviewState`."""
    q: str = ""
    """Words to find in the question, the answer or the detail."""


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
    """The previous page ends before this seed; None if there is no previous page."""
    after: int | None
    """The next page starts after this seed; None if there is no next page."""


class Items:
    """The plays of one run under one filter; use it while its `RunReader` is open."""

    def __init__(self, folder: Path, run: RunReader, wanted: Wanted, words: TextIndex | None = None) -> None:
        """Prepare the list of the run in `folder`.

        Raises:
            ConfigError: a filter value is invalid.
        """
        self._run = run
        self._words = words
        self._q = wanted.q.strip() or None
        self._reviews = reviews_by_seed(folder)
        self._filter = self._narrowed(PlayFilter(_state(wanted.state), _number(wanted.target, "target")), wanted)

    def page(self, *, after: int = -1, before: int | None = None) -> ListPage:
        """Return the rows after or before a seed."""
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
        """Return the plays before and after a seed."""
        before, after = self._find_before(index, 1), self._find(index, 1)
        return (before[0] if before else None, after[0] if after else None)

    def next_unreviewed(self, index: int) -> Play | None:
        """Return the next play that nobody has decided on, searching from `index` and then from the start."""
        known = [int(seed[1:]) for seed, one in self._reviews.items() if one.decision is not None]
        kept = self._filter
        self._filter = replace(kept, without=(*kept.without, *known, index))
        try:
            found = self._find(index, 1) or self._find(-1, 1)
        finally:
            self._filter = kept
        return found[0] if found else None

    def reviewed(self, play: Play) -> Reviewed:
        """Return a play's reviews; a decision about a question that has changed since is stale."""
        known = self._reviews.get(play.seed_id, UNREVIEWED)
        if known.decision is None or known.decision.digest == pair_digest(play.question or "", play.answer or ""):
            return known
        return replace(known, state=ReviewState.STALE)

    def _narrowed(self, found: PlayFilter, wanted: Wanted) -> PlayFilter:
        found = replace(found, difficulty=_number(wanted.difficulty, "difficulty"))
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
        return replace(found, among=tuple(sorted(fitting)))

    def _find(self, after: int, size: int) -> list[Play]:
        return [self._run.play(index) for index in self._indices(size, after=after)]

    def _find_before(self, before: int, size: int) -> list[Play]:
        return [self._run.play(index) for index in self._indices(size, before=before)]

    def _indices(self, size: int, *, after: int = -1, before: int | None = None) -> list[int]:
        """Return seeds that match the filter and contain the words; scans the rarer of the two."""
        run, wanted, words, q = self._run, self._filter, self._words, self._q
        if words is None or q is None:
            return indices(run, wanted, after=after, before=before, size=size)
        hits = words.find(q, after=after, before=before, limit=_HITS)
        kept = None if wanted.among is None else set(wanted.among)
        few = [hit for hit in hits if kept is None or hit in kept]
        found = indices(run, replace(wanted, among=few), after=after, before=before, size=size)
        if len(found) == size or len(hits) < _HITS:
            return found
        found = list[int]()
        batch = _HITS
        backwards = before is not None
        while len(found) < size:
            some = indices(run, wanted, after=after, before=before, size=batch)
            held = words.holding(q, some)
            fitting = [one for one in some if one in held]
            found = fitting + found if backwards else found + fitting
            if len(some) < batch:
                break
            after, before = (after, some[0]) if backwards else (some[-1], None)
            batch = min(4 * batch, _MOST_AT_ONCE)
        return found[-size:] if backwards else found[:size]


@dataclass(frozen=True, slots=True)
class Overview:
    """Summary of a run for its first page."""

    status: Status
    calls: Sequence[CallCount]
    """Calls per time interval: one minute, or in long runs ten minutes, an hour or a day."""
    accepted: Sequence[tuple[str, int]]
    """Pairs of (interval, number of accepted plays)."""
    failures: Sequence[tuple[str, str, str, str]]
    """(when, seed, class, message), newest first."""
    hours: float
    """Hours from the first call to the last."""


def overview(folder: Path) -> Overview:
    """Return the state of the run in `folder`, and its progress over time."""
    stands = status(folder)
    with RunReader(folder) as run, run.snapshot():
        known = run.minutes()
        length = run.buckets(minutes=known)
        calls = run.calls_over_time(length, known)
        minutes = [one.minute for one in calls]
        hours = (_at(minutes[-1]) - _at(minutes[0])) / 3600 if minutes else 0.0
        return Overview(stands, calls, accepted_by_time(run, length), latest_failures(run), hours)


def cost_per_item(found: Overview) -> tuple[str, list[tuple[float, float]]]:
    """Return (unit, points): spending per accepted item over the hours. Dollars if all costs are known and some paid.

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
    """Return (hours since the start, answered model calls per second in that interval)."""
    by_time: dict[str, int] = {}
    for one in found.calls:
        if one.kind == "llm":
            by_time[one.minute] = by_time.get(one.minute, 0) + one.usage.calls
    start = min(by_time, default="")
    return thinned(
        [((_at(time) - _at(start)) / 3600, calls / _SECONDS[len(time)]) for time, calls in sorted(by_time.items())]
    )


def thinned(points: Sequence[tuple[float, float]], most: int = 1_000) -> list[tuple[float, float]]:
    """Return at most twice `most` of `points`: the lowest and highest of each interval, so that no spike is lost."""
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
    """Return the path of the index of a run's words."""
    return home() / "view" / f"{run_id}.words.sqlite"


_SECONDS = {16: 60, 15: 600, 13: 3600, 10: 86_400}
"""Length of an interval in seconds, by the number of characters of its timestamp prefix."""


def _at(time: str) -> float:
    return datetime.fromisoformat(f"{time}{'2000-01-01T00:00'[len(time) :]}:00+00:00").timestamp()


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
        raise ConfigError(f"{name} = {text!r}: expected a number")
    return int(text)
