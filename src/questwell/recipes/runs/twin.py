"""Lets each command be written once and called in two ways: blocking, or in the caller's event loop.

A command is a function that returns a `Twofold`, decorated with `blocking_verb`; `twin_of` makes its async twin.
"""

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, cast, get_args

from questwell.recipes.runs import opening
from questwell.recipes.runs.opening import Run, Setup

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")
_S = TypeVar("_S", bound=Setup)


@dataclass(frozen=True, slots=True)
class Twofold(Generic[_R]):
    """One piece of work that has not started."""

    alone: Callable[[], _R]
    """Runs it in a new event loop, and blocks."""
    here: Callable[[], Coroutine[Any, Any, _R]]
    """Runs it in the caller's event loop."""

    def then(self, make: Callable[[_R], _T]) -> "Twofold[_T]":
        """Return the same work with `make` applied to its result."""

        async def here() -> _T:
            return make(await self.here())

        return Twofold(lambda: make(self.alone()), here)


def invocation(
    run: Callable[[], Run[Any]],
    open_setup: Callable[[], _S],
    work: Callable[[Run[Any], _S], Coroutine[None, None, _R]],
) -> Twofold[_R]:
    """Return an invocation of a run: open the run, then its setup, do the work, and close both.

    Args:
        run: opens the run.
        open_setup: opens the setup, which may take long. `here` calls it in a thread, so the caller's loop keeps
            running; `alone` calls it before the loop starts, so that Ctrl-C ends it.
        work: what to do with both.
    """

    def alone() -> _R:
        with run() as opened:
            setup = open_setup()
            return opening.work(setup, lambda: work(opened, setup))

    async def here() -> _R:
        with run() as opened:
            async with aclosing(await asyncio.to_thread(open_setup)) as setup:
                return await work(opened, setup)

    return Twofold(alone, here)


def in_thread(work: Callable[[], _R]) -> Twofold[_R]:
    """Return work that has event loops of its own; `here` does it in a thread."""
    return Twofold(work, lambda: asyncio.to_thread(work))


def blocking_verb(plan: Callable[_P, Twofold[_R]]) -> Callable[_P, _R]:
    """Return the blocking function of a command, with the docstring and parameters of `plan`."""

    @functools.wraps(plan)
    def verb(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return plan(*args, **kwargs).alone()

    signature = inspect.signature(plan)
    (result,) = get_args(signature.return_annotation)
    verb.__signature__ = signature.replace(return_annotation=result)  # type: ignore[attr-defined]
    return verb


def planned(verb: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> Twofold[_R]:
    """Return the work that a function decorated with `blocking_verb` would do with these arguments."""
    return cast(Callable[_P, Twofold[_R]], verb.__wrapped__)(*args, **kwargs)  # type: ignore[attr-defined]


def twin_of(verb: Callable[_P, _R], note: str = "") -> Callable[_P, Coroutine[Any, Any, _R]]:
    """Return the async twin of a `blocking_verb` function; its docstring names that function and ends with `note`."""

    @functools.wraps(verb)
    async def twin(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return await planned(verb, *args, **kwargs).here()

    twin.__name__ = twin.__qualname__ = f"{verb.__name__}_async"
    twin.__doc__ = f"Same as `{verb.__name__}`, but runs in your event loop{note}.\n\n{verb.__doc__}"
    return twin
