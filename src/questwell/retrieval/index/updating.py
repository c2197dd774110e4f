"""`update`: documents put into a complete index, replaced or deleted, without rebuilding it.

Crash order: a journal of the manifest that will hold, tantivy's commit, the manifest. Killed before the commit nothing
has happened; killed after it the journal holds. Readers that are open go on with what they opened.
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
    """What becomes of one document; nothing, if both are the same."""

    id: str
    old: tuple[Passage, ...]
    new: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Updated:
    """The result of an update, as numbers of documents."""

    manifest: Manifest
    """Manifest of the changed index; the same as before if nothing changed."""
    snapshot_before: str
    added: int
    replaced: int
    removed: int
    """Deleted, or given without text."""
    unchanged: int
    """Already there as given."""
    absent: int
    """Number of documents to remove that were not there."""


def update(folder: Path, upserts: Iterable[Document] = (), deletes: Iterable[str] = ()) -> Updated:
    """Change the index in `folder`: all of it, or nothing if it fails.

    Args:
        folder: of a complete index.
        upserts: replace the documents of the same id, or are added. Of two with one id the later counts.
        deletes: ids of documents; one that is not there is no error. A document in both is deleted.

    Raises:
        CorpusError: nothing would be left.
        RetrievalError: there is no complete index.
    """
    with exclusive(folder / "lock"):
        before = Manifest.read(folder)
        if before is None:
            raise RetrievalError(f"{folder} contains no complete index: run `questwell index`")
        if (folder / JOURNAL).exists():
            before.write(folder)  # ends an update that was interrupted, one way or the other
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
    """The passages that the index holds of a document, and those that it should."""
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
        del writer  # drops the lock of tantivy
    after.write(folder)
