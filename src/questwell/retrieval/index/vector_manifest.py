"""The description of an embedder's vector file; it is read without the extra that makes and searches vectors."""

import json
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self, cast

from questwell.errors import IndexMismatch, RetrievalError
from questwell.retrieval.index.manifest import Manifest
from questwell.text.whole import write_whole

FORMAT = 1
"""Raise it when the files, or the text that is embedded, change: older vectors are then refused."""
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class VectorManifest:
    """Description of the vector file of one embedder."""

    embedder: str
    dimensions: int
    rows: int
    """Ordinals below this have a vector; it is zero where the passage is removed or has nothing to embed."""
    origin: str
    """Origin of the index (`Manifest.origin`)."""
    version: int = FORMAT

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The manifest in `folder`; None if there is none.

        Raises:
            IndexMismatch: another version wrote it.
            RetrievalError: it cannot be read.
        """
        path = folder / MANIFEST
        try:
            values = cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
            if values["version"] != FORMAT:
                raise IndexMismatch(
                    f"{folder} has version {values['version']}, not {FORMAT}: delete it and embed again"
                )
            return cls(**{field.name: values[field.name] for field in fields(cls)})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RetrievalError(f"{path} cannot be read ({error!r}): delete its folder and embed again") from error

    def keep(self, folder: Path, rows: int) -> Self:
        """Put it in `folder` with so many rows, in one step that survives a crash."""
        kept = replace(self, rows=rows)
        write_whole(folder / MANIFEST, json.dumps(asdict(kept)) + "\n")
        return kept

    def lacking(self, index: Manifest) -> int:
        """Number of passages of `index` that have no vector yet; its vectors may be of another index, then all."""
        if self.origin != index.origin:
            return index.passages
        gone = sum(ordinal >= self.rows for ordinal in index.removed)
        return max(0, index.ordinals - self.rows - gone)


def vectors_folder(index: Path, embedder: str) -> Path:
    """Where an index keeps the vectors of an embedder."""
    return index / "vectors" / re.sub(r"[^\w.-]+", "_", embedder)


def embedders_of(index: Path) -> list[VectorManifest]:
    """Manifests of all vectors of an index."""
    found = (VectorManifest.read(path.parent) for path in sorted(index.glob(f"vectors/*/{MANIFEST}")))
    return [manifest for manifest in found if manifest is not None]
