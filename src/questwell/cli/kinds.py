"""Chooses the output of `status` and `show` by the command that made a run; modules are imported on use."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from questwell.errors import StoreError
from questwell.recipes.runs.description import kind_of


@dataclass(frozen=True, slots=True)
class Pages:
    """The functions that print the runs of one command."""

    status: str
    """`module:function` in this folder, called with (run, json)."""
    show: str
    """`module:function` in this folder, called with (run, item, full, json)."""
    resumes: bool = True
    """Whether the command has --resume."""


PAGES: Mapping[str, Pages] = {
    "generate": Pages("status:status_plays", "show:show_play"),
    "harden": Pages("status:status_plays", "show:show_play"),
    "recheck": Pages("status:status_plays", "recheck:show_recheck"),
    "evaluate": Pages("scores:show_scores", "traces:show_evaluation"),
    "gates": Pages("checked:status_gates", "checked:show_gates"),
    "rejudge": Pages("rejudge:status_rejudge", "rejudge:show_rejudge"),
    "labels": Pages("checked:status_labels", "checked:show_labels", resumes=False),
    "train": Pages("trained:status_train", "trained:show_train"),
    "selfplay": Pages("trained:status_selfplay", "episodes:show_selfplay"),
}
"""All commands that create a run."""


def status_of(run: Path, *, json: bool) -> None:
    """Print the status of `run`."""
    _load(pages_of(run).status)(run, json=json)


def show_of(run: Path, item: str | None, *, full: bool, json: bool) -> None:
    """Print the contents of `run`, or one item of it."""
    _load(pages_of(run).show)(run, item, full=full, json=json)


def pages_of(run: Path) -> Pages:
    """Return the pages of `run`; raises StoreError if there is no run, or a newer version made it."""
    kind = kind_of(run)
    if kind not in PAGES:
        raise StoreError(f"{str(run)!r} contains a run of {kind}, which this version does not know; upgrade questwell")
    return PAGES[kind]


def _load(name: str) -> Callable[..., None]:
    module, function = name.split(":")
    return cast(Callable[..., None], getattr(importlib.import_module(f"questwell.cli.{module}"), function))
