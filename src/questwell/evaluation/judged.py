"""Reads relevance judgements in TREC's format (`QUERY 0 DOCUMENT GRADE`) next to a benchmark's file."""

from pathlib import Path

from questwell.errors import BenchmarkError

FILES = ("qrel_gold.txt", "qrel_golds.txt", "qrel_evidence.txt")
"""Files of BrowseComp-Plus: documents with the answer, or all needed documents. The first existing file is used."""
FOLDERS = (".", "topics-qrels", "qrels", "../topics-qrels")


def judged_beside(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the ids of the relevant documents by query, from the qrels next to `path`; empty if there are none.

    Raises:
        BenchmarkError: a line of the file is malformed.
    """
    places = (path.parent / folder / name for name in FILES for folder in FOLDERS)
    found = next((place for place in places if place.is_file()), None)
    return {} if found is None else read_qrels(found)


def read_qrels(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the ids of the documents with a grade above 0, by query.

    Raises:
        BenchmarkError: a line is malformed, or the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path} cannot be read: {error}") from error
    judged: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        match line.split():
            case [query, _, document, grade] if grade.lstrip("-").isdecimal():
                if int(grade) > 0:
                    judged.setdefault(query, []).append(document)
            case []:
                pass
            case _:
                raise BenchmarkError(f"{path}:{number}: `QUERY 0 DOCUMENT GRADE` is expected, not {line!r}")
    return {query: tuple(documents) for query, documents in judged.items()}
