"""`questwell index` on an index that is there: documents put in, replaced and deleted, told honestly, all or none."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from questwell.assets.cache import exclusive
from questwell.cli.app import app
from questwell.retrieval.index.lexical import LexicalIndex


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(path: Path, texts: dict[str, str]) -> Path:
    path.write_text("".join(json.dumps({"id": key, "title": key, "text": text}) + "\n" for key, text in texts.items()))
    return path


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten documents, indexed in the cache folder."""
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    path = write(tmp_path / "c.jsonl", {f"d{number}": f"amber stone {number}." for number in range(10)})
    assert call("index", path).exit_code == 0
    return path


@pytest.fixture
def changes(corpus: Path) -> list[object]:
    """Flags of an update: one document is new, one other, one as it was, one without text; two ids, one not there."""
    texts = {"d2": "beryl stone.", "d8": " ", "n": "beryl.", "d0": "amber stone 0."}
    (corpus.parent / "ids.txt").write_text("\ufeffd3\r\n\n  nowhere \n", encoding="utf-8")
    return ["--upsert", write(corpus.parent / "new.jsonl", texts), "--delete", corpus.parent / "ids.txt"]


def held(*flags: object) -> set[tuple[str, str]]:
    """(document, text) of what an index holds."""
    index = LexicalIndex.open(Path(json.loads(call("index", *flags, "--json").stdout)["folder"]))
    return {(passage.document_id, passage.text) for passage in map(index.passage_at, range(len(index)))}


AFTER = {(f"d{number}", f"amber stone {number}.") for number in (0, 1, 4, 5, 6, 7, 9)}
AFTER |= {("d2", "beryl stone."), ("n", "beryl.")}


def test_what_became_of_each_document_is_told(corpus: Path, changes: list[object]) -> None:
    before = json.loads(call("index", corpus, "--json").stdout)
    assert before["updated"] is False
    done = call("index", corpus, *changes)
    assert done.exit_code == 0, done.output
    assert "1 added, 1 replaced, 2 removed, 1 already there as given" in done.stdout
    assert "Not found, so not removed: 1\n" in done.stdout
    assert "9 passages of 9 documents" in done.stdout
    assert f"before {before['snapshot']}" in done.stdout
    assert "Vectors" not in done.stdout
    assert held(corpus) == AFTER
    assert "changed since it was built" in call("index", corpus).stdout
    again = json.loads(call("index", corpus, *changes, "--json").stdout)
    counts = [again[name] for name in ("added", "replaced", "removed", "unchanged", "absent", "skipped", "passages")]
    assert counts == [0, 0, 0, 3, 3, 0, 9]  # d3, d8 and one that never was
    assert again["snapshot"] == again["snapshot_before"] != before["snapshot"]
    assert f"{again['snapshot']}, as before" in call("index", corpus, *changes).stdout


