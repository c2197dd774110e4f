import json

import pytest

from questwell.errors import CorpusError
from questwell.retrieval.index.recall import Part, Question, measure, read_questions
from questwell.types.corpus import Hit, Passage

RECORD = {
    "question": "Where was the author of X born?",
    "gold_doc_ids": ["a", "b", "b"],
    "decomposition": [
        {"question": "X >> author", "answer": "Ann #1 Lee", "gold_doc_id": "a"},
        {"question": "#1 >> place of birth, near #1", "answer": "Oslo", "gold_doc_id": "b"},
    ],
    "other": 1,
}


def write(tmp_path, *records):
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in records))
    return path


class Fixed:
    """Finds the documents named after its dictionary's word in the query, best first."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    async def search(self, query, k):
        self.asked.append((query, k))
        names = next((names for word, names in self.answers.items() if word in query), "")
        hits = [Passage(f"{name}#{place}", "", "", name) for place, name in enumerate(names)]
        return tuple(Hit(passage, 0.0, rank) for rank, passage in enumerate(hits[:k], 1))


def test_references_are_replaced_by_the_answers_of_earlier_parts(tmp_path):
    (question,) = read_questions(write(tmp_path, RECORD, ""))
    assert question.gold == {"a", "b"}
    assert question.parts == (
        Part("X >> author", "a"),
        Part("Ann #1 Lee >> place of birth, near Ann #1 Lee", "b"),
    )


async def test_recall_counts_documents_once_and_only_among_the_first(tmp_path):
    questions = [
        Question("one", frozenset("ab"), (Part("part", "z"), Part("none", "z"))),
        Question("two", frozenset("c")),
    ]
    found = await measure(
        Fixed(one="xaaaxb", two="xxxxxc", part="yyyyyyyyyz", none="yyyyyyyyyyz"), questions, cutoffs=(2, 5, 6)
    )
    assert found.questions == {2: [0.5, 0.0], 5: [0.5, 0.0], 6: [1.0, 1.0]}
    assert found.parts == [1.0, 0.0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: not JSON"),
        ('{"question": "x"}', "line 2: gold_doc_ids: Field required"),
        ('{"question": "x", "gold_doc_ids": []}', "line 2: gold_doc_ids"),
        (
            '{"question": "x", "gold_doc_ids": ["a"], "decomposition": '
            '[{"question": "#1", "answer": "", "gold_doc_id": "a"}]}',
            "line 2: #1 refers to no earlier part",
        ),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(tmp_path, line, said):
    with pytest.raises(CorpusError, match=said):
        read_questions(write(tmp_path, RECORD, line))


def test_no_question_and_no_file_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="contains no question"):
        read_questions(write(tmp_path, ""))
    with pytest.raises(CorpusError, match="cannot be read"):
        read_questions(tmp_path / "none")
