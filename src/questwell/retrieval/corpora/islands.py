"""Reads the Sorrel Isles: two dozen linked articles about invented islands, written for Questwell (CC0-1.0).

The corpus comes with the package, so commands can be tried without a download. No model knows its facts.
"""

import hashlib
import json
from collections.abc import Iterator
from importlib import resources

from questwell.retrieval.corpora.documents import Document

NAME = "islands"
LICENCE = "CC0-1.0"


def identity() -> str:
    """Hash of the text."""
    return f"{NAME} {hashlib.sha256(_content().encode()).hexdigest()}"


def read_islands() -> Iterator[Document]:
    """The articles in a fixed order."""
    for line in _content().splitlines():
        record = json.loads(line)
        yield Document(record["id"], record["title"], record["text"], LICENCE)


def _content() -> str:
    return resources.files("questwell.retrieval.corpora").joinpath(f"{NAME}.jsonl").read_text(encoding="utf-8")
