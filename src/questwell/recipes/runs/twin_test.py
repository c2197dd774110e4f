import asyncio
import inspect

import pytest

from questwell.recipes.runs.twin import Twofold, blocking_verb, planned, twin_of


@blocking_verb
def double(number: int, *, times: int = 2) -> Twofold[int]:
    """Many times a number."""
    if times < 0:
        raise ValueError("times")

    async def here() -> int:
        await asyncio.sleep(0)
        return number * times

    return Twofold(lambda: number * times, here)


twice = twin_of(double, ", which waits")


async def test_a_verb_is_written_once_and_called_in_two_ways() -> None:
    assert double(3) == await twice(3) == 6
    assert double(3, times=5) == await twice(3, times=5) == 15
    assert await planned(double, 4).then(str).here() == planned(double, 4).then(str).alone() == "8"
    assert inspect.iscoroutinefunction(twice) and not inspect.iscoroutinefunction(double)


async def test_both_keep_name_docstring_and_parameters() -> None:
    assert (double.__name__, twice.__name__) == ("double", "double_async")
    assert double.__doc__ == "Many times a number."
    assert twice.__doc__ == "Same as `double`, but runs in your event loop, which waits.\n\nMany times a number."
    assert str(inspect.signature(double)) == str(inspect.signature(twice)) == "(number: int, *, times: int = 2) -> int"


async def test_what_is_wrong_is_said_before_anything_is_done() -> None:
    with pytest.raises(ValueError, match="times"):
        double(3, times=-1)
    with pytest.raises(ValueError, match="times"):
        await twice(3, times=-1)
    with pytest.raises(TypeError, match="many"):
        double(3, many=1)