def test_another_index_no_index_and_bad_files_are_refused_and_change_nothing(
    corpus: Path, changes: list[object], tmp_path: Path
) -> None:
    folder = json.loads(call("index", corpus, "--json").stdout)["folder"]
    before = held(corpus)
    other = write(tmp_path / "other.jsonl", {"x": "jade."})
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "n", "text": "beryl."}\n{broken\n')
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    everything = tmp_path / "all.txt"
    everything.write_text("".join(f"d{number}\n" for number in range(10)))
    for flags, code, told in (
        ((other, "--index", folder, *changes), 1, "contains an index of 'c'"),
        ((corpus, "--index", folder, "--analyzer", "multi", *changes), 1, "with analyser 'en'"),
        ((other, *changes), 1, "there is no complete index of"),
        ((corpus, "--index", tmp_path / "none", *changes), 1, "there is no complete index of"),
        ((corpus, "--upsert", bad), 1, "bad.jsonl, line 2"),
        ((corpus, "--upsert", tmp_path / "nowhere.jsonl"), 2, "nowhere.jsonl"),
        ((corpus, "--delete", tmp_path / "nowhere.txt"), 2, "cannot be read: No such file"),
        ((corpus, "--delete", tmp_path / "latin.txt"), 2, "not UTF-8"),
        ((corpus, "--delete", everything), 1, "nothing would be left"),
        ((corpus, *changes, "--evaluate", bad), 2, "leave out --evaluate"),
    ):
        refused = call("index", *flags)
        assert refused.exit_code == code, refused.output
        assert told in refused.stderr
    assert held(corpus) == before
    assert not (tmp_path / "none").exists()


def test_malformed_records_are_skipped_if_the_index_was_built_so(corpus: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "n", "text": "beryl."}\n{broken\n')
    call("index", corpus, "--skip-bad")
    done = call("index", corpus, "--skip-bad", "--upsert", bad)
    assert "1 added" in done.stdout and "Skipped 1 malformed" in done.stdout
    assert "bad.jsonl, line 2" in done.stderr


KILLED = """
import os, signal, sys
from questwell.retrieval.index.manifest import Manifest
def die(*arguments): os.kill(os.getpid(), signal.SIGKILL)
setattr(Manifest, sys.argv.pop(1), die)
from questwell.cli.app import main
main()
"""


@pytest.mark.parametrize(("where", "made"), [("announce", False), ("write", True)])
def test_a_killed_update_is_made_or_not_and_the_same_command_ends_it(
    corpus: Path, changes: list[object], where: str, made: bool
) -> None:
    before = held(corpus)
    command = [sys.executable, "-c", KILLED, where, "index", str(corpus), *map(str, changes)]
    assert subprocess.run(command, env=dict(os.environ), check=False).returncode == -signal.SIGKILL
    assert held(corpus) == (AFTER if made else before)
    again = json.loads(call("index", corpus, *changes, "--json").stdout)
    assert (again["added"], again["unchanged"]) == ((0, 3) if made else (1, 1))
    assert held(corpus) == AFTER


def test_vectors_that_lag_are_told_and_made_when_asked_for(corpus: Path, changes: list[object]) -> None:
    pytest.importorskip("wordllama")
    hybrid = ("--retriever", "hybrid", "--embedder", "wordllama")
    assert call("index", corpus, *hybrid).exit_code == 0
    lagging = call("index", corpus, *changes)
    assert "Vectors of wordllama-l2-supercat-256: 2 passages have none yet" in lagging.stdout
    whole = json.loads(call("index", corpus, *changes, *hybrid, "--json").stdout)
    assert (whole["unchanged"], whole["lagging"]) == (3, {})
    (corpus.parent / "ids.txt").write_text("n\n")  # what is deleted lacks nothing
    upsert = write(corpus.parent / "more.jsonl", {"m": "jade.", "n": "jade.", "d2": "jade stone."})
    assert json.loads(call("index", corpus, "--upsert", upsert, "--json").stdout)["lagging"] == {
        "wordllama-l2-supercat-256": 3
    }
    left = json.loads(call("index", corpus, "--delete", corpus.parent / "ids.txt", "--json").stdout)
    assert left["lagging"] == {"wordllama-l2-supercat-256": 2}


def test_indexes_are_listed_and_those_of_no_use_are_deleted(corpus: Path, tmp_path: Path) -> None:
    (kept,) = (tmp_path / "home" / "indexes").iterdir()
    begun, old, used = (kept.with_name(f"{name}-0-en-3.1") for name in ("begun", "old", "used"))
    for folder in (begun, old, used):
        folder.mkdir()
        (folder / "lock").touch()
    (begun / "part").write_bytes(b"x" * 1000)
    (old / "manifest.json").write_text('{"version": "1.1"}')
    listed = json.loads(call("index", "--list", "--json").stdout)["kept"]
    assert [(Path(one["folder"]).name, one["passages"]) for one in listed] == [
        ("begun-0-en-3.1", None), (kept.name, 10), ("old-0-en-3.1", None), ("used-0-en-3.1", None),
    ]  # fmt: skip
    with exclusive(used / "lock"):
        done = call("index", "--prune")
    assert done.exit_code == 0, done.output
    assert "Deleted 2 indexes" in done.stdout
    assert sorted((tmp_path / "home" / "indexes").iterdir()) == sorted([kept, used])
    assert held(corpus)


def test_a_filter_and_dense_search_go_by_flag(corpus: Path, tmp_path: Path) -> None:
    rows = [{"id": f"d{n}", "text": f"amber stone {n}.", "metadata": {"lang": ["en", "de"][n % 2]}} for n in range(6)]
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = tmp_path / "asked.jsonl"
    asked.write_text(json.dumps({"question": "amber stone", "gold_doc_ids": ["d1", "d3"]}))
    flags = (path, "--evaluate", asked, "--json")
    found = json.loads(call("index", *flags, "--search-where", "lang=en").stdout)
    assert found["recall"]["5"]["mean"] == 0
    assert "{lang=" in found["retriever"]
    assert json.loads(call("index", *flags, "--search-where", "lang=de").stdout)["recall"]["5"]["mean"] == 1
    refused = call("index", path, "--search-where", "lang")
    assert refused.exit_code == 2 and "KEY=VALUE" in refused.output
