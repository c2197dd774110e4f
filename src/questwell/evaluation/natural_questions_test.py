"""Natural Questions as first released, in its three forms: own small pages in the form that its README describes."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questwell.evaluation.benchmarks import BenchmarkFile, load
from questwell.types.evaluation import Question

Q = "who kept the lighthouse at roanmouth"
PAGE = "Roanmouth <H1> Keepers </H1> <P> Abel <B> Finch </B> kept it , then Ada Brook until 1881 . </P>"
ABEL, ADA, YEAR = (5, 9), (13, 15), (16, 17)


def annotation(*answers: tuple[int, int], said: str = "NONE") -> dict[str, Any]:
    spans = [{"start_token": start, "end_token": end, "start_byte": 7, "end_byte": 9} for start, end in answers]
    long = {"start_token": 4, "end_token": 19, "candidate_index": 0}
    return {"annotation_id": 1, "long_answer": long, "short_answers": spans, "yes_no_answer": said}


ANNOTATED = (
    (7, [annotation(ABEL, ADA), annotation(ABEL), annotation()]),
    (8, [annotation(), annotation()]),
    (9, [annotation(said="YES"), annotation(said="NO")]),
)


def simplified() -> list[dict[str, Any]]:
    return [
        {"example_id": number, "question_text": Q, "document_text": PAGE, "annotations": found, "document_url": "x"}
        for number, found in ANNOTATED
    ]


def original() -> list[dict[str, Any]]:
    tokens = [{"token": word, "html_token": word.startswith("<"), "start_byte": 1} for word in PAGE.split()]
    rows = [
        {**row, "document_tokens": tokens, "document_title": "Roanmouth", "document_html": ""} for row in simplified()
    ]
    return [{key: value for key, value in row.items() if key != "document_text"} for row in rows]


def of_the_hub() -> list[dict[str, Any]]:
    words = PAGE.split()
    tokens = {"token": words, "is_html": [word.startswith("<") for word in words]}
    classes = {"NONE": -1, "NO": 0, "YES": 1}
    return [
        {
            "id": str(number),
            "document": {"title": "Roanmouth", "url": "x", "tokens": tokens},
            "question": {"text": Q, "tokens": Q.split()},
            "annotations": {
                "id": ["1"] * len(found),
                "short_answers": [
                    {
                        name: [span[name] for span in one["short_answers"]]
                        for name in ("start_token", "end_token", "start_byte", "end_byte")
                    }
                    for one in found
                ],
                "yes_no_answer": [classes[one["yes_no_answer"]] for one in found],
            },
        }
        for number, found in ANNOTATED
    ]


def expected(evidence: tuple[str, ...]) -> list[Question]:
    return [
        Question("7", Q, ("Abel Finch", "Ada Brook"), "nq", "", evidence),
        Question("9", Q, ("yes", "no"), "nq", "", evidence),
    ]


@pytest.mark.parametrize(
    ("name", "rows", "evidence"),
    [
        ("v1.0-simplified_nq-dev-all.jsonl.gz", simplified(), ()),
        ("nq-dev-00.jsonl.gz", original(), ("Roanmouth",)),
        ("validation-00000-of-00007.parquet", of_the_hub(), ("Roanmouth",)),
    ],
)
def test_short_answers_are_cut_out_of_the_page(
    tmp_path: Path, name: str, rows: list[dict[str, Any]], evidence: tuple[str, ...]
) -> None:
    path = tmp_path / name
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    found = load(BenchmarkFile("nq", path))
    assert list(found.questions) == expected(evidence)
    assert found.skipped == {"no short answer": 1}


def test_what_is_marked_as_missing_is_no_answer(tmp_path: Path) -> None:
    """Some forms write -1 for what no one marked."""
    rows = [{**simplified()[0], "annotations": [annotation((-1, -1)), annotation(YEAR)]}]
    path = tmp_path / "nq.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load(BenchmarkFile("nq", path)).questions[0].answers == ("1881",)
