"""The paper's intrinsic table (arXiv 2601.18202, section 4): correctness and difficulty by target and by round.

Cumulative, as in the paper: round r is a seed's state after at most r further rounds; a seed that passed stays passed.
Deviations: seeds whose proposer gave no question count as not correct (the paper has none). Seeds that errored or could
not be scored are left out, since they say nothing about the question. Gates and the weak solver, which the paper does
not have, come after the verdict: the table counts a seed by the attempts at its first question that passed the verdict,
even if a gate then sent it back or rejected it. The funnel shows which seeds gave an item.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from questwell.scoring.intervals import wilson
from questwell.store.records import PlayCount
from questwell.types.game import Outcome, Reason
from questwell.types.measures import Proportion

ALL = "all"
_SILENT = (Reason.ERRORED, Reason.UNSCORED)


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of the table."""

    target: str
    """Requested search steps; `any` if unspecified; `all` over all targets."""
    round: int
    seeds: int
    correct: Proportion
    """Questions that at least one attempt answered right."""
    passed: Proportion
    """Questions whose verdict was pass."""
    avg_at_k: float | None
    """Mean share of right attempts over the correct questions, a fraction; None if an early stop would bias it."""
    mean_searches: float | None
    """Mean difficulty of the correct questions: the fewest search steps in a right attempt."""


def intrinsic(counts: Sequence[PlayCount], last_round: int, *, early_stop: bool) -> list[Cell]:
    """Return the table: first all targets, then each target, with every round from 0 to `last_round`."""
    telling = [count for count in counts if count.reason not in _SILENT]
    groups: dict[str, list[PlayCount]] = {ALL: telling} if telling else {}
    for count in sorted(telling, key=lambda count: -1 if count.target is None else count.target):
        groups.setdefault("any" if count.target is None else str(count.target), []).append(count)
    return [
        _cell(target, number, [count for count in group if _stands(count, number)], early_stop=early_stop)
        for target, group in groups.items()
        for number in range(last_round + 1)
    ]


def _stands(count: PlayCount, number: int) -> bool:
    """Return whether this is the state of those plays after round `number`."""
    round_ = -1 if count.round is None else count.round
    return round_ == number or (count.final and round_ < number)


def _cell(target: str, number: int, states: Sequence[PlayCount], *, early_stop: bool) -> Cell:
    seeds = sum(state.plays for state in states)
    correct = [state for state in states if state.right > 0]
    solved = sum(state.plays for state in correct)
    searches = [(state.difficulty, state.plays) for state in correct if state.difficulty is not None]
    rates = sum(state.plays * state.right / state.scored for state in correct)
    return Cell(
        target=target,
        round=number,
        seeds=seeds,
        correct=wilson(solved, seeds),
        passed=wilson(sum(state.plays for state in correct if state.outcome is Outcome.PASS), seeds),
        avg_at_k=None if early_stop or not solved else rates / solved,
        mean_searches=_mean(searches),
    )


def _mean(weighted: Sequence[tuple[int, int]]) -> float | None:
    total = sum(weight for _, weight in weighted)
    return sum(value * weight for value, weight in weighted) / total if total else None
