"""Creates keyword arguments from a config, so that `help(questwell.generate)` and completion show each key."""

import inspect
from collections.abc import Callable
from typing import TypeVar

from questwell.recipes.runs.config import RecipeConfig

_F = TypeVar("_F", bound=Callable[..., object])


def takes(config: type[RecipeConfig]) -> Callable[[_F], _F]:
    """Return a decorator that replaces a function's `**keys` by documented arguments, one per key of `config`."""

    def decorate(function: _F) -> _F:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        names = {one.name for one in own}
        keys = [
            inspect.Parameter(
                key,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.is_required() else field.default,
                annotation=field.annotation,
            )
            for key, field in config.model_fields.items()
            if key not in names
        ]
        lines = [f"    {key}: {field.description}" for key, field in config.model_fields.items()]
        function.__signature__ = signature.replace(parameters=[*own, *keys])  # type: ignore[attr-defined]
        function.__doc__ = f"{function.__doc__ or ''}\n\nKeys, with the names of the flags:\n" + "\n".join(lines)
        return function

    return decorate
