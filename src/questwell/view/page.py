"""The request and the response of a page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from questwell.errors import QuestwellError


class Missing(QuestwellError):
    """There is no page at this URL."""


@dataclass(frozen=True, slots=True)
class Page:
    """A requested URL, split into its parts."""

    path: Mapping[str, str]
    """Path parameters, by name."""
    query: Mapping[str, str]

    def number(self, name: str, value: str | None = None) -> int:
        """Return a path parameter as a number; raises Missing if it is not a number."""
        text = self.path.get(name, "") if value is None else value
        if not text.isascii() or not text.isdecimal() or len(text) > 9:
            raise Missing(f"there is no {name} {text!r}")
        return int(text)


@dataclass(frozen=True, slots=True)
class Shown:
    """A page to render, or a text to send as it is."""

    template: str
    values: Mapping[str, Any]
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
