import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questwell.errors import ConfigError, CorpusError
from questwell.retrieval.corpora.corpus import BadRecord, CorpusSpec, ReadReport, identity, read_corpus, subject
from questwell.retrieval.corpora.documents import clean
from questwell.types.corpus import Passage

PLAIN = {"id": "a", "title": "Alpha", "text": "First text."}
SEARCH_R1 = {"id": "b", "contents": '"Beta"\nSecond text.'}


def write(path, *records):
    lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
    path.write_bytes(b"\n".join(lines))
    return CorpusSpec(str(path))


def read(spec, report=None):
    return [(passage.id, passage.title, passage.text) for passage in read_corpus(spec, report)]


EXPECTED = [("a", "Alpha", "First text."), ("b", "Beta", "Second text.")]


def test_both_layouts_of_json_lines(tmp_path):
    assert read(write(tmp_path / "c.jsonl", PLAIN, b"", SEARCH_R1)) == EXPECTED


def test_packed_json_lines(tmp_path):
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(PLAIN).encode()))
    assert read(CorpusSpec(str(path))) == EXPECTED[:1]


@pytest.mark.parametrize("record", [PLAIN, SEARCH_R1])
def test_both_layouts_of_parquet(tmp_path, record):
    pq.write_table(pa.Table.from_pylist([{**record, "extra": 1.5}]), tmp_path / "c.parquet")
    spec = CorpusSpec(str(tmp_path / "c.parquet"))
    assert [row[1:] for row in read(spec)] == [EXPECTED[record is SEARCH_R1][1:]]


def test_a_bad_row_of_parquet_is_named(tmp_path):
    pq.write_table(pa.Table.from_pylist([PLAIN, {"id": None, "title": "T", "text": "x"}]), tmp_path / "c.parquet")
    with pytest.raises(CorpusError, match=r"c\.parquet, row 2: field 'id' is missing"):
        read(CorpusSpec(str(tmp_path / "c.parquet")))


def test_a_file_that_is_no_parquet(tmp_path):
    (tmp_path / "c.parquet").write_bytes(b"PAR0")
    with pytest.raises(CorpusError, match=r"c\.parquet"):
        read(CorpusSpec(str(tmp_path / "c.parquet")))


def test_a_folder_is_read_in_the_order_of_names(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "b.md").write_text("---\ndate: x\n---\n# The *Title* #\n\nBody.")
    (tmp_path / "sub" / "a.txt").write_text("# kept in plain text")
    (tmp_path / "a.md").write_text("No heading. ")
    (tmp_path / ".hidden" / "x.md").write_text("no")
    (tmp_path / "data.csv").write_text("no")
    assert read(CorpusSpec(str(tmp_path))) == [
        ("a.md", "a", "No heading."),
        ("b.md", "The *Title*", "Body."),
        ("sub/a.txt", "a", "# kept in plain text"),
    ]


def test_an_empty_folder_and_other_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="has no file"):
        read(CorpusSpec(str(tmp_path)))
    (tmp_path / "c.csv").write_bytes(b"GIF89a\0\0")
    with pytest.raises(ConfigError, match="is not a corpus"):
        read(CorpusSpec(str(tmp_path / "c.csv")))
    with pytest.raises(ConfigError, match="'fuctbook' is neither built in"):
        read(CorpusSpec("fuctbook"))


BAD = [
    (b"{", "not JSON"),
    (b'{"id": "x", "text": "\xff"}', "not UTF-8"),
    (b"[1]", "object"),
    (b'{"text": "t"}', "field 'id'"),
    (b'{"id": true, "text": "t"}', "field 'id'"),
    (b'{"id": " ", "text": "t"}', "field 'id'"),
    (b'{"id": "x"}', "field 'text' is missing"),
    (b'{"id": "x", "text": 5}', "field 'text' must be a string, not int"),
    (b'{"id": "x", "text": "t", "title": [5]}', "field 'title'"),
    (b'{"id": "x", "contents": 5}', "field 'contents'"),
    (b"[" * 100_000, "nested too deep"),
]


@pytest.mark.parametrize(("line", "problem"), BAD)
def test_a_malformed_line_is_named(tmp_path, line, problem):
    with pytest.raises(CorpusError, match=rf"c\.jsonl, line 2: .*{problem}"):
        read(write(tmp_path / "c.jsonl", PLAIN, line))


def test_malformed_lines_can_be_skipped_and_are_listed(tmp_path):
    path = tmp_path / "c.jsonl"
    write(path, PLAIN, *(line for line, _ in BAD), SEARCH_R1)
    report = ReadReport()
    assert read(CorpusSpec(str(path), skip_bad=True), report) == EXPECTED
    assert (report.documents, len(report.bad)) == (2, len(BAD))
    assert report.bad[0] == BadRecord(f"{path}, line 2", report.bad[0].problem)


