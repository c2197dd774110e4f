"""`adapter`: pydantic's reader and writer of a type, built on first use and shared.

Building one takes milliseconds of CPU, so a command builds only those that it uses.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_T = TypeVar("_T")


def adapter(type_: type[_T]) -> "TypeAdapter[_T]":
    """The adapter of `type_`; the same one for each call."""
    return cast("TypeAdapter[_T]", _built(type_))


@cache
def _built(type_: Any) -> "TypeAdapter[Any]":  # noqa: ANN401  any type that pydantic knows
    from pydantic import TypeAdapter  # imported here because some commands start without pydantic

    return TypeAdapter(type_)
