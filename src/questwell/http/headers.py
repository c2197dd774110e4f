"""Headers given by the user: a value is written out, or `$NAME` refers to an environment variable."""

import os
from collections.abc import Mapping

from questwell.errors import ConfigError


def from_environment(value: str) -> str:
    """Return a header's value; `$NAME` is replaced by the variable's value, so that configs contain no secrets.

    Raises:
        ConfigError: the variable is not set.
    """
    if not value.startswith("$"):
        return value
    found = os.environ.get(value[1:])
    if found is None:
        raise ConfigError(f"a header refers to the environment variable {value[1:]!r}, which is not set")
    return found.strip()


def resolved(headers: Mapping[str, str]) -> dict[str, str]:
    """Return `headers` with lower-case names and with variables replaced by their values.

    Raises:
        ConfigError: a variable is not set, or a name or value cannot be sent.
    """
    found = {name.strip().lower(): from_environment(value) for name, value in headers.items()}
    for name, value in found.items():
        if (
            not name
            or not all(letter.isalnum() or letter in "-_.!#$%&'*+^`|~" for letter in name)
            or not name.isascii()
        ):
            raise ConfigError(f"{name!r} is not a valid header name")
        if not value.isascii() or not (value.isprintable() or not value):
            raise ConfigError(f"the header {name} contains a line break or other characters that cannot be sent")
    return found
