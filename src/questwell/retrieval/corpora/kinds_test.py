"""Corpora as they lie on disks: each kind is read, or refused with a clear error. The docs have their table."""

import bz2
import gzip
import json
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questwell.errors import QuestwellError
from questwell.retrieval.corpora.corpus import CorpusSpec, Duplicates, ReadReport, read_documents
from questwell.retrieval.corpora.fields import FieldNames

TEXTS = {"a": ("Alpha", "The first text."), "b": ("Beta", "The second text.")}
ROWS = [{"id": key, "title": title, "text": text} for key, (title, text) in TEXTS.items()]
BOTH = [(key, title, text) for key, (title, text) in TEXTS.items()]


def renamed(**names: str) -> list[dict[str, str]]:
    return [{names.get(key, key): value for key, value in row.items()} for row in ROWS]


def lines(rows: list[dict]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def file(name: str, content: bytes) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        (folder / name).write_bytes(content)
        return str(folder / name)

    return make


def folder(**files: bytes) -> Callable[[Path], str]:
    def make(place: Path) -> str:
        for name, content in files.items():
            path = place / "c" / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return str(place / "c")

    return make


def parquet(name: str, rows: list[dict] = ROWS) -> Callable[[Path], str]:
    def make(place: Path) -> str:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), place / name)
        return str(place / name)

    return make


def arrow(name: str, *, stream: bool) -> Callable[[Path], str]:
    def make(place: Path) -> str:
        table = pa.Table.from_pylist(ROWS)
        with (pa.ipc.new_stream if stream else pa.ipc.new_file)(str(place / name), table.schema) as writer:
            writer.write_table(table)
        return str(place / name)

    return make


def shards(place: Path) -> str:
    for number, row in enumerate(ROWS):
        parquet(f"wiki/data/train-0000{number}.parquet", [row])(place)
    (place / "wiki" / "README.md").write_text("# Wiki")
    return str(place / "wiki")


def glob(place: Path) -> str:
    shards(place)
    return str(place / "wiki" / "*" / "*.parquet")


def saved(place: Path) -> str:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(ROWS).save_to_disk(place / "saved")
    return str(place / "saved")


def saved_splits(place: Path) -> str:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    parts = {name: datasets.Dataset.from_list([row]) for name, row in zip(("train", "test"), ROWS, strict=True)}
    datasets.DatasetDict(parts).save_to_disk(place / "saved")
    return str(place / "saved")


def hub(place: Path) -> str:
    """A data set of the hub in the form of a folder, which its library takes without a network."""
    (place / "org").mkdir()
    (place / "org" / "corpus.jsonl").write_bytes(lines(ROWS))
    return f"hf:{place / 'org'}@train"


def zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)


