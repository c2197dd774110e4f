"""Further kinds of corpora as they lie on disks: what other programs write, what goes wrong, what is no corpus."""

import bz2
import datetime
import gzip
import io
import json
import os
import re
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questwell.errors import CorpusError, QuestwellError
from questwell.retrieval.corpora import kinds_test
from questwell.retrieval.corpora.corpus import CorpusSpec, ReadReport, read_documents
from questwell.retrieval.corpora.fields import FieldNames
from questwell.retrieval.corpora.kinds_test import BOTH, FIRST, ROWS, file, folder, lines, read, zstd

X = [("a", "", "x")]
HALVES = (lines(ROWS[:1]), lines(ROWS[1:]))
ARRAYS = [b"[" + half + b"]" for half in (HALVES[0].strip(), HALVES[1].strip())]
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
"""A frame of zstd that holds no content; pzstd begins with one."""
PAGES = b'<doc id="a" url="u" title="Alpha &amp; B">\nAlpha &amp; B\n\nOne &lt; two.\n\n</doc>\n'
X_OF_NO_TITLE = b'{"id": "a", "title": NaN, "text": "x"}\n'
AFTER = [("a.md", "Alpha", "The first text.")]
TEXT_OF_PAGE = "Zwei M\u00f6wen flogen \u00fcber das Meer und sangen."
PAGE = f"<html><head>%s<title>Alpha</title></head><body><p>{TEXT_OF_PAGE}</p></body></html>"
FROM_PAGE = [("a.html", "Alpha", TEXT_OF_PAGE)]


def markdown(front: str) -> Callable[[Path], str]:
    return file("a.md", f"{front}\nThe first text.\n".encode())


def columns(**arrays: pa.Array) -> Callable[[Path], str]:
    def make(place: Path) -> str:
        pq.write_table(pa.table(arrays), place / "c.parquet")
        return str(place / "c.parquet")

    return make


def twice_named(place: Path) -> str:
    arrays = [pa.array(["a"]), pa.array(["One."]), pa.array(["Two."])]
    pq.write_table(pa.Table.from_arrays(arrays, names=["id", "text", "text"]), place / "c.parquet")
    return str(place / "c.parquet")


def packed_parquet(place: Path) -> str:
    path = Path(columns(id=pa.array(["a"]), text=pa.array(["x"]))(place))
    return file("c.parquet.gz", gzip.compress(path.read_bytes()))(place)


def holding(name: str, inner: str) -> Callable[[Path], str]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(inner, "x")
    return file(name, content.getvalue())


def pipe(place: Path) -> str:
    os.mkfifo(place / "c.jsonl")
    return str(place / "c.jsonl")


def odd_files(place: Path) -> str:
    """A folder with a document and with what is no file."""
    made = Path(folder(a_txt=b"x")(place))
    os.mkfifo(made / "p.txt")
    (made / "loop").symlink_to(made)
    (made / "z.txt").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(made / "s.txt"))  # a socket's name may be 100 bytes long
    return str(made)


def named(*names: str) -> Callable[[Path], str]:
    def make(place: Path) -> str:
        for name in names:
            path = place / "c" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(lines([{"id": name, "text": "x"}]) if name.endswith("jsonl") else b"x")
        return str(place / "c")

    return make


def notes(*texts: str) -> Callable[[Path], str]:
    return folder(**{f"n{at}_md": text.encode() for at, text in enumerate(texts)})


def inside(value: object) -> Callable[[Path], str]:
    return file("c.json", json.dumps(value).encode())


BY_ID = {row["id"]: {"title": row["title"], "text": row["text"]} for row in ROWS}
HIT = [{"_index": "i", "_id": row["id"], "_source": {"title": row["title"], "text": row["text"]}} for row in ROWS]
PAIRS = [["Alpha", ["The first", " text."]], ["Beta", ["The second", "text."]]]
KILT = {"_id": "a", "wikipedia_title": "Alpha", "text": ["Alpha\n", "The first\n", "text."], "anchors": []}

