"""`update`: adds, replaces or deletes documents of a complete index without rebuilding it.

To survive crashes, we write a journal with the new manifest, then commit to tantivy, then write the manifest. A kill
before the commit changes nothing; after the commit the journal is valid. Open readers keep the index as they opened it.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from questwell.assets.cache import exclusive
from questwell.errors import CorpusError, RetrievalError
from questwell.retrieval.corpora.documents import Document
from questwell.retrieval.corpora.passages import passages_of
from questwell.retrieval.index.analysis import Terms
from questwell.retrieval.index.indexing import HEAP
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.index.manifest import ID, JOURNAL, Manifest, document, open_files, pack, writing
from questwell.types.corpus import Passage


@dataclass(frozen=True, slots=True)
class _Change:
    """The change to one document; nothing is done if both versions are equal."""

    id: str
    old: tuple[Passage, ...]
    new: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Updated:
    """The result of an update, in numbers of documents."""

    manifest: Manifest
    """Manifest of the index after the update."""
    snapshot_before: str
    added: int
    replaced: int
    removed: int
    """Number of documents deleted, or given without text."""
    unchanged: int
    """Number of documents that were already in the index as given."""
    absent: int
    """Number of documents to delete that were not in the index."""


def update(folder: Path, upserts: Iterable[Document] = (), deletes: Iterable[str] = ()) -> Updated:
    """Change the index in `folder`. If the update fails, nothing is changed.

    Args:
        folder: folder of a complete index.
        upserts: documents to add, or to replace those with the same id. Of two with one id the later is used.
        deletes: ids of documents to delete; a missing document is not an error. A document in both is deleted.

    Raises:
        CorpusError: the index would be empty.
        RetrievalError: there is no complete index in `folder`.
    """
    with exclusive(folder / "lock"):
        before = Manifest.read(folder)
        if before is None:
            raise RetrievalError(f"{folder} contains no complete index: run `questwell index`")
        if (folder / JOURNAL).exists():
            before.write(folder)  # completes or discards an interrupted update
        index = LexicalIndex.open(folder)
        wanted: dict[str, Document | None] = {document.id: document for document in upserts}
        wanted.update(dict.fromkeys(deletes))
        asked = [_change(index, identifier, new) for identifier, new in wanted.items()]
        changes = [change for change in asked if change.old != change.new]
        after = _after(before, index, changes) if changes else before
        if not after.passages:
            raise CorpusError(f"nothing would be left in {folder}: delete the folder instead")
        if changes:
            with writing(folder):
                _apply(folder, before, after, changes)
        same = [change for change in asked if change.old == change.new]
        return Updated(
            after,
            before.snapshot,
            added=sum(not change.old for change in changes),
            replaced=sum(bool(change.old and change.new) for change in changes),
            removed=sum(not change.new for change in changes),
            unchanged=sum(bool(change.new) for change in same),
            absent=sum(not change.new for change in same),
        )


def _change(index: LexicalIndex, identifier: str, wanted: Document | None) -> _Change:
    """The change from the passages that the index has of a document to those it should have."""
    new = tuple(passages_of(wanted)) if wanted is not None and wanted.text.strip() else ()
    old = index.passages_of(identifier)
    return _Change(identifier, old, new)


def _after(before: Manifest, index: LexicalIndex, changes: list[_Change]) -> Manifest:
    old = (index.ordinal_of(passage.id) for change in changes for passage in change.old)
    gone = [ordinal for ordinal in old if ordinal is not None]
    added = sum(len(change.new) for change in changes)
    digest = hashlib.sha256(f"{before.snapshot}\n".encode())
    for change in changes:
        digest.update(f"{change.id}\0{len(change.old)}\0{len(change.new)}\n".encode(errors="replace"))
        for passage in change.new:
            digest.update(pack(passage) + b"\n")
    return replace(
        before,
        passages=before.passages - len(gone) + added,
        documents=before.documents + sum(bool(change.new) - bool(change.old) for change in changes),
        snapshot=digest.hexdigest()[:16],
        ordinals=before.ordinals + added,
        removed=tuple(sorted((*before.removed, *gone))),
    )


def _apply(folder: Path, before: Manifest, after: Manifest, changes: list[_Change]) -> None:
    writer = open_files(folder, Terms(before.analyzer)).writer(HEAP, 1)
    try:
        ordinal = before.ordinals
        for change in changes:
            for passage in change.old:
                writer.delete_documents_by_term(ID, passage.id)
            for passage in change.new:
                writer.add_document(document(passage, pack(passage), ordinal))
                ordinal += 1
        after.announce(folder)
        writer.commit()
        writer.wait_merging_threads()
    finally:
        del writer  # releases tantivy's lock
    after.write(folder)