def bad_utf8_parquet(place: Path) -> str:
    text = pa.array([b"The first text.", b"\xff\xfe"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": ["a", "b"], "text": text}), place / "c.parquet")
    return str(place / "c.parquet")


def surrogate_name(place: Path) -> str:
    (place / "c").mkdir()
    try:
        (place / "c" / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"Text.")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    return str(place / "c")


def outward_link(place: Path) -> str:
    (place / "c").mkdir()
    (place / "secret.txt").write_text("Not part of the corpus.")
    (place / "c" / "link.txt").symlink_to(place / "secret.txt")
    return str(place / "c")


def docx(place: Path) -> str:
    module = pytest.importorskip("docx")
    document = module.Document()
    document.core_properties.title = "Alpha"
    document.add_paragraph("The first text.")
    document.save(str(place / "a.docx"))
    return str(place / "a.docx")


def zipped(place: Path) -> str:
    with zipfile.ZipFile(place / "c.zip", "w") as archive:
        archive.writestr("c.jsonl", lines(ROWS))
    return str(place / "c.zip")


def tarred(place: Path) -> str:
    (place / "c.jsonl").write_bytes(lines(ROWS))
    with tarfile.open(place / "c.tar.gz", "w:gz") as archive:
        archive.add(place / "c.jsonl", "c.jsonl")
    return str(place / "c.tar.gz")


def circle(place: Path) -> str:
    (place / "c").symlink_to(place / "c")
    return str(place / "c")


PDF = b"""%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 300 99]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>> endobj
4 0 obj <</Length 47>> stream
BT /F 12 Tf 20 50 Td (The first text.) Tj ET   
endstream endobj
5 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj
6 0 obj <</Title (Alpha)>> endobj
trailer <</Root 1 0 R/Info 6 0 R/Size 7>>
startxref
0
%%EOF
"""
SENTENCES = " ".join(f"Sentence {number} of the first text says something of the lighthouse." for number in range(9))
HTML = f"""<!doctype html><html><head><title>Alpha</title></head><body><nav><a href=x>Home</a></nav>
<article><p>{SENTENCES}</p></article><footer>Imprint</footer></body></html>""".encode()
HIPPO = json.dumps({"A": ["One.", "Two."], "B": ["x"]}).encode()
HIPPO_2 = json.dumps([{"title": title, "text": text} for _, title, text in BOTH]).encode()
TABLE = "id,title,text\na,Alpha,The first text.\nb,Beta,The second text.\n"
QUOTED = b'id\ttext\ttitle\na\t"The ""first"" text."\tAlpha\n'
MANY = [{"id": "x", "text": "One."}, {"id": "x", "text": "Two."}]
LONE_QUOTE = b'id\ttitle\ttext\na\tAlpha\t"The first text.\nb\tBeta\tThe second "text".\n'

BY_NAME = [("a.txt", "a", "The first text."), ("b.md", "Beta", "The second text.")]
FIRST = [("a", "Alpha", "The first text.")]

WORKS: dict[str, tuple[Callable[[Path], str], list[tuple[str, str, str]] | int]] = {
    "JSON lines": (file("c.jsonl", lines(ROWS)), BOTH),
    "JSON lines named .json": (file("c.json", lines(ROWS)), BOTH),
    "JSON lines named .JSONL": (file("C.JSONL", lines(ROWS)), BOTH),
    "JSON lines without an ending": (file("wiki_00", lines(ROWS)), BOTH),
    "JSON lines, byte order mark and CRLF": (
        file("c.jsonl", b"\xef\xbb\xbf" + lines(ROWS).replace(b"\n", b"\r\n")), BOTH),
    "JSON array": (file("c.json", json.dumps(ROWS).encode()), BOTH),
    "JSON array over several lines, named .jsonl": (file("c.jsonl", json.dumps(ROWS, indent=2).encode()), BOTH),
    "objects over several lines, one after another": (
        file("c.json", b"\n".join(json.dumps(row, indent=1).encode() for row in ROWS)), BOTH),
    "an object with a list of records": (file("c.json", json.dumps({"data": ROWS}).encode()), BOTH),
    "records by id": (file("c.json", json.dumps({r["id"]: r for r in ROWS}, indent=1).encode()), BOTH),
    "sentences by title (HippoRAG)": (file("hotpotqa_corpus.json", HIPPO), 2),
    "titles and texts without ids (HippoRAG)": (
        file("musique_corpus.json", HIPPO_2), 2),
    "gzip": (file("c.jsonl.gz", gzip.compress(lines(ROWS))), BOTH),
    "gzip without its ending": (file("c.jsonl", gzip.compress(lines(ROWS))), BOTH),
    "bzip2": (file("wiki_00.bz2", bz2.compress(lines(ROWS))), BOTH),
    "zstd": (file("c.jsonl.zst", zstd(lines(ROWS))), BOTH),
    "xz": (file("c.json.xz", lzma.compress(json.dumps(ROWS).encode())), BOTH),
    "CSV": (file("c.csv", b'id,title,text\na,Alpha,The first text.\nb,Beta,"The second text."\n'), BOTH),
    "CSV with semicolons": (file("c.csv", b"id;title;text\na;Alpha;The first text.\nb;Beta;The second text.\n"), BOTH),
    "TSV (DPR's psgs_w100)": (
        file("psgs_w100.tsv", QUOTED), [("a", "Alpha", 'The "first" text.')]),
    "TSV without names (MS MARCO)": (
        file("collection.tsv", b"0\tOne.\n1\tTwo.\n"), [("0", "", "One."), ("1", "", "Two.")]),
    "TSV with a lone quote": (
        file("c.tsv", LONE_QUOTE), [("a", "Alpha", '"The first text.'), ("b", "Beta", 'The second "text".')]),
    "parquet": (parquet("c.parquet"), BOTH),
    "arrow file": (arrow("c.arrow", stream=False), BOTH),
    "arrow stream": (arrow("c.arrow", stream=True), BOTH),
    "a folder of parquet shards with a README": (shards, BOTH),
    "a pattern of shards": (glob, BOTH),
    "`save_to_disk`": (saved, BOTH),
    "`save_to_disk` with splits": (saved_splits, BOTH),
    "`hf:NAME`": (hub, BOTH),
    "BEIR (`_id`), with queries next to it": (
        folder(corpus_jsonl=lines(renamed(id="_id")), queries_jsonl=b'{"_id": "q", "text": "?"}\n'), BOTH),
    "BrowseComp-Plus (`docid`)": (parquet("c.parquet", renamed(id="docid")), BOTH),
    "`doc_id` and `content`": (file("c.jsonl", lines(renamed(id="doc_id", text="content"))), BOTH),
    "`body`": (file("c.jsonl", lines(renamed(text="body"))), BOTH),
    "`passage`": (file("c.jsonl", lines(renamed(text="passage"))), BOTH),
    "a stated title next to `contents`": (file("c.jsonl", lines(renamed(text="contents"))), BOTH),
    "text as a list of sentences": (
        file("c.jsonl", b'{"id": "a", "title": "Alpha", "text": ["The first", " text."]}\n'), FIRST),
    "ids with spaces and quotes": (file("c.jsonl", lines([{"id": ' "a" ', "text": "x"}])), [(' "a" ', "", "x")]),
    "a folder of text and Markdown": (folder(a_txt=b"The first text.", b_md=b"# Beta\n\nThe second text."), BY_NAME),
    "Markdown whose front matter has a title": (
        file("a.md", b"---\ntitle: 'Alpha'\ntags: x\n---\nThe first text.\n"), [("a.md", "Alpha", "The first text.")]),
    "reStructuredText": (file("a.rst", b"Alpha\n=====\n\nThe first text.\n"), [("a.rst", "Alpha", "The first text.")]),
    "text in UTF-16": (file("a.txt", "The first text.".encode("utf-16")), [("a.txt", "a", "The first text.")]),
    "HTML": (file("a.html", HTML), [("a.html", "Alpha", SENTENCES)]),
    "PDF": (file("a.pdf", PDF), [("a.pdf", "Alpha", "The first text.")]),
    "docx": (docx, [("a.docx", "Alpha", "The first text.")]),
    "CSV in UTF-16": (file("c.csv", TABLE.encode("utf-16")), BOTH),
    "TSV in UTF-16 named .txt (Excel's Unicode text)": (
        file("c.txt", TABLE.replace(",", "\t").encode("utf-16")), BOTH),
    "JSON lines in UTF-16": (file("c.jsonl", lines(ROWS).decode().encode("utf-16")), BOTH),
    "TSV with CRLF and line ends inside quotes": (
        file("c.tsv", b'id\ttitle\ttext\r\na\tAlpha\t"The first\r\ntext."\r\nb\tBeta\tThe second text.\r\n'),
        [("a", "Alpha", "The first\ntext."), BOTH[1]]),
    "CSV whose first line is `sep=;`": (file("c.csv", ("sep=;\r\n" + TABLE.replace(",", ";")).encode()), BOTH),
    "CSV with two empty columns and two of one name": (
        file("c.csv", TABLE.replace("\n", ",,x,y\n").replace("x,y", "note,note", 1).encode()), BOTH),
    "JSON lines with a comma after each": (file("c.jsonl", lines(ROWS).replace(b"}\n", b"},\n")), BOTH),
    "an array with a comma before its end": (file("c.json", json.dumps(ROWS).replace("}]", "},]").encode()), BOTH),
    "an object with one list of one record": (file("c.json", json.dumps({"data": ROWS[:1]}).encode()), FIRST),
    "an object with lists by split": (file("c.json", json.dumps({"test": ROWS[1:], "train": ROWS[:1]}).encode()), BOTH),
    "an object of columns": (
        file("c.json", json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]}).encode()), BOTH),
    "an object of columns by row (pandas)": (
        file("c.json", json.dumps({key: {str(n): row[key] for n, row in enumerate(ROWS)} for key in ROWS[0]}).encode()),
        BOTH),
    "ids of numbers and of text": (file("c.jsonl", lines([{"id": 7, "text": "x"}, {"id": "8", "text": "y"}])), 2),
    "`page_content` (LangChain)": (file("c.jsonl", lines([{"page_content": "x"}, {"page_content": "y"}])), 2),
    "`url` and `markdown` of a crawler": (file("c.jsonl", lines([{"url": "u", "markdown": "x", "title": "T"}])), 1),
    "one line of 3 MB": (file("c.jsonl", lines([{"id": "a", "text": "word " * 600_000}])), 1),
}  # fmt: skip
REFUSED: dict[str, tuple[Callable[[Path], str], str]] = {
    "gzip that was cut": (file("c.jsonl.gz", gzip.compress(lines(ROWS) * 99)[:-9]), "ends too early"),
    "named .gz and not packed": (file("c.jsonl.gz", lines(ROWS)), "its name ends in .gz but it has another format"),
    "parquet that was cut": (file("c.parquet", b"PAR1 and no more"), "Parquet"),
    "bad UTF-8 in parquet": (bad_utf8_parquet, "row 2: not UTF-8"),
    "bad UTF-8 in JSON lines": (file("c.jsonl", lines(ROWS) + b'{"id": "x", "text": "\xff"}\n'), "line 3: not UTF-8"),
    "bad UTF-8 in CSV": (file("c.csv", b"id,text\na,\xff\n"), "line 2: not UTF-8"),
    "JSON array that was cut": (file("c.json", json.dumps(ROWS).encode()[:-20]), "record 2: not JSON"),
    "CSV with a quote that is not closed": (file("c.csv", b'id,text\na,"One.\nb,Two.\n'), "stray quote"),
    "a row with too many fields": (file("c.csv", b"id,text\na,One, two.\n"), "3 fields under 2 column names"),
    "no field that is known": (file("c.jsonl", b'{"key": 1, "words": "x"}\n'), "the record has key, words"),
    "two documents of one id": (file("c.jsonl", lines(MANY)), "--duplicates first"),
    "a file name that is not UTF-8": (surrogate_name, "its name is not UTF-8"),
    "a link that leads out of the folder": (outward_link, "1 a link that leads out of the folder (link.txt)"),
    "a folder of images": (folder(a_png=b"\x89PNG\0", b_png=b"\x89PNG\0"), "2 .png (a.png, b.png)"),
    "a zip archive": (zipped, "it is a zip archive: unpack it first"),
    "PDF that is damaged": (file("a.pdf", b"%PDF-1.4\nnothing"), "not a readable PDF"),
    "docx that is damaged": (file("a.docx", b"PK\x03\x04nothing"), "not a readable docx"),
    "two columns for the text": (file("c.csv", b"id,text,text\na,One.,Two.\n"), "two columns are named 'text'"),
    "nested text in parquet": (parquet("c.parquet", [{"id": "a", "text": {"body": "x"}}]), "'text' must be a string"),
    "UTF-16 that was cut": (file("c.csv", TABLE.encode("utf-16")[:-1]), "not valid UTF-16"),
    "text in another encoding": (file("a.txt", "Zwei Möwen.".encode("latin-1")), "not UTF-8 in line 1"),
    "a tar archive": (tarred, "it is a tar archive: unpack it first"),
    "an SQLite database": (file("c.db", b"SQLite format 3\0" + bytes(84)), "it is an SQLite database"),
    "a pointer of Git LFS": (
        file("c.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n"), "run git lfs pull"),
    "a pointer of Git LFS in place of a text": (
        file("a.txt", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n"), "run git lfs pull"),
    "a web page in place of a download": (
        file("c.jsonl", b"<!DOCTYPE html><html><body>404 Not Found</body></html>"), "it is a web page"),
    "text with NUL bytes": (file("c.jsonl", lines(ROWS) + bytes(9)), "it contains NUL bytes"),
    "a folder of hidden files": (folder(_a_txt=b"x", _b_txt=b"y"), "2 hidden (.a.txt, .b.txt)"),
    "a link to itself": (circle, "Symlink loop"),
    "an empty name": (lambda place: " ", "the name of the corpus is empty"),
    "nothing there": (lambda place: str(place / "nowhere.jsonl"), "nor an existing file or folder"),
}  # fmt: skip
SKIPPED = {
    "gzip that was cut", "bad UTF-8 in parquet", "bad UTF-8 in JSON lines", "bad UTF-8 in CSV", "parquet that was cut",
    "JSON array that was cut", "CSV with a quote that is not closed", "a row with too many fields",
    "no field that is known", "a file name that is not UTF-8", "PDF that is damaged", "docx that is damaged",
    "two columns for the text", "nested text in parquet", "UTF-16 that was cut", "text in another encoding",
}  # fmt: skip
"""What `--skip-bad` passes over."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")


def read(source: str, report: ReadReport | None = None, **options) -> list[tuple[str, str, str]]:
    documents = read_documents(CorpusSpec(source, **options), report)
    return [(document.id, document.title, document.text.strip()) for document in documents]


@pytest.mark.parametrize("kind", WORKS)
def test_a_kind_is_read(kind: str, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("kind", sorted(SKIPPED))
def test_what_is_malformed_can_be_skipped(kind: str, tmp_path: Path) -> None:
    report = ReadReport()
    read(REFUSED[kind][0](tmp_path), report, skip_bad=True)
    assert REFUSED[kind][1] in f"{report.bad[0].place}: {report.bad[0].problem}".replace(f"{tmp_path}", "")


def test_the_first_of_a_repeated_id_can_be_kept(tmp_path: Path) -> None:
    report = ReadReport()
    source = file("c.jsonl", lines(MANY))(tmp_path)
    assert read(source, report, duplicates=Duplicates.FIRST) == [("x", "", "One.")]
    assert report.repeated == 1


def test_fields_can_be_named(tmp_path: Path) -> None:
    source = file("c.csv", b"Key,Name,Words,text\na,Alpha,The first text.,no\n")(tmp_path)
    assert read(source, fields=FieldNames("Key", "name", "Words")) == FIRST
    with pytest.raises(QuestwellError, match=r"field 'word' is missing; the record has Key, Name, Words, text"):
        read(source, fields=FieldNames(text="word"))


def test_ids_made_from_content_are_the_same_each_time_and_a_repeated_text_counts_once(tmp_path: Path) -> None:
    rows = [{"text": "One."}, {"text": "Two."}, {"text": "One."}]
    report = ReadReport()
    first = read(file("c.jsonl", lines(rows))(tmp_path), report)
    assert (len(first), report.repeated) == (2, 1)
    assert read(file("d.jsonl", lines(rows[1:]))(tmp_path)) == [first[1], first[0]]


def test_what_a_folder_holds_besides_is_counted_and_named(tmp_path: Path) -> None:
    source = folder(a_txt=b"The first text.", b_jsonl=lines(ROWS), c_png=b"\x89PNG\0")(tmp_path)
    (Path(source) / ".git").mkdir()
    report = ReadReport()
    assert [found[0] for found in read(source, report)] == ["a.txt"]
    assert report.left_out == {
        "hidden": [".git/"],
        ".png": ["c.png"],
        "records next to documents (name them by a glob to read them)": ["b.jsonl"],
    }


def test_after_a_skipped_record_the_rest_is_read(tmp_path: Path) -> None:
    bad = b'{"id": "x", "text": "\xff"}\n{"id": "y"}\n{\n'
    (tmp_path / "c.jsonl").write_bytes(bad + lines(ROWS))
    assert read(str(tmp_path / "c.jsonl"), skip_bad=True) == BOTH
    (tmp_path / "c.csv").write_bytes(b'id,title,text\nx,"y"z,w\nq,r\na,Alpha,The first text.\n')
    assert read(str(tmp_path / "c.csv"), skip_bad=True) == FIRST


def test_a_long_array_is_read_piece_by_piece(tmp_path: Path) -> None:
    rows = [{"id": number, "text": '[{}]\\" é ' * 9_000} for number in range(40)]
    (tmp_path / "c.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    found = read(str(tmp_path / "c.json"))
    assert found == [(str(row["id"]), "", str(row["text"]).strip()) for row in rows]
