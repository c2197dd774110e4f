"""Extras of the package that a verb needs."""

import importlib.util
from typing import TYPE_CHECKING

from questwell.errors import ConfigError

if TYPE_CHECKING:
    pass


def check_extra() -> None:
    """Make sure that what training needs is installed.

    Raises:
        ConfigError: it is not; says what to install.
    """
    missing = [
        name for name in ("torch", "transformers", "peft", "matplotlib") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ConfigError(
            f"training needs the extra 'train' ({', '.join(missing)} not found): pip install 'questwell[train]'"
        )
