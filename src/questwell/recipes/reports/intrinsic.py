"""The paper's intrinsic table (arXiv 2601.18202, section 4): correctness and difficulty by target and by round.

Cumulative, as there: round r is a seed's state after at most r further rounds, and a seed that has passed stays passed.
Deviations: seeds whose proposer gave no question count as not correct (the paper has none of them); seeds that errored
or could not be scored are left out, since they say nothing about the question.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from questwell.evaluation.statistics import Share, wilson
from questwell.store.records import Play, PlayStatus, RoundRow
from questwell.types.game import Outcome, Reason

ALL = "all"
_SILENT = (Reason.ERRORED, Reason.UNSCORED)


@dataclass(frozen=True, slots=True)
class Cell:
    """A row of the table."""

    target: str
    """Search steps asked for; `any` when unspecified; `all` over all targets."""
    round: int
    seeds: int
    correct: Share
    """At least one attempt was right."""
    passed: Share
    """The verdict was pass."""
    avg_at_k: float | None
    """Mean share of right attempts over the correct questions, a fraction; None when an early stop would bias it."""
    mean_searches: float | None
    """Mean over the correct questions of the fewest search steps in a right attempt (their difficulty)."""


def intrinsic(plays: Sequence[Play], rounds: Iterable[RoundRow], last_round: int, *, early_stop: bool) -> list[Cell]:
    """The table: all targets first, then each target, every round from 0 to `last_round`."""
    verdicts: dict[int, list[RoundRow]] = {}
    for row in rounds:
        verdicts.setdefault(row.seed_index, []).append(row)
    telling = [play for play in plays if play.status is not PlayStatus.PENDING and play.reason not in _SILENT]
    groups: dict[str, list[Play]] = {ALL: telling} if telling else {}
    for play in sorted(telling, key=lambda play: play.target or 0):
        groups.setdefault("any" if play.target is None else str(play.target), []).append(play)
    return [
        _cell(target, number, [_state(verdicts.get(play.index, []), number) for play in group], early_stop=early_stop)
        for target, group in groups.items()
        for number in range(last_round + 1)
    ]


def _state(verdicts: Sequence[RoundRow], number: int) -> RoundRow | None:
    """The verdict that counts after round `number`: the first pass, else the latest; None without a question."""
    so_far = [row for row in verdicts if row.round <= number]
    passed = (row for row in so_far if row.outcome is Outcome.PASS)
    return next(passed, so_far[-1] if so_far else None)


def _cell(target: str, number: int, states: Sequence[RoundRow | None], *, early_stop: bool) -> Cell:
    correct = [row for row in states if row is not None and row.right > 0]
    searches = [row.difficulty for row in correct if row.difficulty is not None]
    rates = [row.right / row.scored for row in correct]
    return Cell(
        target=target,
        round=number,
        seeds=len(states),
        correct=wilson(len(correct), len(states)),
        passed=wilson(sum(row.outcome is Outcome.PASS for row in correct), len(states)),
        avg_at_k=None if early_stop or not rates else sum(rates) / len(rates),
        mean_searches=sum(searches) / len(searches) if searches else None,
    )