WORKS: dict[str, tuple[Callable[[Path], str], list[tuple[str, str, str]] | int]] = {
    "JSON lines with mixed line ends": (file("c.jsonl", HALVES[0].replace(b"\n", b"\r\n") + HALVES[1]), BOTH),
    "CSV with the line ends of old Macs": (file("c.csv", b"id,title,text\ra,Alpha,The first text.\r"), FIRST),
    "an object with records by id under `data`": (inside({"data": BY_ID}), BOTH),
    "an object with one record by id": (inside({"a": BY_ID["a"]}), FIRST),
    "an object with a list under another name": (inside({"count": 2, "articles": ROWS}), BOTH),
    "texts by id": (inside({"doc1": "One.", "doc2": "Two."}), [("doc1", "", "One."), ("doc2", "", "Two.")]),
    "an object with a list of texts": (inside({"documents": ["One.", "Two."]}), 2),
    "an object with names and rows apart (pandas)": (
        inside({"columns": list(ROWS[0]), "index": [0, 1], "data": [list(row.values()) for row in ROWS]}), BOTH),
    "an object whose first lines hold an array": (
        file("c.json", json.dumps({"meta": {"x": [1, "y"]}, "documents": ROWS}, indent=1).encode()), BOTH),
    "ids of MongoDB": (file("c.jsonl", b'{"_id": {"$oid": "a"}, "text": "x"}\n'), X),
    "CSV with another delimiter inside a name": (file("c.csv", b'id;text;"a,b,c,d"\na;x;y\n'), X),
    "an answer of Elasticsearch": (inside({"took": 3, "hits": {"total": {"value": 2}, "hits": HIT}}), BOTH),
    "a dump of Elasticsearch": (file("c.jsonl", lines(HIT)), BOTH),
    "an array of texts": (inside(["One.", "Two."]), 2),
    "texts, one JSON string per line": (file("c.jsonl", b'"One."\n"Two."\n'), 2),
    "`[title, [sentences]]` (HotpotQA)": (inside(PAIRS), 2),
    "`[title, [sentences]]`, one per line": (file("c.jsonl", lines(PAIRS)), 2),
    "`[title, [sentences]]` as the text": (file("c.jsonl", lines([{"id": "a", "text": PAIRS[0]}])), FIRST),
    "paragraphs of sentences as the text": (
        file("c.jsonl", lines([{"id": "a", "text": [["One.", " Two."], ["x"]]}])), [("a", "", "One. Two.\nx")]),
    "two arrays, one after another": (file("c.json", b"".join(ARRAYS)), BOTH),
    "an array of records per line": (file("c.jsonl", b"\n".join(ARRAYS)), BOTH),
    "KILT's knowledge source": (file("c.jsonl", lines([KILT])), [("a", "Alpha", "The first\ntext.")]),
    "WikiExtractor's pages": (file("wiki_00", PAGES), [("a", "Alpha & B", "One < two.")]),
    "WikiExtractor's pages, bzip2": (file("wiki_00.bz2", bz2.compress(PAGES)), [("a", "Alpha & B", "One < two.")]),
    "text that is null or NaN in one record": (
        file("c.jsonl", b'{"id": "n", "text": null}\n{"id": "m", "text": NaN}\n' + X_OF_NO_TITLE), 3),
    "a title that is a number": (file("c.jsonl", b'{"id": "a", "title": 1984, "text": "x"}\n'), [("a", "1984", "x")]),
    "an id of 30 digits": (file("c.jsonl", b'{"id": 123456789012345678901234567890, "text": "x"}\n'), 1),
    "metadata with objects in it (LangChain)": (
        file("c.jsonl", lines([{"id": "a", "text": "x", "metadata": {"loc": {"page": 1}}}])), X),
    "TSV of bars": (file("c.psv", b"id|title|text\na|Alpha|The first text.\n"), FIRST),
    "CSV named .txt": (file("c.txt", b"id,title,text\na,Alpha,The first text.\n"), FIRST),
    "parquet with bytes for text": (columns(id=pa.array([b"a"]), text=pa.array([b"x"])), X),
    "parquet with large strings": (
        columns(id=pa.array(["a"], pa.large_string()), text=pa.array(["x"], pa.large_string())), X),
    "parquet with a dictionary": (columns(id=pa.array(["a"]), text=pa.array(["x"]).dictionary_encode()), X),
    "parquet with lists of sentences": (
        columns(id=pa.array(["a"]), text=pa.array([["One.", "Two."]])), [("a", "", "One. Two.")]),
    "parquet with a map and a date in the metadata": (
        columns(
            id=pa.array(["a", "b"]), text=pa.array(["x", "y"]),
            metadata=pa.array([[("k", datetime.date(2020, 1, 1))], None], pa.map_(pa.string(), pa.date32()))), 2),
    "gzip of several members": (file("c.jsonl.gz", gzip.compress(HALVES[0]) + gzip.compress(HALVES[1])), BOTH),
    "zstd of several frames": (file("c.jsonl.zst", zstd(HALVES[0]) + zstd(HALVES[1])), BOTH),
    "zstd by pzstd": (file("c.jsonl.zst", SKIPPABLE + zstd(lines(ROWS))), BOTH),
    "front matter in TOML": (markdown('+++\ntitle = "Alpha"\ndate = 2020-01-01\n+++'), AFTER),
    "front matter with a colon in the title": (
        markdown("---\ntitle: Alpha: the first\n---"), [("a.md", "Alpha: the first", "The first text.")]),
    "front matter with a comment": (markdown("---\ntitle: Alpha # the first\n---"), AFTER),
    "front matter with a folded title": (markdown("---\ntitle: >-\n  Alpha\ntags: [x]\n---"), AFTER),
    "front matter with a title of something else": (markdown("---\nimage:\n  title: Beta\ntitle: Alpha\n---"), AFTER),
    "front matter with an empty title": (markdown("---\ntitle:\ndate: 2020-13-45\n---\n# Alpha"), AFTER),
    "front matter that ends with `...`": (markdown("---\ntitle: Alpha\n..."), AFTER),
    "Markdown that begins with a rule": (
        markdown("---\n\nNo title: this is prose.\n\n---"),
        [("a.md", "a", "---\n\nNo title: this is prose.\n\n---\nThe first text.")]),
    "HTML in Latin-1": (file("a.html", (PAGE % "<meta charset=iso-8859-1>").encode("latin-1")), FROM_PAGE),
    "HTML that names no charset that exists": (file("a.html", (PAGE % "<meta charset=x-none>").encode()), FROM_PAGE),
    "HTML in UTF-16": (file("a.html", (PAGE % "").encode("utf-16")), FROM_PAGE),
    "a folder with shards of BEIR in parquet": (
        named("corpus/a-00000-of-00001.jsonl", "queries/a-00000-of-00001.jsonl"), 1),
    "a folder of shards with config.json": (
        folder(a_jsonl=HALVES[0], b_jsonl=HALVES[1], config_json=b'{"x": 1}'), BOTH),
    "a folder with a pipe, a socket, a device and a loop": (odd_files, [("a.txt", "a", "x")]),
    "CSV with empty rows of a spreadsheet": (
        file("c.csv", b",,\nid,title,text\n,,\na,Alpha,The first text.\n,,\n"), FIRST),
    "CSV files put together, names and byte order marks and all": (
        file("c.csv", (NAMES := b"\xef\xbb\xbfid, title,text\r\n") + b"a,Alpha,The first text.\r\n" + NAMES), FIRST),
    "ids that pandas wrote as 1.0": (
        columns(id=pa.array([1.0, 2.0]), title=pa.array([1984.0, None]), text=pa.array(["x", "y"])),
        [("1", "1984", "x"), ("2", "", "y")]),
    "rows as the hub's server gives them": (inside({"rows": [{"row_idx": 0, "row": ROWS[0]}], "features": []}), FIRST),
    "half a character in an array": (inside([{"id": "a", "title": "t\ud83d", "text": "x"}]), [("a", "t\ufffd", "x")]),
    "an empty field before one with the text": (
        inside([{"id": "a", "contents": " ", "title": "", "Text": "The first text.", "heading": "Alpha"}]), FIRST),
    "Markdown that begins with a link, a box or JSON": (
        notes("[[Alpha]] is.", "[ ] to do", '{"title": "x"}\n\nText.', '["Alpha," he said.]'), 4),
    "text of quotations": (notes('"One."\n"Two."\nThree.', '{"a"} is a set.'), 2),
    "texts, one JSON string per line, named .txt": (file("c.txt", b'"One."\n"Two."\n'), 2),
    "a long JSON line named .txt": (
        file("c.txt", lines([{"id": "a", "text": "word " * 20_000}, {"id": "b", "text": "x"}])), 2),
    "front matter with a title of null": (markdown("---\ntitle: null\n---"), [("a.md", "a", "The first text.")]),
    "a part of an HTML page": (file("a.html", f"<p>{TEXT_OF_PAGE}</p>".encode()), [("a.html", "a", TEXT_OF_PAGE)]),
    "soft hyphens and byte order marks within words": (
        file("c.jsonl", lines([{"id": "a", "title": "Al\u00adpha", "text": "The fi\u2060rst \ufefftext."}])), FIRST),
    "names with spaces, emoji and line ends": (named("a b.txt", "\U0001f600.txt", "n\nl.txt"), 3),
}  # fmt: skip
REFUSED: dict[str, tuple[Callable[[Path], str], str]] = {
    "something after an array": (
        file("c.json", json.dumps(ROWS, indent=1).encode() + b"\nx"), "something else follows the array"),
    "an array of rows without names": (inside([["a", "Alpha", "x", 1]]), 'not list (["a", "Alpha", "x", 1])'),
    "a number of 5,000 digits": (file("c.jsonl", b'{"id": ' + b"9" * 5000 + b"}\n"), "thousands of digits"),
    "a list of objects as the text": (
        file("c.jsonl", b'{"id": "a", "text": [{"text": "x"}]}\n'), "not a list that holds dict"),
    "CSV with a lone quote before a row with another": (
        file("c.csv", b'id,text\nq8,x\nq9,"One, or\nq10,two\nq11,three"\n'), "line 3: a lone quote joins 3 lines"),
    "TSV with a lone quote and a row of other length": (
        file("c.tsv", b'id\ttext\na\t"One\nb\ttwo\tand\nc\tthree"\n'), "line 2: a lone quote joins 3 lines"),
    "parquet with a date after the year 9999": (
        columns(text=pa.array(["x"]), metadata=pa.array([{"d": 10**7}], pa.struct([("d", pa.date32())]))),
        "row 1: date value out of range"),
    "parquet with an object that has a name twice": (
        columns(text=pa.array(["x"]), metadata=pa.StructArray.from_arrays([pa.array([1])] * 2, names=["a", "a"])),
        "row 1: Converting to Python dictionary"),
    "an unnamed column of texts": (file("c.csv", b"d1,One.\nd2,Two.\n"), "column names come from the first line"),
    "CSV with a NUL byte far inside": (
        file("c.csv", b"id,text\n" + b"".join(b"%d,x\n" % n for n in range(9_000)) + b"b,\0\n"),
        "line 9002: it holds a NUL byte"),
    "text with a NUL byte far inside": (file("a.txt", b"word\n" * 9_000 + b"\0"), "it holds a NUL byte in line 9001"),
    "bytes that are not UTF-8 in parquet": (columns(text=pa.array([b"\xff"])), "row 1: field 'text' is not UTF-8"),
    "parquet with two columns of one name": (twice_named, "two columns are named 'text'"),
    "parquet in gzip": (packed_parquet, "a packed parquet file: unpack it first"),
    "gzip with something after its end": (
        file("c.jsonl.gz", gzip.compress(lines(ROWS)) + b"junk"), "something else follows its end"),
    "zstd that was cut": (file("c.jsonl.zst", zstd(lines(ROWS * 99))[:-9]), "ends too early"),
    "WikiExtractor's pages that were cut": (file("wiki_00", PAGES[:-8]), "the page has no </doc>"),
    "gzip in gzip": (file("c.jsonl.gz", gzip.compress(gzip.compress(lines(ROWS)))), "packed twice"),
    "UTF-16 without its mark": (file("c.jsonl", lines(ROWS).decode().encode("utf-16-le")), "save it as UTF-8"),
    "a pipe": (pipe, "a pipe, a socket or a device"),
    "a device": (lambda place: "/dev/zero", "a pipe, a socket or a device"),
    "a dump of MediaWiki": (file("c.xml", b'<mediawiki xmlns="x">\n<page></page></mediawiki>'), "run WikiExtractor"),
    "TREC's form": (file("c.trec", b"<DOC>\n<DOCNO> a </DOCNO>\nx\n</DOC>\n"), "it is TREC's form"),
    "a notebook": (file("c.ipynb", b'{"cells": [], "nbformat": 4}'), "export it as Markdown"),
    "a spreadsheet": (holding("c.xlsx", "xl/workbook.xml"), "save it as CSV"),
    "an e-book": (holding("c.epub", "OEBPS/1.xhtml"), "save it as HTML or PDF"),
    "a message": (file("c.eml", b"From: a@b\nSubject: x\n\nx\n"), "save it as text or HTML"),
    "an old Word file": (file("c.doc", b"\xd0\xcf\x11\xe0" + bytes(99)), "it is an old Office file"),
    "a pickle": (file("c.pkl", b"\x80\x04]q\x00."), "Python objects, which are not loaded"),
    "YAML": (file("c.yaml", b"- id: a\n"), "write its records as JSON lines"),
    "source code": (file("c.py", b"x = 1\n"), "name it .txt"),
    "a Delta table": (named("_delta_log/0.json", "a.jsonl"), "is a Delta table"),
    "a file name with control characters": (named("a\x01.txt"), "holds control characters"),
}  # fmt: skip
SKIPPED = {
    "something after an array", "an array of rows without names", "a number of 5,000 digits",
    "a list of objects as the text", "an unnamed column of texts", "CSV with a NUL byte far inside",
    "text with a NUL byte far inside", "bytes that are not UTF-8 in parquet", "parquet with two columns of one name",
    "CSV with a lone quote before a row with another", "TSV with a lone quote and a row of other length",
    "parquet with a date after the year 9999", "parquet with an object that has a name twice",
    "parquet in gzip", "gzip with something after its end", "zstd that was cut", "WikiExtractor's pages that were cut",
    "a file name with control characters",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.mark.parametrize("kind", WORKS)
def test_a_kind_is_read(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make, expected = WORKS[kind]
    found = read(make(tmp_path))
    assert (len(found) if isinstance(expected, int) else found) == expected


@pytest.mark.parametrize("kind", REFUSED)
def test_a_kind_is_refused_and_named(kind: str, tmp_path: Path) -> None:
    make, problem = REFUSED[kind]
    source = make(tmp_path)
    with pytest.raises(QuestwellError) as raised:
        read(source)
    assert problem in str(raised.value)
    assert Path(source).name in str(raised.value) or "a\\x01.txt" in str(raised.value)


@pytest.mark.parametrize("kind", sorted(SKIPPED))
def test_what_is_malformed_can_be_skipped(kind: str, tmp_path: Path) -> None:
    report = ReadReport()
    read(REFUSED[kind][0](tmp_path), report, skip_bad=True)
    assert REFUSED[kind][1] in f"{report.bad[0].place.rpartition('/')[2]}: {report.bad[0].problem}"


def test_the_docs_list_what_is_tried_and_nothing_else() -> None:
    page = (Path(__file__).parents[4] / "docs" / "corpus-forms.md").read_text(encoding="utf-8")
    told = [re.findall(r"^- (.+)$", part, re.MULTILINE) for part in page.split("\n## ")[1:]]
    skipped = {*kinds_test.SKIPPED, *SKIPPED}
    refused = {*kinds_test.REFUSED, *REFUSED}
    assert [set(kinds) for kinds in told] == [{*kinds_test.WORKS, *WORKS}, refused & skipped, refused - skipped]
    assert sum(map(len, told)) == len(set().union(*told)) > 160


def test_titles_and_sentences_of_pairs_are_the_documents(tmp_path: Path) -> None:
    expected = [("Alpha", "The first text."), ("Beta", "The second text.")]
    for kind in ("`[title, [sentences]]` (HotpotQA)", "`[title, [sentences]]`, one per line"):
        assert [found[1:] for found in read(WORKS[kind][0](tmp_path))] == expected


def test_a_title_of_wikiextractor_may_have_quotes(tmp_path: Path) -> None:
    page = b'\xef\xbb\xbf<doc id="a" url="u" title="The "T" thing">\r\nThe "T" thing\r\n\r\nx\r\n</doc>\r\n'
    assert read(file("wiki_00", page)(tmp_path)) == [("a", 'The "T" thing', "x")]


def test_what_goes_along_with_shards_is_no_document(tmp_path: Path) -> None:
    names = ("a.jsonl", "requirements.txt", "LICENSE.txt", "checksums.txt", "CONTRIBUTING.md")
    assert [found[0] for found in read(named(*names)(tmp_path))] == ["a.jsonl"]


def test_metadata_of_objects_maps_and_dates_can_be_searched_by(tmp_path: Path) -> None:
    def metadata(kind: str) -> list[tuple[tuple[str, str], ...]]:
        return [one.metadata for one in read_documents(CorpusSpec(WORKS[kind][0](tmp_path)))]

    assert metadata("metadata with objects in it (LangChain)") == [(("loc.page", "1"),)]
    assert metadata("parquet with a map and a date in the metadata") == [(("k", "2020-01-01"),), ()]


def test_documents_without_text_are_counted_and_named(tmp_path: Path) -> None:
    report = ReadReport()
    found = read(WORKS["text that is null or NaN in one record"][0](tmp_path), report)
    assert (found[-1], report.empty, report.empty_ids, report.incomplete) == (("a", "", "x"), 2, ["n", "m"], True)


def test_one_record_of_unknown_fields_is_no_object_of_texts(tmp_path: Path) -> None:
    source = file("c.json", b'{"key": "One.", "words": "Two."}')(tmp_path)
    with pytest.raises(CorpusError, match=r"line 1: field 'text' is missing"):
        read(source)
    assert read(source, fields=FieldNames("key", text="words")) == [("One.", "", "Two.")]


def test_a_folder_that_cannot_be_opened_is_counted_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = named("a.txt", "closed/b.txt")(tmp_path)
    scandir = os.scandir

    def refuse(path: str) -> object:
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    report = ReadReport()
    assert [found[0] for found in read(source, report)] == ["a.txt"]
    assert report.left_out == {"a folder that cannot be opened": ["closed/"]}


def test_what_may_not_be_read_is_counted_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = named("a.txt", "closed.txt")(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: not os.fspath(path).endswith("closed.txt"))
    report = ReadReport()
    assert [found[0] for found in read(source, report)] == ["a.txt"]
    assert report.left_out == {"a file that may not be read (permission denied)": ["closed.txt"]}
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(QuestwellError, match=r"folder .* cannot be opened: permission denied"):
        read(source)


def test_files_that_hold_no_documents_are_left_out_by_name(tmp_path: Path) -> None:
    report = ReadReport()
    read(WORKS["a folder of shards with config.json"][0](tmp_path), report)
    assert report.left_out == {"a file about the data or a program": ["config.json"]}
