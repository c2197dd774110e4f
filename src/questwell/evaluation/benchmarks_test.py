import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questwell.errors import BenchmarkError, ConfigError
from questwell.evaluation.benchmarks import FULL, BenchmarkFile, load, parse_benchmark, sample
from questwell.evaluation.browsecomp import decrypt, encrypt
from questwell.evaluation.layouts import LAYOUTS
from questwell.types.evaluation import Question

HOTPOT = {
    "_id": "5a8b57f25542995d1e6f1371",
    "answer": "yes",
    "question": "Were A and B of the same nationality?",
    "supporting_facts": [["A", 0], ["B", 0], ["A", 2]],
    "context": [["A", ["A is.", " He was."]], ["B", ["B is."]]],
    "type": "comparison",
    "level": "hard",
}
HUB_HOTPOT = {
    "id": "h1",
    "question": "Q?",
    "answer": "a",
    "type": "bridge",
    "level": "hard",
    "supporting_facts": {"title": ["A", "B"], "sent_id": [0, 1]},
    "context": {"title": ["A"], "sentences": [["x"]]},
}
MUSIQUE = {
    "id": "3hop1__305282_282081_73772",
    "paragraphs": [
        {"idx": 0, "title": "P", "paragraph_text": "text", "is_supporting": True},
        {"idx": 1, "title": "N", "paragraph_text": "text", "is_supporting": False},
    ],
    "question": "Who?",
    "question_decomposition": [{"id": 1, "question": "x", "answer": "y", "paragraph_support_idx": 0}],
    "answer": "George I",
    "answer_aliases": ["George the First"],
    "answerable": True,
}
TWO_WIKI = {
    "_id": "8813f87c0bdd11eba7f7acde48001122",
    "type": "compositional",
    "question": "Who is the mother of the director of film F?",
    "context": [["F", ["F is a film."]]],
    "entity_ids": "Q1_Q2",
    "supporting_facts": [["F", 1], ["X", 2]],
    "evidences": [["F", "director", "X"]],
    "answer": "M",
}
TRIVIA = {
    "Data": [
        {
            "Answer": {
                "Aliases": ["Sunset Blvd", "West Sunset Boulevard"],
                "NormalizedAliases": ["sunset blvd"],
                "NormalizedValue": "sunset boulevard",
                "Type": "WikipediaEntity",
                "Value": "Sunset Boulevard",
            },
            "EntityPages": [],
            "Question": "Which musical premiered in 1993?",
            "QuestionId": "tc_33",
            "QuestionSource": "http://x/",
        }
    ],
    "Domain": "unfiltered-web",
}
POPQA = (
    "id\tsubj\tprop\tobj\tquestion\tpossible_answers\n"
    '4222362\tGeorge Rankin\toccupation\tx\tWhat is George Rankin\'s occupation?\t"[""politician"", ""pol.""]"\n'
)
FRAMES = (
    "Unnamed: 0\tPrompt\tAnswer\twikipedia_link_1\twikipedia_link_2\twikipedia_link_11+\treasoning_types\twiki_links\n"
    "0\tWhat is my future wife's name?\tJane Ballou\thttps://en.wikipedia.org/wiki/P_(x),_y\thttps://b\t\t"
    "Multiple constraints\t\"['https://a', 'https://b']\"\n"
)
BAMBOOGLE = 'Question,Answer\n"Who, in the year that C was founded, was president?",james madison\n'
GAIA = [
    {"task_id": "g1", "Question": "Q1?", "Level": 2, "Final answer": "egalitarian", "file_name": ""},
    {"task_id": "g2", "Question": "Q2?", "Level": 1, "Final answer": "3", "file_name": "g2.xlsx"},
    {"task_id": "g3", "Question": "Q3?", "Level": "3", "Final answer": "?", "file_name": ""},
]
HLE = [
    {"id": "66e8", "question": "Q?", "image": "", "answer": "B", "answer_type": "multipleChoice", "category": "Math"},
    {"id": "66e9", "question": "Q?", "image": "data:image/png;base64,AA", "answer": "4", "category": "Physics"},
]


