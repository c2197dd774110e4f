"""`batches.json`: which batches a run has submitted, or was about to submit. They are paid for."""

from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from questwell.errors import StoreError
from questwell.recipes.runs import files

FILE = "batches.json"


class Noted(BaseModel):
    """A batch that was, or was about to be, submitted."""

    key: str
    place: str
    """Model and address."""
    id: str | None = None
    """At the endpoint; None: it was about to be created."""
    calls: list[str]
    """Custom ids: what the call asks, hashed, and a number."""
    done: list[str] = []
    """Custom ids that failed: nobody waits for them again."""
    since: float = 0.0
    """When it was about to be submitted, in seconds since 1970; 0: older versions did not note it."""
    read: bool = False
    """Whether it has ended and its answers were handed on."""


_NOTED = TypeAdapter(list[Noted])


class Notes:
    """The batches of one run."""

    def __init__(self, folder: Path) -> None:
        """Those noted in `folder`; StoreError when the file cannot be read."""
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
        """Write them; on the disk when this returns."""
        files.replace(self._path, _NOTED.dump_json(self.all))

    def of(self, place: str) -> list[Noted]:
        """Those that were submitted to `place`."""
        return [one for one in self.all if one.place == place]

    def elsewhere(self, place: str) -> dict[str, Noted]:
        """Batches of the same model at other addresses that nobody has read yet, by what their calls ask."""
        model = place.rpartition(AT)[0]
        return {
            name_of(call): one
            for one in self.all
            if one.place != place and one.place.rpartition(AT)[0] == model and not one.read
            for call in one.calls
            if call not in one.done
        }


AT = " at "
"""Between model and address, in the name of a place."""


def name_of(call: str) -> str:
    """What a call asks, by its custom id."""
    return call.partition("-")[0]
