"""The hash of a model's weights: two folders of the same name may contain two different models."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from questwell.llm.client import LLM

_PARTS = (".safetensors", ".bin", ".gguf", ".json", ".model", ".jinja")
"""File endings in a model folder that can change the model's output."""


@runtime_checkable
class OnDisk(Protocol):
    """A client of a model whose weights are the user's own files."""

    @property
    def path(self) -> Path | None:
        """The model file or folder; None for fetched weights, whose hash was already checked."""
        ...


def fingerprints(llms: Mapping[str, LLM]) -> dict[str, str]:
    """The hash of each model that the user has as local files, by `ROLE weights`."""
    paths = {role: llm.path for role, llm in llms.items() if isinstance(llm, OnDisk)}
    hashes = {path: hash_of(path) for path in set(paths.values()) if path is not None}  # one model may play all roles
    return {f"{role} weights": hashes[path] for role, path in paths.items() if path is not None}


def hash_of(path: Path) -> str:
    """First 16 hex digits of the SHA-256 over a model file, or over the files that make up a model folder."""
    files = [path] if path.is_file() else sorted(one for one in path.glob("*") if one.suffix in _PARTS)
    whole = hashlib.sha256()
    for one in files:
        with one.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{'' if path.is_file() else one.name}\0{digest}\0".encode())
    return whole.hexdigest()[:16]