def lines(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def only(name: str, path: Path) -> Question:
    (question,) = load(BenchmarkFile(name, path)).questions
    return question


def test_every_published_layout_is_read(tmp_path: Path) -> None:
    path = lines(tmp_path / "musique_ans_v1.0_dev.jsonl", [MUSIQUE])
    assert only("musique", path) == Question(
        MUSIQUE["id"], "Who?", ("George I", "George the First"), "musique", "3 hops", ("P",)
    )
    path = tmp_path / "hotpot_dev_fullwiki_v1.json"
    path.write_text(json.dumps([HOTPOT]))
    assert only("hotpotqa", path) == Question(
        HOTPOT["_id"], HOTPOT["question"], ("yes",), "hotpotqa", "comparison", ("A", "B")
    )
    path.write_text(json.dumps([TWO_WIKI]))
    assert only("2wiki", path).group == "compositional"
    assert only("2wiki", path).evidence == ("F", "X")
    path.write_text(json.dumps(TRIVIA))
    assert only("triviaqa", path) == Question(
        "tc_33",
        "Which musical premiered in 1993?",
        ("Sunset Boulevard", "Sunset Blvd", "West Sunset Boulevard"),
        "triviaqa",
    )
    path = lines(tmp_path / "NQ-open.dev.jsonl", [{"question": "when was it", "answer": ["1972", "in 1972"]}])
    assert only("nq", path).answers == ("1972", "in 1972")
    (path := tmp_path / "popQA.tsv").write_text(POPQA)
    assert only("popqa", path) == Question(
        "4222362", "What is George Rankin's occupation?", ("politician", "pol."), "popqa", "occupation"
    )
    (path := tmp_path / "test.tsv").write_text(FRAMES)
    found = only("frames", path)
    assert (found.id, found.answers, found.group) == ("0", ("Jane Ballou",), "2 articles")
    assert found.evidence == ("https://en.wikipedia.org/wiki/P_(x),_y", "https://b")
    (path := tmp_path / "Bamboogle.csv").write_text(BAMBOOGLE)
    assert only("bamboogle", path).question == "Who, in the year that C was founded, was president?"


def test_the_hubs_parquet_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "validation.parquet"
    pq.write_table(pa.Table.from_pylist([HUB_HOTPOT]), path)
    assert only("hotpotqa", path).evidence == ("A", "B")


def test_what_needs_more_than_text_is_left_out_and_counted(tmp_path: Path) -> None:
    gaia = load(BenchmarkFile("gaia", lines(tmp_path / "metadata.jsonl", GAIA)))
    assert [(q.id, q.group) for q in gaia.questions] == [("g1", "level 2")]
    assert gaia.skipped == {"needs a file": 1, "no answer published": 1}
    hle = load(BenchmarkFile("hle", lines(tmp_path / "hle.jsonl", HLE)))
    assert [(q.id, q.group, q.answers) for q in hle.questions] == [("66e8", "Math", ("B",))]
    assert hle.skipped == {"needs an image": 1}
    full = lines(tmp_path / "musique_full.jsonl", [MUSIQUE, {**MUSIQUE, "id": "2hop__1", "answerable": False}])
    assert load(BenchmarkFile("musique", full)).skipped == {"unanswerable": 1}


def test_browsecomp_is_decrypted_as_it_is_published(tmp_path: Path) -> None:
    """The cipher by hand: XOR with the SHA-256 of the canary, repeated, in base64."""
    import base64
    import hashlib

    text, canary = "Which of the two, né Müller, was it? " * 3, "canary GUID browsecomp:26b5c67b"
    data, pad = text.encode(), hashlib.sha256(canary.encode()).digest()
    by_hand = base64.b64encode(bytes(data[n] ^ pad[n % 32] for n in range(len(data)))).decode()
    assert decrypt(by_hand, canary) == text
    assert encrypt(text, canary) == by_hand
    path = tmp_path / "browse_comp_test_set.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["problem", "answer", "problem_topic", "canary"])
        writer.writeheader()
        writer.writerow(
            {"problem": by_hand, "answer": encrypt("Plastic Man", canary), "problem_topic": "Art", "canary": canary}
        )
    found = only("browsecomp", path)
    assert (found.question, found.answers, found.group) == (text.strip(), ("Plastic Man",), "Art")


@pytest.mark.parametrize("column", ["problem", "canary"])
def test_browsecomp_with_a_wrong_key_or_text_is_refused(tmp_path: Path, column: str) -> None:
    row = {"problem": encrypt("Is it so? " * 9, "k"), "answer": encrypt("no", "k"), "canary": "k", column: "wrong!"}
    with pytest.raises(BenchmarkError, match="does not have the published layout"):
        load(BenchmarkFile("browsecomp", lines(tmp_path / "b.jsonl", [row])))


def test_plain_files_name_their_answers_in_several_ways(tmp_path: Path) -> None:
    rows = [
        {"question": "a?", "answer": "1", "hops": 3, "answer_aliases": ["one"], "split": "dev"},
        {"id": "x", "question": "b?", "answers": ["2", "two", "2"], "split": "dev"},
        {"question": "c?", "golden_answers": ["3"], "split": "train"},
        {"question": "d?", "answer": 0, "level": 2, "split": "dev"},
    ]
    source = BenchmarkFile("plain", lines(tmp_path / "p.jsonl", rows))
    found = load(source).questions
    assert [q.id for q in found] == ["plain-0", "x", "plain-2", "plain-3"]
    assert [q.answers for q in found] == [("1", "one"), ("2", "two"), ("3",), ("0",)]
    assert [q.group for q in found] == ["3 hops", "", "", "level 2"]
    chosen = load(source, {"split": "dev"})
    assert len(chosen.questions) == 3
    assert chosen.skipped == {"not asked for": 1}
    with pytest.raises(BenchmarkError, match="no field 'part'"):
        load(source, {"part": "dev"})


def test_malformed_files_say_where_and_what(tmp_path: Path) -> None:
    for rows, problem in (
        (
            [{"question": "a?", "answer": "1"}, {"question": "b?"}],
            r"p\.jsonl:2 does not have the published layout.*answer",
        ),
        ([{"question": "", "answer": "1"}], "empty"),
        ([{"question": "a?", "answer": "  "}], "no answer"),
        ([{"id": "1", "question": "a?", "answer": "1"}, {"id": "1", "question": "b?", "answer": "2"}], "second"),
        ([["a?", "1"]], "expected a JSON object"),
        ([], "holds no plain question"),
    ):
        with pytest.raises(BenchmarkError, match=problem):
            load(BenchmarkFile("plain", lines(tmp_path / "p.jsonl", rows)))
    (tmp_path / "p.jsonl").write_text("{")
    for path in (tmp_path / "p.jsonl", tmp_path / "missing.jsonl", tmp_path / "p.txt"):
        with pytest.raises(BenchmarkError):
            load(BenchmarkFile("plain", path))
    (tmp_path / "x.json").write_text('{"a": 1}')
    with pytest.raises(BenchmarkError, match="not have the published layout"):
        load(BenchmarkFile("plain", tmp_path / "x.json"))


def test_sources_are_named(tmp_path: Path) -> None:
    assert parse_benchmark("musique=a=b.jsonl") == BenchmarkFile("musique", Path("a=b.jsonl"))
    for wrong in ("musique", "musique=", "muzique=x", "=x", ""):
        with pytest.raises(ConfigError, match="NAME=FILE"):
            parse_benchmark(wrong)
    assert set(FULL) <= set(LAYOUTS)


def test_samples_are_fixed_nested_and_in_order() -> None:
    questions = [Question(str(n), "q", ("a",), "b", f"difficulty {n % 3}") for n in range(60)]
    small, large = sample(questions, 10, 7), sample(questions, 30, 7)
    assert len(small) == 10
    assert set(small) < set(large)
    assert [int(q.id) for q in large] == sorted(int(q.id) for q in large)
    assert sample(questions, 10, 7) == small != sample(questions, 10, 8)
    assert sample(questions, None, 0) == questions == sample(questions, 99, 0)
    each = sample(questions, 5, 0, per_group=True)
    assert [sum(q.group == f"difficulty {n}" for q in each) for n in range(3)] == [5, 5, 5]
