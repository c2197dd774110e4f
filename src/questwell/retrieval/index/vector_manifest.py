"""The manifest of an embedder's vector file. It can be read without the extra that makes and searches vectors."""

import json
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self, cast

from questwell.errors import IndexMismatch, RetrievalError
from questwell.retrieval.index.manifest import Manifest
from questwell.text.whole import write_whole

FORMAT = 1
"""Version of the files and the embedded text; increase it if either changes, so that older vectors are refused."""
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class VectorManifest:
    """Describes the vector file of one embedder."""

    embedder: str
    dimensions: int
    rows: int
    """Number of rows: ordinals below this have a vector. It is zero for removed passages and empty texts."""
    origin: str
    """Origin of the index (`Manifest.origin`)."""
    version: int = FORMAT

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The manifest in `folder`; None if there is none.

        Raises:
            IndexMismatch: another version of Questwell wrote it.
            RetrievalError: the manifest cannot be read.
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
        """Write the manifest to `folder` with the number `rows`, in one step that survives a crash."""
        kept = replace(self, rows=rows)
        write_whole(folder / MANIFEST, json.dumps(asdict(kept)) + "\n")
        return kept

    def lacking(self, index: Manifest) -> int:
        """Number of passages of `index` without a vector; all of them if these vectors belong to another index."""
        if self.origin != index.origin:
            return index.passages
        gone = sum(ordinal >= self.rows for ordinal in index.removed)
        return max(0, index.ordinals - self.rows - gone)


def vectors_folder(index: Path, embedder: str) -> Path:
    """Folder of an embedder's vectors, inside the folder of an index."""
    return index / "vectors" / re.sub(r"[^\w.-]+", "_", embedder)


def embedders_of(index: Path) -> list[VectorManifest]:
    """The manifests of all vector files of an index."""
    found = (VectorManifest.read(path.parent) for path in sorted(index.glob(f"vectors/*/{MANIFEST}")))
    return [manifest for manifest in found if manifest is not None]
