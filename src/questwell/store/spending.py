"""The usage of a run: model calls, searches, tokens, money. None means not known, which is not 0."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from questwell.store.query import Query, Row
from questwell.store.records import CallCount, CallKind, FailedUsage, RoleUsage, SearchUsage
from questwell.types.dataset import Usage

# A sum over a column that is NULL anywhere is not known.
_USAGE = """count(*),
  CASE WHEN count(prompt_tokens) = count(*) THEN coalesce(sum(prompt_tokens), 0) END,
  CASE WHEN count(completion_tokens) = count(*) THEN coalesce(sum(completion_tokens), 0) END,
  CASE WHEN count(cost_usd) = count(*) THEN coalesce(sum(cost_usd), 0.0) END"""
_SUMS = """coalesce(sum(calls), 0), coalesce(sum(prompt_known), 0), coalesce(sum(prompt_tokens), 0),
  coalesce(sum(completion_known), 0), coalesce(sum(completion_tokens), 0), coalesce(sum(cost_known), 0),
  coalesce(sum(cost), 0)"""
_SEARCHED = f"('{CallKind.SEARCH}', '{CallKind.RERANK}')"
"""Kinds of calls that count as a search."""
_FAILED = """count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0),
  CASE WHEN count(cost_usd) = count(*) THEN coalesce(sum(cost_usd), 0.0) END"""
_SEARCHES = "count(*), CASE WHEN count(cost_usd) = count(*) THEN coalesce(sum(cost_usd), 0.0) END"


_LONG = 13
"""An hour: from here on a stretch of time holds enough minutes to be worth a query of its own."""


class SpendingReader(Query):
    """Queries about calls."""

    def call_counts(self, by: str = "''") -> list[CallCount]:
        """Answered calls by kind, role, model, round, and `by`: `minute`, a part of it, or nothing."""
        timed = ("5, ", ", 5") if by != "''" else ("", "")  # without it the table's own order serves: no sorting
        return [
            _call_count(row)
            for row in self._all(
                f"SELECT kind, role, model, round, {by}, {_SUMS}, sum(latency_s) FROM {self.call_source} "
                f"GROUP BY 1, 2, 3, 4{timed[1]} ORDER BY {timed[0]}1, 2, 3, 4"
            )
        ]

    def minutes(self) -> list[str]:
        """The minutes in which calls were answered, in no order."""
        return [row[0] for row in self._all(f"SELECT DISTINCT minute FROM {self.call_source}")]

    def calls_over_time(self, length: int, minutes: Sequence[str] | None = None) -> list[CallCount]:
        """As `call_counts` by the first `length` characters of the minute.

        `minutes` saves a look at the whole table where they are known. Long stretches are summed one by one, each a
        range in the table's own order: sorting every minute takes longer.
        """
        if not self.counted or length > _LONG:
            return self.call_counts(f"substr(minute, 1, {length})")
        stretches = sorted({minute[:length] for minute in (self.minutes() if minutes is None else minutes)})
        kinds = self._all(f"SELECT DISTINCT kind, role, model, round FROM {self.call_source}")
        wanted = (
            f"SELECT {_SUMS}, sum(latency_s) FROM {self.call_source} "
            "WHERE kind = ? AND role = ? AND model = ? AND round = ? AND minute >= ? AND minute < ?"
        )
        return [
            _call_count((*kind, stretch, *sums))
            for stretch in stretches
            for kind in sorted(kinds)
            if (sums := self._row(wanted, *kind, stretch, f"{stretch}~"))[0]
        ]

    def buckets(self, most: int = 1_000, minutes: Sequence[str] | None = None) -> int:
        """How many characters of a minute name a stretch of time, so that the run has at most about `most` of them.

        16 is a minute, 15 ten minutes, 13 an hour, 10 a day.
        """
        minutes = self.minutes() if minutes is None else minutes
        lengths = (16, 15, 13, 10)
        return next((size for size in lengths if len({minute[:size] for minute in minutes}) <= most), lengths[-1])

    def usage(self) -> Usage:
        """Answered model calls of the whole run, resumes included.

        Tokens and cost are those of failed calls too, and the cost is that of searches too.
        """
        calls = _usage(self._row(f"SELECT {_SUMS} FROM {self.call_source} WHERE kind = 'llm'"))
        return _plus_failed(_with_searches(calls, self.searches().cost_usd), self.failed())

    def searches(self) -> SearchUsage:
        """Answered searches of the whole run, resumes included."""
        found = _usage(self._row(f"SELECT {_SUMS} FROM {self.call_source} WHERE kind IN {_SEARCHED}"))
        return SearchUsage(self.calls(CallKind.SEARCH), found.cost_usd if self.paid_searches else 0.0)

    def usage_by_role(self) -> list[RoleUsage]:
        """Model calls by role and model."""
        rows = self._all(
            f"SELECT role, model, {_SUMS} FROM {self.call_source} WHERE kind = 'llm' "
            "GROUP BY role, model ORDER BY role, model"
        )
        return [RoleUsage(row[0], row[1], _usage(row[2:])) for row in rows]

    def usage_of(self, seed: str) -> Usage:
        """Model calls of one seed; as `usage`."""
        calls = Usage(*self._row(f"SELECT {_USAGE} FROM calls WHERE kind = 'llm' AND seed = ?", seed))
        cost = self._row(f"SELECT {_SEARCHES} FROM calls WHERE kind IN {_SEARCHED} AND seed = ?", seed)[1]
        return _plus_failed(
            _with_searches(calls, cost if self.paid_searches else 0.0), self._failed_by_seed(seed)[seed]
        )

    def solver_usage_by_seed(self) -> dict[str, Usage]:
        """Usage of the solvers' model calls by seed id, judges left out."""
        rows = self._all(f"SELECT seed, {_USAGE} FROM calls WHERE kind = 'llm' AND role = 'solver' GROUP BY seed")
        return {row[0]: Usage(*row[1:]) for row in rows}

    def usage_by_seed(self) -> dict[str, Usage]:
        """Model calls by seed id; as `usage`."""
        rows = self._all(f"SELECT seed, {_USAGE} FROM calls WHERE kind = 'llm' GROUP BY seed")
        searches = self._all(f"SELECT seed, {_SEARCHES} FROM calls WHERE kind IN {_SEARCHED} GROUP BY seed")
        costs = {row[0]: row[2] if self.paid_searches else 0.0 for row in searches}
        failed = self._failed_by_seed()
        answered = {row[0]: Usage(*row[1:]) for row in rows}
        return {
            seed: _plus_failed(_with_searches(answered.get(seed, Usage()), costs.get(seed, 0.0)), failed[seed])
            for seed in {**answered, **failed}
        }

    def failed(self) -> FailedUsage:
        """Usage of failed model calls, which is above zero where unusable replies were paid for."""
        return self._failed()[0][1]

    def _failed_by_seed(self, seed: str | None = None) -> dict[str, FailedUsage]:
        rows = self._failed("seed", seed)
        return defaultdict(FailedUsage, {name: found for name, found in rows if name})

    def _failed(self, by: str = "''", seed: str | None = None) -> list[tuple[str, FailedUsage]]:
        """`failures` summed up; an older file has only their number."""
        sums = _FAILED if self.paid_failures else "count(*), 0, 0, 0.0"
        where, values = ("AND seed = ?", (seed,)) if seed is not None else ("", ())
        grouped = "" if by == "''" else f"GROUP BY {by}"
        rows = self._all(f"SELECT {by}, {sums} FROM failures WHERE kind = 'llm' {where} {grouped}", *values)
        return [(row[0], FailedUsage(*row[1:])) for row in rows]

    def calls(self, kind: CallKind) -> int:
        """Number of answered calls of a kind."""
        return self._value(f"SELECT coalesce(sum(calls), 0) FROM {self.call_source} WHERE kind = ?", kind)

    def failures(self) -> dict[str, int]:
        """Number of failed calls by class of error."""
        return dict(self._all(f"SELECT error, failures FROM {self.failure_source} ORDER BY error"))


def _call_count(row: Row) -> CallCount:
    return CallCount(CallKind(row[0]), row[1], row[2], row[3], row[4], _usage(row[5:12]), row[12])


def _usage(sums: Row) -> Usage:
    """From the columns of `_SUMS`: a sum of which a part is not known is not known."""
    calls, prompt_known, prompt, completion_known, completion, cost_known, cost = sums
    return Usage(
        calls,
        prompt if prompt_known == calls else None,
        completion if completion_known == calls else None,
        cost / 1e12 if cost_known == calls else None,
    )


def _plus_failed(usage: Usage, failed: FailedUsage) -> Usage:
    cost = None if usage.cost_usd is None or failed.cost_usd is None else usage.cost_usd + failed.cost_usd
    given, written = usage.prompt_tokens, usage.completion_tokens
    return Usage(
        usage.calls,
        None if given is None else given + failed.prompt_tokens,
        None if written is None else written + failed.completion_tokens,
        cost,
    )


def _with_searches(usage: Usage, cost_usd: float | None) -> Usage:
    if usage.cost_usd is None or cost_usd is None:
        return replace(usage, cost_usd=None)
    return replace(usage, cost_usd=usage.cost_usd + cost_usd)
