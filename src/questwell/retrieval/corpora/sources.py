"""Finds the files of a corpus: a file, a glob, a folder of documents or shards, or a saved data set."""

import glob
import importlib.util
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from questwell.errors import ConfigError, CorpusError
from questwell.retrieval.corpora.forms import BY_SUFFIX, DOCUMENTS, KNOWN, RECORDS, Form, form_of, hint, suffix_of
from questwell.retrieval.corpora.packed import NO_FILE
from questwell.text.unicode import SURROGATE

NEEDS = {Form.HTML: "trafilatura", Form.PDF: "pypdf", Form.DOCX: "docx"}
"""Modules of the extra `documents`, by the format that they read."""
NOT_DOCUMENTS = (
    *("readme", "license", "licence", "changelog", "citation", "notice", "requirements", "checksum", "sha256", "md5"),
    *("authors", "contributing", "code_of_conduct", "security", "version", "dataset_card", "datacard"),
)
"""Beginnings of the names of files that accompany shards but are not part of the corpus."""
BEIR = re.compile(r"(?:.*/)?corpus(?:[-._/].*)?")
"""Name of the file, or its folder, that is the corpus in a folder with queries and judgements too."""
SIDE_FILES = frozenset({
    *("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json", "manifest.json"),
    *("package.json", "package-lock.json", "tsconfig.json", "croissant.json", "_metadata", "_common_metadata"),
})  # fmt: skip
"""Names of files that say something of a data set or a program, and hold no documents."""
NO_UTF8 = "its name is not UTF-8"
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a corpus."""

    name: str
    """Path within the corpus, with slashes; also the id of a document that is a file."""
    path: Path
    form: Form


@dataclass(slots=True)
class Members:
    """The files of a corpus in the order of reading, and the other files in its folder."""

    files: list[Member] = field(default_factory=list[Member])
    left_out: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Names of the files that are not read, by reason."""

    def leave_out(self, reason: str, name: str) -> None:
        """Record that the file `name` is not read, and why."""
        self.left_out.setdefault(reason, []).append(name)

    def leave_out_all(self, reason: str, members: Iterable[Member]) -> None:
        """Record that the files `members` are not read, and why."""
        for member in members:
            self.leave_out(reason, member.name)


def is_glob(source: str) -> bool:
    """Whether `source` is a pattern (`wiki/*.parquet`) and not the name of an existing file or folder."""
    return glob.has_magic(source) and not Path(source).expanduser().exists()


def find_members(source: str) -> Members:
    """The files of the corpus `source`: a file, folder or glob.

    Raises:
        ConfigError: there are no files that can be read.
        CorpusError: a file cannot be opened or unpacked.
    """
    if is_glob(source):
        return _matched(source)
    path = resolved(source)
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise ConfigError(f"{str(path)!r} is no corpus: {NO_FILE}")
    form = _form(path)
    if form is Form.OTHER:
        known = hint(path)
        raise ConfigError(
            f"{str(path)!r} is not a corpus{f' ({known})' if known else ''}: give a folder, or a file of {KNOWN}"
        )
    if (missing := _missing(form)) is not None:
        raise ConfigError(f"{str(path)!r} is {form}: {missing}")
    return Members([Member(path.name, path, form)])


def resolved(source: str) -> Path:
    """The path that `source` names, with links resolved.

    Raises:
        ConfigError: `source` is not a path that exists.
    """
    if not source.strip():
        raise ConfigError("the name of the corpus is empty: name a built-in corpus, a file or a folder")
    try:
        return Path(source).expanduser().resolve()
    except (RuntimeError, ValueError) as error:  # a link to itself, an unknown user, a NUL
        raise ConfigError(f"corpus {source!r} is not a path that can be followed ({error})") from error


def _matched(pattern: str) -> Members:
    expanded = os.path.expanduser(pattern)
    found = sorted(Path(name) for name in glob.glob(expanded, recursive=True))
    found = [path for path in found if path.is_file()]
    if not found:
        raise ConfigError(f"no file matches {pattern!r}")
    fixed = Path(*Path(expanded).parts[: _first_magic(expanded)])
    members = Members()
    files: list[Member] = []
    for path in found:
        name = path.relative_to(fixed).as_posix() if path.is_relative_to(fixed) else path.name
        files.extend(_readable(members, name, path))
    members.files = files
    return _or_refuse(members, repr(pattern))


def _first_magic(pattern: str) -> int:
    return next(at for at, part in enumerate(Path(pattern).parts) if glob.has_magic(part))