def test_a_text_file_in_another_encoding_is_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"fine\ncaf\xe9")
    with pytest.raises(CorpusError, match=r"a\.txt: not UTF-8 in line 2"):
        read(CorpusSpec(str(tmp_path)))


def test_a_repeated_id_is_refused_even_when_bad_records_are_skipped(tmp_path):
    write(tmp_path / "c.jsonl", PLAIN, PLAIN)
    with pytest.raises(CorpusError, match="two documents have the id 'a'"):
        read(CorpusSpec(str(tmp_path / "c.jsonl"), skip_bad=True))


def test_documents_without_text_are_counted(tmp_path):
    report = ReadReport()
    assert read(write(tmp_path / "c.jsonl", {**PLAIN, "text": " "}), report) == []
    assert (report.documents, report.empty) == (1, 1)


def test_odd_text_is_cleaned_and_offsets_hold(tmp_path):
    text = "\ufeffline\r\none.\x00 \x1b[0m Zwei.\ud800 مرحبا. 北京。"
    record = json.dumps({"id": 7, "title": 'a\r\n"b"', "text": text})
    spec = write(tmp_path / "c.jsonl", b"\xef\xbb\xbf" + record.encode())
    (passage,) = read_corpus(spec)
    assert passage.text == "line\none.   [0m Zwei.\ufffd مرحبا. 北京。"
    assert passage.text == clean(text)[passage.offset :]
    assert (passage.id, passage.title) == ("7", 'a "b"')


def test_ids_are_the_same_each_time(tmp_path):
    spec = write(tmp_path / "c.jsonl", *({"id": f"d{n}", "text": "Some words here. " * n} for n in range(1, 120)))
    first, second = list(read_corpus(spec)), list(read_corpus(spec))
    assert first == second
    assert len({passage.id for passage in first}) == len(first)


def test_licence_of_the_record_else_of_the_corpus(tmp_path):
    path = tmp_path / "c.jsonl"
    write(path, PLAIN, {**SEARCH_R1, "license": "MIT"})
    licences = [passage.licence for passage in read_corpus(CorpusSpec(str(path), licence="CC-BY-4.0"))]
    assert licences == ["CC-BY-4.0", "MIT"]


def test_identity_follows_content_and_options_not_the_folder(tmp_path):
    (tmp_path / "x").mkdir()
    here, there = write(tmp_path / "c.jsonl", PLAIN), write(tmp_path / "x" / "c.jsonl", PLAIN)
    assert identity(here) == identity(there)
    assert identity(here) != identity(CorpusSpec(here.source, licence="MIT"))
    before = identity(here)
    write(tmp_path / "c.jsonl", SEARCH_R1)
    assert identity(here) != before


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("France", "France"),
        ("2001: A Space Odyssey", "2001: A Space Odyssey"),
        ("Mercury (disambiguation)", "Mercury"),
        ("A (b) (c)", "A"),
        ("A (b (c))", "A"),
        ("f(x)", "f(x)"),
        ("(())", "(())"),
        ("", ""),
    ],
)
def test_subject(title, name):
    assert subject(Passage("x", title, "", "x")) == name


def test_subject_of_the_factbook_leaves_the_section_out():
    assert subject(Passage("x", "France: Geography", "", "factbook/fr/geography")) == "France"
    assert subject(Passage("x", "France: Geography", "", "x")) == "France: Geography"


def test_metadata_goes_with_every_passage_of_its_document(tmp_path):
    metadata = {
        "lang": "en",
        "year": 2020,
        "open": True,
        "tags": ["a", "b", None],
        "none": None,
        "loc": {"page": {"n": 3}},
    }
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps({"id": "x", "text": "A sentence. " * 200, "metadata": metadata}))
    passages = list(read_corpus(CorpusSpec(str(path))))
    expected = (("lang", "en"), ("year", "2020"), ("open", "true"), ("tags", "a"), ("tags", "b"), ("loc.page.n", "3"))
    assert len(passages) > 1 and {passage.metadata for passage in passages} == {expected}


@pytest.mark.parametrize("metadata", ["text", 3, {"a": [{"b": 1}]}, {"a": [[1]]}])
def test_metadata_that_is_no_plain_object_is_malformed(tmp_path, metadata):
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps({"id": "x", "text": "t", "metadata": metadata}))
    with pytest.raises(CorpusError, match=r"line 1: .*metadata"):
        list(read_corpus(CorpusSpec(str(path))))
