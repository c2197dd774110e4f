"""Read and write `batches.json`: the paid batches that a run has submitted or was about to submit."""

from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from questwell.errors import StoreError
from questwell.recipes.runs import files

FILE = "batches.json"


class Noted(BaseModel):
    """A batch that was submitted or was about to be submitted."""

    key: str
    place: str
    """The model and its address."""
    id: str | None = None
    """Batch id at the endpoint; None while it is not known whether the batch was created."""
    calls: list[str]
    """Custom ids of its calls: a hash of the call (in older versions of its request), and a number."""
    done: list[str] = []
    """Custom ids of calls that failed; nothing waits for them any more."""
    since: float = 0.0
    """When we were about to submit it, in seconds since 1970; 0 in notes of older versions."""
    read: bool = False
    """Whether it has ended and its answers were delivered."""


_NOTED = TypeAdapter(list[Noted])


class Notes:
    """The noted batches of one run."""

    def __init__(self, folder: Path) -> None:
        """Load the batches noted in `folder`; raises StoreError if the file cannot be read."""
        self._path = folder / FILE
        self.all: list[Noted] = []
        if self._path.is_file():
            try:
                self.all = _NOTED.validate_json(self._path.read_bytes())
            except (OSError, ValueError) as error:
                raise StoreError(
                    f"{str(self._path)!r} cannot be read ({error}); it says which batches are paid for, so look them "
                    "up at the endpoint before you remove it"
                ) from None

    def keep(self) -> None:
        """Write the notes to disk; they are durable when this returns."""
        files.replace(self._path, _NOTED.dump_json(self.all))

    def of(self, place: str) -> list[Noted]:
        """Return the batches that were submitted to `place`."""
        return [one for one in self.all if one.place == place]

    def elsewhere(self, place: str) -> dict[str, Noted]:
        """Return unread batches of the same model at other addresses, keyed by the name of each call."""
        model = place.rpartition(AT)[0]
        return {
            name_of(call): one
            for one in self.all
            if one.place != place and one.place.rpartition(AT)[0] == model and not one.read
            for call in one.calls
            if call not in one.done
        }


AT = " at "
"""Separates model and address in the name of a place."""


def name_of(call: str) -> str:
    """Return the hash that a call's custom id starts with."""
    return call.partition("-")[0]
