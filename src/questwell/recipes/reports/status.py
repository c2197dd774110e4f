"""Status of a run: its funnel, the intrinsic table, and its usage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from questwell.recipes.reports.funnel import Funnel, funnel
from questwell.recipes.reports.intrinsic import Cell, intrinsic
from questwell.recipes.reports.ledger import Ledger, ledger
from questwell.recipes.runs.description import config_of, info_of
from questwell.store.reader import RunReader
from questwell.store.records import KindCount, PlayCount, RunInfo
from questwell.types.game import QuestionKind
from questwell.types.usage import Usage


@dataclass(frozen=True, slots=True)
class Saved:
    """The savings of the exact early stop."""

    attempts: int
    """Number of attempts that were skipped."""
    of: int
    """Number of attempts if all K of each question had run."""
    calls: float
    """Estimated model calls of the skipped attempts, from the mean of the attempts that ran at the same question."""


@dataclass(frozen=True, slots=True)
class Spending(Ledger):
    """The usage of a run with plays."""

    tokens_per_item: float | None
    """Tokens per accepted item; None if unknown or if nothing was accepted."""
    cost_usd_per_item: float | None
    saved: Saved | None
    """Savings of the early stop; None if it was off."""


@dataclass(frozen=True, slots=True)
class KindRow:
    """One kind of question."""

    kind: QuestionKind
    wanted: float
    """Requested share of the items, a fraction."""
    seeds: int
    """Number of seeds with this requested kind."""
    items: int


@dataclass(frozen=True, slots=True)
class Status:
    """Status of a run."""

    info: RunInfo
    funnel: Funnel
    intrinsic: list[Cell]
    early_stop: bool
    spending: Spending
    seeds_wanted: int | None
    items_wanted: int | None
    counts: Sequence[PlayCount]
    """Ended plays, grouped by how their rounds went."""
    kinds: Sequence[KindRow] = ()
    """Requested and accepted kinds of question; empty if the run requests none."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The config keys that the status depends on, with defaults for runs that are older than a key.

    Separate from the config, which imports the libraries of every corpus and model: status is called often and must be
    fast.
    """

    variant: str = "feedback"
    attempts: int = 4
    rounds: int = 2
    early_stop: bool = True
    seeds: int | None = None
    items: int | None = None
    kinds: str | None = None


def status(folder: Path) -> Status:
    """Return the current status of the run in `folder`, which may still be running.

    Raises:
        StoreError: there is no run, or it cannot be read.
    """
    with RunReader(folder) as run, run.snapshot():
        info = info_of(run)
        config = _shape(config_of(info))
        plays = run.play_counts()
        counts = funnel(plays, run.drawn(), run.duplicates())
        last_round = 0 if config.variant == "initial" or info.kind == "recheck" else config.rounds
        took = ledger(run)
        saved = _saved(plays, config.attempts) if config.early_stop else None
        return Status(
            info=info,
            funnel=counts,
            intrinsic=intrinsic(plays, last_round, early_stop=config.early_stop),
            early_stop=config.early_stop,
            spending=Spending(
                took.total,
                took.by_role,
                took.searches,
                took.searches_cost_usd,
                took.failures,
                took.failed,
                took.adapted,
                tokens_per_item=_each(tokens(took.total), counts.accepted),
                cost_usd_per_item=_each(took.total.cost_usd, counts.accepted),
                saved=saved,
            ),
            seeds_wanted=config.seeds,
            items_wanted=config.items,
            counts=plays,
            kinds=_kinds(run, config.kinds),
        )


def _shape(config: Mapping[str, object]) -> Shape:
    known: dict[str, Any] = {one.name: config[one.name] for one in fields(Shape) if one.name in config}
    return Shape(**known)


def _kinds(run: RunReader, wanted: str | None) -> list[KindRow]:
    if wanted is None:
        return []
    from questwell.games.seeds import parse_kinds  # imported here because few runs request kinds

    counts = {one.kind: one for one in run.kind_counts()}
    found = [(share, counts.get(kind, KindCount(kind, 0, 0))) for kind, share in parse_kinds(wanted).shares.items()]
    return [KindRow(one.kind, share, one.seeds, one.items) for share, one in found]


def _saved(counts: Sequence[PlayCount], attempts: int) -> Saved:
    rounds = [count for count in counts if count.round is not None]
    return Saved(
        attempts=sum(count.skipped * count.plays for count in rounds),
        of=attempts * sum(count.plays for count in rounds),
        calls=sum(
            count.skipped * count.calls / (attempts - count.skipped) for count in rounds if count.skipped < attempts
        ),
    )


def tokens(usage: Usage) -> int | None:
    """Return prompt plus completion tokens; None if unknown."""
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return usage.prompt_tokens + usage.completion_tokens


def _each(total: float | None, items: int) -> float | None:
    return None if total is None or items == 0 else total / items
