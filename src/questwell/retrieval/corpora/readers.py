"""Reads the files of a user's corpus as documents, in a fixed order."""

from collections.abc import Iterator

from questwell.errors import CorpusError
from questwell.retrieval.corpora.documents import CONTROL, BadRecord, Document, ReadReport
from questwell.retrieval.corpora.fields import DocumentMaker, FieldNames
from questwell.retrieval.corpora.forms import RECORDS, Form
from questwell.retrieval.corpora.packed import FAULTS, fault
from questwell.retrieval.corpora.records import read_records
from questwell.retrieval.corpora.sources import NO_UTF8, Member
from questwell.retrieval.corpora.texts import read_text
from questwell.text.unicode import SURROGATE

_FIRST_LINE = " (column names come from the first line: add one if it is data)"


def read_files(
    files: list[Member], names: FieldNames, licence: str, skip_bad: bool, report: ReadReport
) -> Iterator[Document]:
    """The documents in `files`.

    Raises:
        CorpusError: a record or file is malformed and must not be skipped.
    """
    for member in files:
        if SURROGATE.search(member.name):
            _refuse_or_skip(repr(member.name), NO_UTF8, skip_bad, report)
        elif member.form not in RECORDS and CONTROL.search(member.name):
            _refuse_or_skip(repr(member.name), "its name, which is its id, holds control characters", skip_bad, report)
        elif member.form in RECORDS:
            yield from _records(member, names, licence, skip_bad, report)
        else:
            try:
                document = read_text(member, licence)
            except (ValueError, *FAULTS) as error:
                problem = str(error) if isinstance(error, ValueError) else fault(error)
                _refuse_or_skip(str(member.path), problem, skip_bad, report)
            else:
                yield document


def _records(member: Member, names: FieldNames, licence: str, skip_bad: bool, report: ReadReport) -> Iterator[Document]:
    maker = DocumentMaker(names, licence)
    for row in read_records(member.path, member.form, names.columns, texts=True):
        problem = row.problem
        if row.record is not None:
            try:
                document = maker.make(row.record)
            except ValueError as error:
                named = "is missing" in str(error) and member.form is Form.TABLE
                problem = f"{error}{_FIRST_LINE if named else ''}"
            else:
                yield document
                continue
        _refuse_or_skip(f"{member.path}, {row.place}", problem, skip_bad, report)


def _refuse_or_skip(place: str, problem: str, skip: bool, report: ReadReport) -> None:
    """Add a malformed record to the report, if it may be skipped.

    Raises:
        CorpusError: it may not be skipped.
    """
    if not skip:
        raise CorpusError(f"{place}: {problem}. Correct it, or skip malformed records (--skip-bad)")
    report.bad.append(BadRecord(place, problem))
