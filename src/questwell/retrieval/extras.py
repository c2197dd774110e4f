"""`optional`: imports a library of an extra when it is first used."""

import importlib
from typing import Any

from questwell.errors import ConfigError


def optional(module: str, extra: str) -> Any:  # noqa: ANN401  a module is anything
    """The imported module `module`, which belongs to `extra`.

    Raises:
        ConfigError: the module is not installed; the message says which extra to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ConfigError(f"this needs {name}: run `pip install 'questwell[{extra}]'` ({error})") from error
