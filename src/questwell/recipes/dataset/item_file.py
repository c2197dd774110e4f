"""Keeps the items of a dataset in a temporary file while it is built, so that their number is not bound by memory.

Runs are read once, and may go on in the meantime. Filters, splits and exports then read each item from this file, as
often as they need it.
"""

from abc import abstractmethod
from array import array
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, overload

from questwell.datasets.demonstrations import SolvedItem
from questwell.datasets.picked import Picked
from questwell.errors import StoreError
from questwell.text.adapters import adapter
from questwell.types.dataset import Item
from questwell.types.trajectory import Trajectory

_T_co = TypeVar("_T_co", covariant=True)
_Solutions = tuple[Trajectory, ...]


class ItemFile:
    """Items with the attempts that solved them, on disk; 24 bytes of each are in memory."""

    def __init__(self, path: Path) -> None:
        """Create the file `path`. Use it as a context manager, which closes it; the caller removes it.

        Raises:
            StoreError: it cannot be created.
        """
        self._path = path
        self._ends = array("q", (0,))
        """End of each record; an item has two: itself, and its solutions."""
        try:
            self._file = path.open("w+b")
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._ends) // 2

    def add(self, solved: SolvedItem) -> int:
        """Append an item and return its position."""
        try:
            for content in (adapter(Item).dump_json(solved.item), adapter(_Solutions).dump_json(solved.solutions)):
                self._file.write(content)
                self._ends.append(self._ends[-1] + len(content))
        except OSError as error:
            raise self._unwritable(error) from error
        return len(self) - 1

    def complete(self) -> None:
        """Write what is still in a buffer, so that a full disk is met here and not by a reader."""
        try:
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def item(self, at: int) -> Item:
        """Return the item at a position."""
        return adapter(Item).validate_json(self._record(2 * at))

    def solved(self, at: int) -> SolvedItem:
        """Return the item at a position with the attempts that solved it."""
        return SolvedItem(self.item(at), adapter(_Solutions).validate_json(self._record(2 * at + 1)))

    def with_solutions(self, items: Picked[Item]) -> Sequence[SolvedItem]:
        """Return the same items as `items`, with the attempts that solved them."""
        return Picked(_Solved(self), items.places)

    @property
    def items(self) -> Sequence[Item]:
        """All items."""
        return _Items(self)

    def _record(self, number: int) -> bytes:
        start, end = self._ends[number], self._ends[number + 1]
        self._file.seek(start)
        return self._file.read(end - start)

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(f"{str(self._path.parent)!r} cannot hold the dataset's items while it is built: {error}")


class _Read(Sequence[_T_co]):
    """The records of a file as a sequence."""

    def __init__(self, file: ItemFile) -> None:
        self._file = file

    def __len__(self) -> int:
        return len(self._file)

    @abstractmethod
    def _read(self, at: int) -> _T_co: ...

    @overload
    def __getitem__(self, at: int) -> _T_co: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[_T_co]: ...
    def __getitem__(self, at: int | slice) -> _T_co | Sequence[_T_co]:
        places = range(len(self))[at]
        return self._read(places) if isinstance(places, int) else Picked(self, places)


class _Items(_Read[Item]):
    def _read(self, at: int) -> Item:
        return self._file.item(at)


class _Solved(_Read[SolvedItem]):
    def _read(self, at: int) -> SolvedItem:
        return self._file.solved(at)
