"""Creates a flag for each key of a config, with the same name and the key's description as help."""

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from questwell.recipes.runs.config import RecipeConfig

_F = TypeVar("_F", bound=Callable[..., object])


def config_flags(
    config: type[RecipeConfig], panels: Mapping[str, str], short: Mapping[str, str] | None = None
) -> Callable[[_F], _F]:
    """Return a decorator that replaces a command's `**given` by a flag per key of `config`; unused flags are None.

    Args:
        config: config class whose keys become flags.
        panels: name of the help panel that starts at a key, by key; later keys belong to the same panel. The help
            shows panels in this order.
        short: one-letter flags by key.
    """

    def decorate(command: _F) -> _F:
        signature = inspect.signature(command)
        own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
        flags: list[inspect.Parameter] = []
        panel = "Options"
        order = ["Options", *panels.values()]
        place: dict[str, int] = {}
        for key, field in config.model_fields.items():
            panel = panels.get(key, panel)
            place[key] = order.index(panel)
            flags.append(
                inspect.Parameter(
                    key,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=None,
                    annotation=Annotated[_type(field.annotation), _option(key, field, panel, (short or {}).get(key))],
                )
            )
        flags.sort(key=lambda flag: place[flag.name])
        for key, now in config.renames().items():
            hidden = typer.Option(*_names(key, config.model_fields[now.key]), hidden=True)
            hint = _type(config.model_fields[now.key].annotation)
            hint = bool | None if set(now.values) == {True, False} else hint
            flags.append(
                inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[hint, hidden])
            )
        for key in config.refused.keys() - config.model_fields.keys():
            hidden = typer.Option(f"--{key.replace('_', '-')}", hidden=True)
            flags.append(
                inspect.Parameter(
                    key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, hidden]
                )
            )
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + flags
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def _option(key: str, field: FieldInfo, panel: str, short: str | None) -> Any:  # noqa: ANN401  typer's own type is private
    names = (*_names(key, field), short) if short else _names(key, field)
    known = _closed(field.annotation)
    text = f"{field.description}{_default(field)}"
    if known and known.several and not all(value in text for value in known.values):
        text += f" Any of: {', '.join(known.values)}."
    return typer.Option(
        *names,
        help=text,
        metavar=_metavar(field.annotation, known),
        autocompletion=known.complete if known else None,
        rich_help_panel=panel,
        show_default=False,
    )


def _metavar(hint: Any, known: "_Closed | None") -> str | None:  # noqa: ANN401  a type hint is anything
    if known:
        return "LIST" if known.several else "|".join(known.values)
    plain = _plain(hint)
    kinds: dict[object, str] = {int: "N", float: "X", Path: "PATH", str: "TEXT"}
    return None if plain is bool else kinds.get(plain, "LIST")


@dataclass(frozen=True, slots=True)
class _Closed:
    """The allowed values of a key."""

    values: tuple[str, ...]
    several: bool
    """Whether the key takes a comma-separated list of values."""

    def complete(self, incomplete: str) -> list[str]:
        """Return the shell's completions of the typed part."""
        before, comma, last = incomplete.rpartition(",") if self.several else ("", "", incomplete)
        return [f"{before}{comma}{value}" for value in self.values if value.startswith(last)]


def _closed(hint: Any) -> _Closed | None:  # noqa: ANN401  a type hint is anything
    plain = _plain(hint)
    several = get_origin(plain) is tuple
    one = get_args(plain)[0] if several else plain
    if get_origin(one) is Literal:
        return _Closed(tuple(map(str, get_args(one))), several)
    if isinstance(one, type) and issubclass(one, StrEnum):
        return _Closed(tuple(member.value for member in one), several)
    return None


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
    """Return the type `hint` without None."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _type(hint: Any) -> Any:  # noqa: ANN401
    """Return the type as which a flag is parsed: number, switch, or else text, which the config checks.

    Optional numbers are text too, because `none` removes them on a resume.
    """
    plain = _plain(hint)
    return plain | None if plain is bool or (plain in (int, float) and plain is hint) else str | None
