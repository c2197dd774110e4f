"""Flags made from a config: one a key, of the same name, with the key's own line of meaning as help."""

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from questwell.recipes.runs.config import RecipeConfig

_F = TypeVar("_F", bound=Callable[..., object])


def config_flags(
    config: type[RecipeConfig], panels: Mapping[str, str], short: Mapping[str, str] | None = None
) -> Callable[[_F], _F]:
    """Give a command, in place of its `**given`, a flag for each key of `config`; those not used come as None.

    Args:
        config: whose keys become flags.
        panels: the help panel that starts at a key, by key; each key is in the latest one.
        short: one-letter flags by key.
    """

    def decorate(command: _F) -> _F:
        signature = inspect.signature(command)
        own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
        flags: list[inspect.Parameter] = []
        panel = "Options"
        for key, field in config.model_fields.items():
            panel = panels.get(key, panel)
            flags.append(
                inspect.Parameter(
                    key,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=None,
                    annotation=Annotated[_type(field.annotation), _option(key, field, panel, (short or {}).get(key))],
                )
            )
        for key, now in config.renamed.items():
            hidden = typer.Option(*_names(key, config.model_fields[now.key]), hidden=True)
            hint = _type(config.model_fields[now.key].annotation)
            hint = bool | None if set(now.values) == {True, False} else hint
            flags.append(
                inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[hint, hidden])
            )
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + flags
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def used(given: Mapping[str, object]) -> dict[str, object]:
    """The flags that were used."""
    return {key: value for key, value in given.items() if value is not None}


def _option(key: str, field: FieldInfo, panel: str, short: str | None) -> Any:  # noqa: ANN401  typer's own type is private
    names = (*_names(key, field), short) if short else _names(key, field)
    return typer.Option(*names, help=f"{field.description}{_default(field)}", rich_help_panel=panel, show_default=False)


def _names(key: str, field: FieldInfo) -> tuple[str, ...]:
    name = f"--{key.replace('_', '-')}"
    return (f"{name}/--no-{key.replace('_', '-')}" if _plain(field.annotation) is bool else name,)


def _default(field: FieldInfo) -> str:
    default: Any = field.default
    if field.is_required() or default in (None, "", ()):
        return ""
    if isinstance(default, bool):
        return f" (default: {'on' if default else 'off'})"
    if isinstance(default, tuple):
        default = ",".join(map(str, cast(tuple[object, ...], default)))
    return f" (default: {default})"


def _plain(hint: Any) -> Any:  # noqa: ANN401  a type hint is anything
    """`hint` without None."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _type(hint: Any) -> Any:  # noqa: ANN401
    """What a flag is parsed as: numbers and switches; all else is text, which the config itself checks."""
    plain = _plain(hint)
    return plain | None if plain in (bool, int, float) else str | None
