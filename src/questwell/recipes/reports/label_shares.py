"""The last counted shares of a run's labels by a model, stored next to the labels' calls for the web pages."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from questwell.errors import StoreError
from questwell.evaluation.statistics import Proportion
from questwell.recipes.runs.files import replace


@dataclass(frozen=True, slots=True)
class LabelShares:
    """Shares by label; unreadable replies count in `unread` and in no share."""

    strategies: dict[str, Proportion]
    """Shares of right attempts of accepted questions; several labels may apply to one."""
    faults: dict[str, Proportion]
    """Shares of unsolved questions whose answer was found."""
    superficial: dict[str, Proportion]
    """Shares of too easy questions for which nothing else was computed."""
    unread: int


_SHARES = TypeAdapter(LabelShares)


def save(folder: Path, shares: LabelShares) -> None:
    """Save the shares of the run in `folder`."""
    replace(_path(folder), _SHARES.dump_json(shares, indent=1) + b"\n")


def saved(folder: Path) -> LabelShares | None:
    """Read the last saved shares of the run in `folder`; None if no model has labelled it."""
    if not _path(folder).is_file():
        return None
    try:
        return _SHARES.validate_json(_path(folder).read_bytes())
    except (OSError, ValidationError) as error:
        raise StoreError(f"the labels of {folder.name!r} cannot be read: {error}") from error


def _path(folder: Path) -> Path:
    return folder / "labels" / "labels.json"