def _folder(folder: Path) -> Members:
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ConfigError(f"folder {str(folder)!r} cannot be opened: permission denied")
    if (saved := _saved(folder)) is not None:
        return Members([Member(path.relative_to(folder).as_posix(), path, Form.ARROW) for path in saved])
    if (folder / "_delta_log").is_dir():
        raise ConfigError(f"folder {str(folder)!r} is a Delta table, which keeps old rows: export its rows")
    members = Members()
    found = [member for name, path in _walk(folder, members) for member in _readable(members, name, path)]
    shards = [member for member in found if member.form in RECORDS]
    texts = [member for member in found if member.form in DOCUMENTS]
    corpus = [member for member in shards if BEIR.fullmatch(member.name.lower())]
    if corpus:
        members.leave_out_all("next to what is named corpus", (one for one in found if one not in corpus))
        members.files = corpus
    elif shards and all(member.path.name.lower().startswith(NOT_DOCUMENTS) for member in texts):
        members.leave_out_all("next to shards of records", texts)
        members.files = shards
    else:
        members.leave_out_all("records next to documents (name them by a glob to read them)", shards)
        members.files = texts
    return _or_refuse(members, f"folder {str(folder)!r}")


def _or_refuse(members: Members, where: str) -> Members:
    if not members.files:
        raise ConfigError(f"{where} has no file that can be read as a corpus ({KNOWN}){left_out(members.left_out)}")
    return members


def left_out(names: dict[str, list[str]]) -> str:
    """A clause for a message, such as `; left out: 3 hidden (.a, .b, .c)`; empty if nothing was left out."""
    parts = [f"{len(held):,} {reason} ({_few(held)})" for reason, held in names.items()]
    return f"; left out: {', '.join(parts)}" if parts else ""


def _few(names: list[str]) -> str:
    return ", ".join(names[:_EXAMPLES]) + (", ..." if len(names) > _EXAMPLES else "")


def _walk(folder: Path, members: Members) -> Iterator[tuple[str, Path]]:
    """(name, path) of the files of a folder in order of name. Hidden files and links to the outside are left out."""
    found: list[tuple[str, Path]] = []

    def unreadable(error: OSError) -> None:
        name = Path(str(error.filename)).relative_to(folder).as_posix()
        members.leave_out("a folder that cannot be opened", f"{name}/")

    for place, folders, files in os.walk(folder, onerror=unreadable):
        here = Path(place)
        for name in sorted(folders):
            if name.startswith(".") or (here / name).is_symlink():
                inside = (here / name).relative_to(folder).as_posix() + "/"
                members.leave_out("hidden" if name.startswith(".") else "a linked folder", inside)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found.extend(((here / name).relative_to(folder).as_posix(), here / name) for name in files)
    for name, path in sorted(found):
        if path.name.startswith("."):
            members.leave_out("hidden", name)
        elif path.name in SIDE_FILES:
            members.leave_out("a file about the data or a program", name)
        elif not path.is_file():
            members.leave_out("not a file (a broken link or a pipe)", name)
        elif not os.access(path, os.R_OK):
            members.leave_out("a file that may not be read (permission denied)", name)
        elif path.is_symlink() and not path.resolve().is_relative_to(folder):
            members.leave_out("a link that leads out of the folder", name)
        else:
            yield name, path


def _readable(members: Members, name: str, path: Path) -> list[Member]:
    """The file as a list of one member; an empty list, and a note, if its format is unknown."""
    if SURROGATE.search(name):
        return [Member(name, path, Form.TEXT)]  # the reader refuses or skips it like a bad record
    try:
        form = _form(path)
    except CorpusError:
        form = Form.OTHER
    if form is Form.OTHER:
        members.leave_out(f"{suffix_of(path) or 'without an ending'}", name)
    elif (missing := _missing(form)) is not None:
        members.leave_out(f"{form}: {missing}", name)
    else:
        return [Member(name, path, form)]
    return []


def _form(path: Path) -> Form:
    """The format of the file. If it cannot be unpacked, its name decides, and the reader reports the fault.

    Raises:
        CorpusError: it cannot be unpacked, and its name does not show a format.
    """
    try:
        return form_of(path)
    except OSError as error:
        if (named := BY_SUFFIX.get(suffix_of(path))) is None:
            raise CorpusError(f"{path} cannot be read: {error}") from error
        return named


def _missing(form: Form) -> str | None:
    """Advice to install the extra that files of `form` need; None if nothing is missing."""
    if form not in NEEDS or importlib.util.find_spec(NEEDS[form]) is not None:
        return None
    return "reading it needs `pip install 'questwell[documents]'`"


def _saved(folder: Path) -> list[Path] | None:
    """All shards of a data set saved with `save_to_disk` of Hugging Face `datasets`; None if it is not one."""
    splits = _json(folder / "dataset_dict.json").get("splits")
    folders = [folder / str(split) for split in cast(list[object], splits)] if isinstance(splits, list) else [folder]
    found: list[Path] = []
    for one in folders:
        files = _json(one / "state.json").get("_data_files")
        if not isinstance(files, list):
            return None
        for held in cast(list[Any], files):
            path = (one / str(held["filename"])).resolve()
            if not path.is_relative_to(folder) or not path.is_file():
                raise CorpusError(f"{one / 'state.json'} names {str(path)!r}, which is no file of this folder")
            found.append(path)
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
