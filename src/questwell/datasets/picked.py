"""Some elements of a sequence that may be on disk: only their places are in memory."""

from array import array
from collections.abc import Iterable, Sequence
from typing import TypeVar, overload

_T_co = TypeVar("_T_co", covariant=True)


class Picked(Sequence[_T_co]):
    """Elements of another sequence, each read from it again whenever it is asked for."""

    def __init__(self, of: Sequence[_T_co], places: Iterable[int]) -> None:
        """Pick the elements of `of` at `places`, in that order."""
        if isinstance(of, Picked):
            of, places = of.of, map(of.places.__getitem__, places)
        self.of: Sequence[_T_co] = of
        """The whole sequence."""
        self.places = array("q", places)
        """Positions in the whole sequence."""

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, at: int) -> _T_co: ...
    @overload
    def __getitem__(self, at: slice) -> "Picked[_T_co]": ...
    def __getitem__(self, at: int | slice) -> "_T_co | Picked[_T_co]":
        return Picked(self.of, self.places[at]) if isinstance(at, slice) else self.of[self.places[at]]
