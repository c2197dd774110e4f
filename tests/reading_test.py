"""Every file that a user hands in is read by the same rules: byte order marks are dropped, lines end only at LF."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from questwell.agents.prompts import Prompts
from questwell.cli.app import app
from questwell.errors import BenchmarkError, ConfigError, QuestwellError
from questwell.evaluation.benchmarks import BenchmarkFile, load
from questwell.llm.streams import joined
from questwell.recipes.corpus.update import read_ids
from questwell.recipes.dataset.export import read_items
from questwell.recipes.generate.candidates import read_candidates
from questwell.recipes.generate.topics import read_topics
from questwell.recipes.runs import description
from questwell.recipes.runs.config import read_toml
from questwell.recipes.selfplay.record import Record
from questwell.recipes.train.data import read_demonstrations, read_questions
from questwell.retrieval.corpora.corpus import CorpusSpec, read_documents
from questwell.retrieval.corpora.documents import ReadReport
from questwell.retrieval.index.recall import read_questions as read_recall
from questwell.training.engines.verl.reward import references
from questwell.training.metrics import read_metrics

ODD = "first\u2028second\x85third\x1cfourth"
MARK = "\ufeff"


def record(text: str) -> dict[str, Any]:
    """A row that every reader of questions, answers, demonstrations and documents can take."""
    return {
        "id": "a",
        "text": text,
        "question": text,
        "answer": "Rome",
        "gold_doc_ids": ["a"],
        "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "<answer>Rome</answer>"}],
    }


READERS: dict[str, Callable[[Path], Iterable[str]]] = {
    "benchmark": lambda path: [one.question for one in load(BenchmarkFile("plain", path)).questions],
    "training questions": lambda path: [one.question for one in read_questions(path)],
    "demonstrations": lambda path: [one[0].content for one in read_demonstrations(path, Prompts(), 5)],
    "recall questions": lambda path: [one.question for one in read_recall(path)],
}


@pytest.mark.parametrize("reader", READERS)
def test_jsonl_with_a_mark_blank_lines_and_odd_separators_is_read(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "rows.jsonl"
    text = json.dumps(record(ODD), ensure_ascii=False)
    path.write_text(f"{MARK}{text}\r\n\r\n", encoding="utf-8", newline="")
    assert list(READERS[reader](path)) == [ODD]


@pytest.mark.parametrize("reader", READERS)
def test_a_malformed_line_is_named(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(record("Where?")) + '\n\n{"question": \n')
    with pytest.raises(QuestwellError, match=r"rows\.jsonl(:|, line )3: not JSON"):
        list(READERS[reader](path))


def test_a_corpus_with_a_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(MARK + json.dumps({"id": "a", "text": "one\u2028two"}, ensure_ascii=False) + "\n", encoding="utf-8")
    assert [one.id for one in read_documents(CorpusSpec(str(path)), ReadReport())] == ["a"]


def test_toml_prompts_and_ids_with_a_mark_are_read(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_bytes((MARK + 'seeds = 2\r\nsteps = "1..1"\r\n').encode())
    assert read_toml(config) == {"seeds": 2, "steps": "1..1"}
    (tmp_path / "closed_book.md").write_bytes((MARK + "--- system\r\nAnswer.\r\n--- user\r\n$question\r\n").encode())
    (asked,) = [
        one for one in Prompts(tmp_path).messages("closed_book", question="Where?", rules="") if one.role == "user"
    ]
    assert asked.content == "Where?"
    ids = tmp_path / "ids.txt"
    ids.write_bytes((MARK + "a\u2028b\r\n\r\n c \n").encode())
    assert list(read_ids(ids)) == ["a\u2028b", " c "]
    topics = tmp_path / "topics.txt"
    topics.write_bytes((MARK + f"{ODD}\r\n# none\r\n\r\n b \n").encode())
    assert read_topics(topics) == (ODD, "b")


def test_a_streamed_answer_is_split_at_its_line_ends_only() -> None:
    chunks = [{"choices": [{"delta": {"content": part}}]} for part in (ODD, " and more")]
    chunks[1]["choices"][0]["finish_reason"] = "stop"  # type: ignore[assignment]
    body = "".join(f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n\r\n" for chunk in chunks) + "data: [DONE]\n\n"
    answer = json.loads(joined(body.encode()))
    assert answer["choices"][0]["message"]["content"] == f"{ODD} and more"


def test_a_config_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes("# Größe\nseeds = 2\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"c\.toml: line 1 is not UTF-8"):
        read_toml(path)


def test_damaged_files_of_a_run_are_named_with_their_line(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text('{"step": 1}\n{"step": \n{"step": 3}\n')
    with pytest.raises(QuestwellError, match=r"metrics\.jsonl, line 2: not JSON"):
        read_metrics(metrics)
    with pytest.raises(QuestwellError, match=r"metrics\.jsonl, line 1: values: Field required"):
        Record(tmp_path).rows()
    steps = tmp_path / "steps"
    steps.mkdir()
    (steps / "000001.jsonl.gz").write_bytes(b"not packed")
    with pytest.raises(QuestwellError, match=r"000001\.jsonl\.gz' cannot be read: Not a gzipped file"):
        Record(tmp_path).episodes(1)
    exported = tmp_path / "items.jsonl"
    exported.write_text("{}\n")
    with pytest.raises(QuestwellError, match=r"items\.jsonl, line 1: "):
        read_items(exported)


@pytest.mark.parametrize(
    "arguments", [("index", "{corpus}", "--index", "{file}"), ("serve", "--corpus", "{corpus}", "--index", "{file}")]
)
def test_an_index_that_is_a_file_is_refused_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    corpus, file = tmp_path / "c.jsonl", tmp_path / "index.txt"
    corpus.write_text('{"id": "a", "text": "Rome."}\n')
    file.write_text("mine")
    result = CliRunner().invoke(app, [one.format(corpus=corpus, file=file) for one in arguments])
    assert result.exit_code == 2, result.output
    assert "an index is a folder" in result.output
    assert file.read_text() == "mine"


def test_what_the_system_refuses_is_one_line(tmp_path: Path) -> None:
    corpus, file = tmp_path / "c.jsonl", tmp_path / "index.txt"
    corpus.write_text('{"id": "a", "text": "Rome."}\n')
    file.write_text("mine")
    result = CliRunner().invoke(app, ["index", str(corpus), "--index", str(file / "below")])
    assert result.exit_code == 1
    assert "Not a directory" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "not a JSON object"),
        ('{"run_id": "r"}', "fingerprint: not an object"),
        ('{"run_id": "r", "fingerprint": {}}', "config: missing"),
        ('{"run_id": 1, "fingerprint": {}, "config": {}}', "run_id: not a text"),
        ('{"run_id": "r", "created": "c", "questwell": "0", "fingerprint": {"a": 1}, "config": {}}', "a: not a text"),
    ],
)
def test_what_is_no_description_of_a_run_says_why(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(QuestwellError, match=rf"run\.json' is not the description of a run: {said}"):
        description.read(tmp_path)


@pytest.mark.parametrize(
    ("given", "answers"),
    [(5, ("5",)), ([5, "five"], ("5", "five")), ({"target": [5]}, ("5",)), ({"target": 5}, ("5",)), ("5", ("5",))],
)
def test_numbers_are_answers_in_every_reader(given: object, answers: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    row = {"prompt": [{"role": "user", "content": "How many?"}], "reward_model": {"ground_truth": given}}
    path.write_text(json.dumps(row))
    assert read_questions(path)[0].answers == answers
    assert references(given) == answers
    others = answers[1:]
    path.write_text(json.dumps({"question": "How many?", "answer": 5, "aliases": others, "target": 2.0}))
    (one,) = read_candidates(path, 0).questions
    assert (one.proposal.answer, one.proposal.aliases, one.seed.target) == ("5", others, 2)
    for gold in (5, [5], "5"):
        path.write_text(json.dumps({"question": "How many?", "gold_doc_ids": gold}))
        assert read_recall(path)[0].gold == {"5"}


def test_what_is_no_answer_and_no_number_of_steps_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    for fields, said in (
        ({"answer": [" "]}, "question and answer must be non-empty"),
        ({"answer": "x", "target": "two"}, "target must be a number of search steps, not 'two'"),
        ({"answer": "x", "target": -1}, "target must be a number"),
    ):
        path.write_text(json.dumps({"question": "How many?", **fields}))
        with pytest.raises(BenchmarkError, match=said):
            read_candidates(path, 0)
    path.write_text(json.dumps({"prompt": [{"role": "user", "content": "?"}], "reward_model": {"ground_truth": {}}}))
    with pytest.raises(BenchmarkError, match="ground truth is empty"):
        read_questions(path)
