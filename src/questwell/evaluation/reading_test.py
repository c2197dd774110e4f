"""Answers, names of fields and cells in the shapes that benchmark files have them."""

import datetime
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questwell.errors import BenchmarkError, ConfigError
from questwell.evaluation.benchmarks import load, parse_benchmark

Q, A = "Who kept the lighthouse at Roanmouth?", "Abel Finch"


@pytest.mark.parametrize(
    ("value", "answers"),
    [
        (5, ("5",)),
        (0.5, ("0.5",)),
        (False, ("no",)),
        ([1881, "1882"], ("1881", "1882")),
        ({"text": ["a", "b"]}, ("a", "b")),
        ({"target": "a"}, ("a",)),
        ([{"answer": "a", "aliases": ["b"]}], ("a", "b")),
        ({"answer": "a", "answer_aliases": ["b"], "answer_id": "Q3"}, ("a", "b")),
        ({"Value": "a", "Aliases": ["a", "b"], "NormalizedValue": "n"}, ("a", "b")),
        ("[1]", ("[1]",)),
        ("[north]", ("[north]",)),
        ('["a", "b"]', ("a", "b")),
        (' ["a", null, 5] ', ("a", "5")),
        ("{'text': ['a', 'b'], 'answer_start': [3, 9]}", ("a", "b")),
        ('{"value": "a", "aliases": ["b"]}', ("a", "b")),
        ("{'text': array(['a', \"b'c\"], dtype=object), 'answer_start': array([3, 9], dtype=int32)}", ("a", "b'c")),
        ("array(['a'], dtype=object)", ("a",)),
        ("{x: x > 0}", ("{x: x > 0}",)),
        ("{'x': 1}", ("{'x': 1}",)),
        ("(a)", ("(a)",)),
    ],
)
def test_answers_in_every_shape(value: object, answers: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("answer", "Answer", "answers", "golden_answers"):
        (tmp_path / "q.jsonl").write_text(json.dumps({"question": Q, name: value}))
        assert load(parse_benchmark(f"hotpotqa={tmp_path / 'q.jsonl'}")).questions[0].answers == answers


@pytest.mark.parametrize("metadata", ["{'topic': 'History'", "not an object", "", '{"topic": "History"}'])
def test_simpleqas_metadata_may_be_anything(metadata: str, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text(
        "metadata,problem,answer\n" + ",".join(f'"{cell}"' for cell in (metadata.replace('"', '""'), Q, A))
    )
    found = load(parse_benchmark(f"simpleqa={tmp_path / 'q.csv'}")).questions
    assert found[0].group == ("History" if metadata.endswith("}") else "")


@pytest.mark.parametrize("name", ["2wiki", "hotpotqa", "musique", "strategyqa"])
def test_a_test_split_without_answers_says_so(name: str, tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text(json.dumps([{"id": "1", "question": Q, "context": []}]))
    with pytest.raises(BenchmarkError, match="a test split without answers cannot be scored"):
        load(parse_benchmark(f"{name}={tmp_path / 'test.json'}"))


def test_a_lone_quote_swallows_no_question(tmp_path: Path) -> None:
    rows = ['1\t"Heroes was sung by whom?\tBowie', "2\tWho kept it?\tFinch", '3\tWho said "yes"?\tMarwood', "4\tX?\tY"]
    (tmp_path / "q.tsv").write_text("\n".join(["id\tquestion\tanswer", *rows]))
    found = load(parse_benchmark(f"plain={tmp_path / 'q.tsv'}")).questions
    assert [(question.id, question.answers) for question in found] == [
        ("1", ("Bowie",)), ("2", ("Finch",)), ("3", ("Marwood",)), ("4", ("Y",)),
    ]  # fmt: skip
    assert found[0].question == '"Heroes was sung by whom?'


def test_a_file_alone_holds_plain_questions(tmp_path: Path) -> None:
    """An '=' in a folder's name names no benchmark; a benchmark's name is never taken for a file."""
    (tmp_path / "lr=1").mkdir()
    path = tmp_path / "lr=1" / "q.jsonl"
    path.write_text(json.dumps({"question": Q, "answer": A}))
    assert parse_benchmark(str(path)) == parse_benchmark(f"plain={path}")
    assert load(parse_benchmark(str(path))).questions[0].answers == (A,)
    with pytest.raises(ConfigError, match=r"no such file; expected FILE or NAME=FILE"):
        parse_benchmark(str(tmp_path / "none.jsonl"))
    with pytest.raises(ConfigError, match=r"'none=.*': expected FILE or NAME=FILE"):
        parse_benchmark(f"none={path}")


@pytest.mark.parametrize(
    ("record", "answers"),
    [
        ({"user_input": Q, "reference": A, "reference_contexts": ["x"]}, (A,)),
        ({"input": Q, "expected_output": A}, (A,)),
        ({"question": Q, "choices": ["Ada Brook", A], "answer": 1}, (A,)),
        ({"question": Q, "options": ["Ada Brook", A], "answer": "B"}, (A,)),
        ({"question": Q, "options": ["Ada Brook", A], "answer": "a"}, ("Ada Brook",)),
        ({"question": Q, "choices": ["Ada Brook", A], "answer": A}, (A,)),
        ({"question": Q, "choices": ["A", "B"], "answer": "B"}, ("B",)),
        ({"question": Q, "choices": [3, 1], "answer": 1}, ("1",)),
        ({"question": Q, "choices": ["Ada Brook", A], "answer": False}, ("no",)),
    ],
)
def test_names_of_evaluation_tools_and_answers_by_the_place_of_a_choice(
    record: dict[str, object], answers: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps(record))
    (found,) = load(parse_benchmark(f"plain={tmp_path / 'q.jsonl'}")).questions
    assert (found.question, found.answers) == (Q, answers)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n", "run git lfs pull"),
        (b"<!doctype html><html></html>", "it is a web page"),
    ],
)
def test_what_was_put_in_place_of_a_file_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_bytes(content)
    with pytest.raises(BenchmarkError, match=said):
        load(parse_benchmark(f"plain={tmp_path / 'q.jsonl'}"))


PAIR = ["Cora Lund", A]


@pytest.mark.parametrize(
    "fields",
    [
        {"answer": "B", "choices": PAIR},
        {"answer": "(b)", "choices": PAIR},
        {"answer": "B.", "options": json.dumps(PAIR)},
        {"answer": 1, "choices": PAIR},
        {"answer": "1", "choices": PAIR},
        {"answer": ["B"], "choices": PAIR},
        {"answer": A, "choices": PAIR},
        {"answer": "B", "choices": [f"A. {PAIR[0]}", f"B. {PAIR[1]}"]},
        {"answerKey": "B", "choices": {"text": PAIR, "label": ["A", "B"]}},
        {"answerKey": "2", "choices": {"text": PAIR, "label": ["1", "2"]}},
        {"answer_idx": "B", "answer": A, "options": {"A": PAIR[0], "B": PAIR[1]}},
        {"answer": "B", "options": {"A": PAIR[0], "B": PAIR[1]}},
        {"golden_answers": [1], "metadata": {"choices": PAIR}},
        {"golden_answers": "[1]", "choices": PAIR},
        {
            "answerKey": "B",
            "question": {"stem": Q, "choices": [{"label": "A", "text": "x"}, {"label": "B", "text": A}]},
        },
        {"answer": "B", "options": [{"key": "A", "value": PAIR[0]}, {"key": "B", "value": PAIR[1]}]},
    ],
)
def test_an_answer_that_names_a_choice_is_its_text(fields: dict, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": Q, **fields}))
    assert load(parse_benchmark(f"plain={tmp_path / 'q.jsonl'}")).questions[0].answers == (A,)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"answer": ["A", "B"], "choices": PAIR}, "several choices are right"),
        ({"answer": -1, "choices": PAIR}, "no answer published"),
        ({"answers": [], "is_impossible": True}, "unanswerable"),
        ({"answers": {"text": [], "answer_start": []}}, "unanswerable"),
        ({"answer": A, "answerable": "False"}, "unanswerable"),
        ({"answer": A, "is_impossible": "true"}, "unanswerable"),
        ({"answer": A, "answerable": False}, "unanswerable"),
        ({"answer": "?"}, "no answer published"),
        ({"question": [{"role": "user", "content": [{"type": "image_url"}]}], "answer": A}, "needs more than text"),
    ],
)
def test_what_cannot_be_scored_is_left_out_and_counted(fields: dict, reason: str, tmp_path: Path) -> None:
    rows = [{"question": Q, **fields}, {"question": "X?", "answer": "Y"}]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = load(parse_benchmark(f"plain={tmp_path / 'q.jsonl'}"))
    assert ([one.answers for one in found.questions], dict(found.skipped)) == ([("Y",)], {reason: 1})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"answer": "E", "choices": PAIR}, "'E' names none of the 2 choices"),
        ({"answer": 2, "choices": PAIR}, "'2' names none of the 2 choices"),
        ({"answers": [["a", "b"], ["c"]]}, "several lists"),
        ({"answer": float("nan")}, "no answer"),
        ({"answers": '[["a"], ["b"]]'}, "several lists"),
        ({"answers": "{'text': array(['[a]'], dtype=object)}"}, "cannot be read back"),
        ({"question": "eRVDI8I1CpZFmJ3QFQTswlvnnQ==", "answer": "bx9Jbw==", "canary": "c"}, "it is encrypted"),
    ],
)
def test_what_may_mean_two_things_is_refused(fields: dict, problem: str, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": Q, **fields}))
    with pytest.raises(BenchmarkError, match=problem):
        load(parse_benchmark(f"plain={tmp_path / 'q.jsonl'}"))


@pytest.mark.parametrize(
    ("record", "question"),
    [
        ({"instruction": "Answer in a word.", "input": Q, "output": A}, f"Answer in a word.\n{Q}"),
        ({"instruction": Q, "input": "", "output": A}, Q),
        ({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": Q}], "ground_truth": A}, Q),
        ({"prompt": [{"role": "user", "content": [{"type": "text", "text": Q}]}], "answer": A}, Q),
        ({"question": {"text": Q, "tokens": []}, "answer": A}, Q),
        ({"question": {"stem": Q}, "answer": A}, Q),
        ({"question": [Q], "answer": A}, Q),
        ({"Question": Q, "Best Answer": A, "Correct Answers": "x"}, Q),
    ],
)
def test_questions_in_every_shape(record: dict, question: str, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps(record))
    (found,) = load(parse_benchmark(f"plain={tmp_path / 'q.jsonl'}")).questions
    assert (found.question, found.answers) == (question, (A,))


def test_cells_of_numpy_and_numbers_of_pandas(tmp_path: Path) -> None:
    rows = ["question,answers", "x?,\"['a' 'b']\"", "y?,\"['a'\n 'it''s']\"".replace("''", "\\'"), "z?,\"['c']\""]
    (tmp_path / "q.csv").write_text("\n".join(rows))
    found = load(parse_benchmark(f"plain={tmp_path / 'q.csv'}")).questions
    assert [one.answers for one in found] == [("a", "b"), ("a", "it's"), ("c",)]
    (tmp_path / "n.jsonl").write_text('{"question": "x?", "answer": 1881.0}')
    assert load(parse_benchmark(f"plain={tmp_path / 'n.jsonl'}")).questions[0].answers == ("1881",)


def test_a_canary_that_was_left_in_a_decrypted_file(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps({"problem": Q, "answer": A, "canary": "c"}))
    for name in ("browsecomp", "plain"):
        (found,) = load(parse_benchmark(f"{name}={tmp_path / 'q.jsonl'}")).questions
        assert (found.question, found.answers) == (Q, (A,))


def test_a_device_or_a_pipe_is_no_file_of_questions() -> None:
    with pytest.raises(BenchmarkError, match="a pipe, a socket or a device"):
        load(parse_benchmark("plain=/dev/zero"))


@pytest.mark.parametrize("hollow", [[], {}, "", " ", [""], [None], {"text": []}, float("nan")])
def test_a_field_that_holds_nothing_gives_way_to_the_next(hollow: object, tmp_path: Path) -> None:
    row = {"id": hollow, "qid": 7.0, "answers": hollow, "answer": A, "query": Q, "question": hollow, "level": hollow}
    (tmp_path / "q.jsonl").write_text(json.dumps(row))
    (found,) = load(parse_benchmark(f"plain={tmp_path / 'q.jsonl'}")).questions
    assert (found.id, found.question, found.answers, found.group) == ("7", Q, (A,), "")


@pytest.mark.parametrize("given", ["d1", ["d1"], "['d1']", '["d1"]'])
def test_gold_documents_are_names_and_no_letters(given: object, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": Q, "answer": A, "gold_doc_ids": given}))
    for name in ("plain", "musique"):
        assert load(parse_benchmark(f"{name}={tmp_path / 'q.jsonl'}")).questions[0].evidence == ("d1",)
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": Q, "answer": A, "gold_doc_ids": 5}))
    assert load(parse_benchmark(str(tmp_path / "q.jsonl"))).questions[0].evidence == ("5",)


def test_several_numbers_in_a_cell_of_answers_are_a_list(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text('question,answers\na?,"[1881, 1882]"\nb?,[0]\n')
    found = load(parse_benchmark(str(tmp_path / "q.csv"))).questions
    assert [one.answers for one in found] == [("1881", "1882"), ("[0]",)]
    (tmp_path / "q.csv").write_text('question,answer\na?,"[0, 1]"\n')  # an interval
    assert load(parse_benchmark(str(tmp_path / "q.csv"))).questions[0].answers == ("[0, 1]",)


def test_paragraphs_without_questions_are_a_field_like_others(tmp_path: Path) -> None:
    rows = [{"query": Q, "answer": A, "paragraphs": given} for given in ([{"title": "T"}], ["One."], "One.", [])]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert len(load(parse_benchmark(str(tmp_path / "q.jsonl"))).questions) == 4


def test_passages_of_mrqa_hold_questions(tmp_path: Path) -> None:
    asked = [{"qid": f"q{at}", "question": Q, "answers": [A, "A. Finch"]} for at in range(2)]
    rows = [
        {"header": {"dataset": "x"}},
        {"id": "", "context": "x", "qas": asked[:1]},
        {"context": "y", "qas": asked[1:]},
    ]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = load(parse_benchmark(str(tmp_path / "q.jsonl"))).questions
    assert [(one.id, one.question, one.answers) for one in found] == [(f"q{at}", Q, (A, "A. Finch")) for at in range(2)]


def test_truth_values_and_supporting_facts_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("question,answer\na?,True\nb?,false\nc?,maybe\n")
    found = load(parse_benchmark(f"strategyqa={tmp_path / 'q.csv'}")).questions
    assert [one.answers for one in found] == [("yes",), ("no",), ("maybe",)]
    (tmp_path / "q.csv").write_text("question,answer,supporting_facts\na?,x,\"[['A', 0], ['B', 1]]\"\n")
    assert load(parse_benchmark(f"hotpotqa={tmp_path / 'q.csv'}")).questions[0].evidence == ("A", "B")
    (tmp_path / "q.csv").write_text("question,answer,supporting_facts\na?,x,A and B\n")
    with pytest.raises(BenchmarkError, match="supporting_facts are no list: 'A and B'"):
        load(parse_benchmark(f"hotpotqa={tmp_path / 'q.csv'}"))


def test_a_date_that_pandas_wrote_with_a_time_is_a_date(tmp_path: Path) -> None:
    times = [datetime.datetime(1881, 11, 3), datetime.datetime(1881, 11, 3, 9, 30)]  # noqa: DTZ001  as in the file
    pq.write_table(pa.table({"question": ["a?", "b?"], "answer": times}), tmp_path / "q.parquet")
    found = load(parse_benchmark(str(tmp_path / "q.parquet"))).questions
    assert [one.answers for one in found] == [("1881-11-03",), ("1881-11-03 09:30:00",)]
