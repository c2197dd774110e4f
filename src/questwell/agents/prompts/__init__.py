"""Reads prompt files, each of which becomes the first messages of a request. A user's folder overrides them by name.

A prompt file is a sequence of sections `--- system`, `--- user`, `--- assistant`; `$name` is filled in.
Filled-in text is data: it is never expanded again and never read as a section.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from string import Template
from typing import Literal, cast

from questwell.errors import ConfigError
from questwell.llm.client import Message
from questwell.text.files import read_text

_SECTION = re.compile(r"^--- (system|user|assistant)[ \t]*$", re.MULTILINE)


_REPAIR = (
    "answer",
    "answer_type",
    "earlier",
    "passages",
    "proposer",
    "question",
    "rules",
    "searches",
    "solver",
    "target",
)
_GIVEN: Mapping[str, tuple[str, ...]] = {
    "judge": ("answer", "question", "reference", "references"),
    "proposer": ("answer_type", "rules", "seed", "target", "turns"),
    "repair_correctness": (*_REPAIR, "wrong_answer"),
    "repair_difficulty": (*_REPAIR, "wrong_answer"),
    "repair_gate": (*_REPAIR, "wrong_answer"),
    "repair_weak": (*_REPAIR, "wrong_answer"),
}
"""Values, by prompt, that the packaged file does not use but a user's file may use."""


CHECKED = ("repair_gate", "repair_weak")
"""Prompts that repair a question that met its target but failed a check."""
KINDS = ("kind_bridge", "kind_calculation", "kind_comparison", "kind_intersection", "kind_temporal")
"""Prompts that describe a kind of question with an example; added to the proposer's prompt if a kind is requested."""
LATER = frozenset({"gate_dated", "harden_correctness", "harden_difficulty", *CHECKED, *KINDS})
"""Prompts that are newer than runs which saved a hash of all prompts. They are left out of that hash, so that such runs
can be resumed; a recipe that uses one compares `hash_of` it with the hash at the start of its run."""


class Prompts:
    """The prompt files of a run, and their hash."""

    def __init__(self, folder: Path | None = None) -> None:
        """Take the packaged prompts, with the files of `folder` in place of those of the same name.

        Raises:
            ConfigError: the folder does not exist, or contains a name that no agent uses, a file without sections, or a
                file that asks for a value that its agent does not give.
        """
        if folder is not None and not folder.is_dir():
            raise ConfigError(f"prompts: there is no folder {str(folder)!r}")
        packaged = resources.files(__name__)
        self._files = {
            entry.name.removesuffix(".md"): entry.read_text(encoding="utf-8")
            for entry in packaged.iterdir()
            if entry.name.endswith(".md")
        }
        given = {name: {*_asked(name, text), *_GIVEN.get(name, ())} for name, text in self._files.items()}
        self.replaced: dict[str, frozenset[str]] = {}
        """The user's files by name, each with the values that the packaged file shows and this one does not."""
        for path in sorted(folder.glob("*.md")) if folder else ():
            if path.stem not in self._files:
                raise ConfigError(f"{path}: no agent uses a prompt with this name; use one of {sorted(self._files)}")
            packaged_text = self._files[path.stem]
            self._files[path.stem] = read_text(path, ConfigError)
            known = ", ".join(sorted(given[path.stem]))
            if unknown := sorted(_asked(str(path), self._files[path.stem]) - given[path.stem]):
                raise ConfigError(f"{path}: nothing is given for ${unknown[0]}; this prompt is given {known}")
            shown = _asked(str(path), self._files[path.stem])
            self.replaced[path.stem] = frozenset(_asked(path.stem, packaged_text) - shown)
        for name, text in self._files.items():
            if not _SECTION.match(text):
                raise ConfigError(f"prompt {name!r} must start with a line `--- system`, `--- user` or `--- assistant`")

    @cached_property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 over the names and texts of all prompts except `LATER`."""
        return self.hash_of(self._files.keys() - LATER)

    def hash_of(self, names: Iterable[str]) -> str:
        """First 16 hex digits of the SHA-256 over the prompts of these names."""
        listing = "\0".join(f"{name}\0{self._files[name]}" for name in sorted(names))
        return hashlib.sha256(listing.encode()).hexdigest()[:16]

    def messages(self, name: str, **values: object) -> tuple[Message, ...]:
        """The messages of prompt `name`, with `$key` replaced by each value.

        Raises:
            ConfigError: the file asks for a value that its agent does not give.
        """
        parts = _SECTION.split(self._files[name])[1:]
        try:
            return tuple(
                Message(
                    cast(Literal["system", "user", "assistant"], role),
                    Template(text.strip()).substitute({key: str(value) for key, value in values.items()}),
                )
                for role, text in zip(parts[::2], parts[1::2], strict=True)
            )
        except (KeyError, ValueError) as error:
            raise ConfigError(f"prompt {name!r}: cannot fill in {error}; it is given {sorted(values)}") from error


def _asked(name: str, text: str) -> set[str]:
    """The names of the values that a prompt asks for; raises ConfigError if a `$` is not followed by a name."""
    template = Template(text)
    if not template.is_valid():
        wrong = next(found for found in template.pattern.finditer(text) if found["invalid"] is not None)
        line = text.count("\n", 0, wrong.start()) + 1
        raise ConfigError(f"{name}, line {line}: this $ is not followed by a name; write $$ for a dollar sign")
    return set(template.get_identifiers())
