"""The config of `gates`: its keys with their defaults, and the keys that a later call may change."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

from questwell.recipes.runs.agents import MaybeModel
from questwell.recipes.runs.checking import CheckConfig
from questwell.recipes.runs.config import nearest
from questwell.recipes.runs.opening import Kind
from questwell.recipes.runs.spending import SPENDING_MAY_CHANGE
from questwell.text.lists import comma_parts
from questwell.types.gates import Gate


def _names(value: object) -> object:
    """Parse gate names from text such as `closed-book,evidence`, without repeats."""
    if not isinstance(value, str):
        return value
    names = list(dict.fromkeys(comma_parts(value)))
    known = [gate.value for gate in Gate]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"there is no gate {unknown[0]!r}{nearest(unknown[0], known)}; there are: {', '.join(known)}")
    return names


class GatesConfig(CheckConfig):
    """Config keys of `gates`: which gates to run on a run, and how."""

    gates: Annotated[tuple[Gate, ...], BeforeValidator(_names), Field(min_length=1)] = tuple(Gate)
    """Gates to run, separated by commas: closed-book, evidence, shortcut, unique, single-document, leave-one-out,
    findable, dated."""
    llm: MaybeModel = None
    """Model that reads and judges; by default the models of the run."""
    any_index: bool = False
    """Search today's index of the corpus even if it differs from the one that the run searched."""
    concurrency: int | None = Field(default=None, ge=1)
    """Number of questions checked at the same time; by default the run's --concurrency."""


_CALLS = "what it asks is compared call by call: an answered call is not made again"
MAY_CHANGE: Mapping[str, str] = {
    **SPENDING_MAY_CHANGE,
    **dict.fromkeys(("gates", "rejected", "any_index"), _CALLS),
    "of": "the run's id is compared instead, so that its folder may move",
    "llm": "the models' names are compared instead, so that an endpoint may move",
    "batch": "changes speed and price only: an answered call is not made again",
    "concurrency": "changes speed only",
    "max_errors": "a limit of patience",
}
"""Keys that a later call may change, with the reason."""
KIND = Kind("gates", GatesConfig, MAY_CHANGE)
