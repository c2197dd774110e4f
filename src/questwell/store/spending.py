"""Queries for the usage of a run: model calls, searches, tokens, cost. None means unknown, which is not 0."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from questwell.store.query import Query, Row
from questwell.store.records import CallCount, CallKind, FailedUsage, RoleUsage, SearchUsage
from questwell.types.usage import Usage

# A sum over a column with any NULL is unknown.
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
"""Prefix length of an hour: up to this length a period has enough minutes to be worth a separate query."""


class SpendingReader(Query):
    """Queries for calls, tokens and cost."""

    def call_counts(self, by: str = "''") -> list[CallCount]:
        """Sum answered calls by kind, role, model, round, and `by`: `minute`, a part of it, or nothing."""
        timed = ("5, ", ", 5") if by != "''" else ("", "")  # without `by` the table's own order is used: no sorting
        return [
            _call_count(row)
            for row in self._all(
                f"SELECT kind, role, model, round, {by}, {_SUMS}, sum(latency_s) FROM {self.call_source} "
                f"GROUP BY 1, 2, 3, 4{timed[1]} ORDER BY {timed[0]}1, 2, 3, 4"
            )
        ]

    def minutes(self) -> list[str]:
        """Return the minutes in which calls were answered, unordered."""
        return [row[0] for row in self._all(f"SELECT DISTINCT minute FROM {self.call_source}")]

    def calls_over_time(self, length: int, minutes: Sequence[str] | None = None) -> list[CallCount]:
        """Sum answered calls as `call_counts` does, by the first `length` characters of the minute.

        Passing known `minutes` saves a scan of the table. Long periods are summed one by one, each as a range in the
        table's own order, because sorting every minute takes longer.
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
        """Return the prefix length of a minute that divides the run into at most about `most` periods.

        16 is a minute, 15 ten minutes, 13 an hour, 10 a day.
        """
        minutes = self.minutes() if minutes is None else minutes
        lengths = (16, 15, 13, 10)
        return next((size for size in lengths if len({minute[:size] for minute in minutes}) <= most), lengths[-1])

    def usage(self) -> Usage:
        """Return the usage of the answered model calls of the whole run, resumes included.

        Tokens and cost include failed calls, and the cost also includes searches.
        """
        calls = _usage(self._row(f"SELECT {_SUMS} FROM {self.call_source} WHERE kind = 'llm'"))
        return _plus_failed(_with_searches(calls, self.searches().cost_usd), self.failed())

    def searches(self) -> SearchUsage:
        """Return number and cost of the answered searches of the whole run, resumes included."""
        found = _usage(self._row(f"SELECT {_SUMS} FROM {self.call_source} WHERE kind IN {_SEARCHED}"))
        return SearchUsage(self.calls(CallKind.SEARCH), found.cost_usd if self.paid_searches else 0.0)

    def usage_by_role(self) -> list[RoleUsage]:
        """Return the usage of model calls by role and model."""
        rows = self._all(
            f"SELECT role, model, {_SUMS} FROM {self.call_source} WHERE kind = 'llm' "
            "GROUP BY role, model ORDER BY role, model"
        )
        return [RoleUsage(row[0], row[1], _usage(row[2:])) for row in rows]

    def usage_of(self, seed: str) -> Usage:
        """Return the usage of one seed; counted as in `usage`."""
        calls = Usage(*self._row(f"SELECT {_USAGE} FROM calls WHERE kind = 'llm' AND seed = ?", seed))
        cost = self._row(f"SELECT {_SEARCHES} FROM calls WHERE kind IN {_SEARCHED} AND seed = ?", seed)[1]
        return _plus_failed(
            _with_searches(calls, cost if self.paid_searches else 0.0), self._failed_by_seed(seed)[seed]
        )

    def solver_usage_by_seed(self) -> dict[str, Usage]:
        """Return the usage of the solvers' model calls by seed id, without judges."""
        rows = self._all(f"SELECT seed, {_USAGE} FROM calls WHERE kind = 'llm' AND role = 'solver' GROUP BY seed")
        return {row[0]: Usage(*row[1:]) for row in rows}

    def usage_by_seed(self) -> dict[str, Usage]:
        """Return the usage by seed id; counted as in `usage`."""
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
        """Return the usage of failed model calls; it is above zero if unusable replies were paid for."""
        return self._failed()[0][1]

    def _failed_by_seed(self, seed: str | None = None) -> dict[str, FailedUsage]:
        rows = self._failed("seed", seed)
        return defaultdict(FailedUsage, {name: found for name, found in rows if name})

    def _failed(self, by: str = "''", seed: str | None = None) -> list[tuple[str, FailedUsage]]:
        """Sum up the table `failures`; an older file has only the number of failures."""
        sums = _FAILED if self.paid_failures else "count(*), 0, 0, 0.0"
        where, values = ("AND seed = ?", (seed,)) if seed is not None else ("", ())
        grouped = "" if by == "''" else f"GROUP BY {by}"
        rows = self._all(f"SELECT {by}, {sums} FROM failures WHERE kind = 'llm' {where} {grouped}", *values)
        return [(row[0], FailedUsage(*row[1:])) for row in rows]

    def calls(self, kind: CallKind) -> int:
        """Return the number of answered calls of a kind."""
        return self._value(f"SELECT coalesce(sum(calls), 0) FROM {self.call_source} WHERE kind = ?", kind)

    def failures(self) -> dict[str, int]:
        """Return the number of failed calls by class of error."""
        return dict(self._all(f"SELECT error, failures FROM {self.failure_source} ORDER BY error"))


def _call_count(row: Row) -> CallCount:
    return CallCount(CallKind(row[0]), row[1], row[2], row[3], row[4], _usage(row[5:12]), row[12])


def _usage(sums: Row) -> Usage:
    """Return the usage from the columns of `_SUMS`; a sum with an unknown part is unknown."""
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
