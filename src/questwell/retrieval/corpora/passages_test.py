import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.retrieval.corpora.documents import Document
from questwell.retrieval.corpora.passages import LONGEST, TARGET, count_words, passages_of, sentences, split


def cut(text):
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Made by the U.S. Army in St. Louis.", ["Made by the U.S. Army in St. Louis."]),
        ("Fruit, e.g. apples. Dr. J. R. Smith ate 3.14 kg.", ["Fruit, e.g. apples.", "Dr. J. R. Smith ate 3.14 kg."]),
        ("Yahoo! and others. Next", ["Yahoo! and others.", "Next"]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("北京是首都。人口很多！「真的吗？」是。", ["北京是首都。", "人口很多！", "「真的吗？」", "是。"]),
        ("هل هذا صحيح؟ نعم هو كذلك.", ["هل هذا صحيح؟", "نعم هو كذلك."]),
        ("यह पहला है। यह दूसरा है।", ["यह पहला है।", "यह दूसरा है।"]),
        ("wrapped\nline. Next\n\nparagraph", ["wrapped\nline.", "Next", "paragraph"]),
        ("List:\n- one\n- two\n2. three", ["List:", "- one", "- two", "2. three"]),
        ("  \n ", []),
        ("", []),
    ],
)
def test_sentences(text, expected):
    assert cut(text) == expected


def test_a_passage_has_about_100_words_and_ends_with_a_sentence():
    text = " ".join(f"Sentence number {n} has exactly eight words here." for n in range(200))
    spans = split(text)
    assert all(text[span.end - 1] == "." for span in spans)
    assert all(0.8 * TARGET <= span.words <= 1.2 * TARGET for span in spans[:-1])


def test_a_short_rest_joins_the_passage_before():
    text = " ".join(["Eight words are in this one sentence here."] * 14)
    assert [(span.start, span.end) for span in split(text)] == [(0, len(text))]


@given(st.text(alphabet='ab.!? \n"(国。क्ष1-', max_size=400))
def test_no_character_but_white_space_is_lost_or_repeated(text):
    spans = split(text)
    assert "".join(text[span.start : span.end] for span in spans).split() == text.split() or "".join(
        "".join(text[span.start : span.end].split()) for span in spans
    ) == "".join(text.split())
    assert all(left.end <= right.start for left, right in itertools.pairwise(spans))


def test_words_of_scripts_without_spaces_count_by_character():
    assert count_words("three plain words") == 3
    assert count_words("北京大学在中国的首都") == pytest.approx(6.0)
    passages = split("这是一个没有空格的句子。" * 60)
    assert len(passages) == 4
    assert all(span.words <= LONGEST for span in passages)


@pytest.mark.parametrize(
    "line", ["word " * 200_000, "a" * 1_000_000, "." * 1_000_000, "北" * 400_000, "\n" * 1_000_000, ". " * 500_000,
             '."' * 500_000, "\n \t" * 300_000]
)  # fmt: skip
def test_a_line_of_a_megabyte_takes_linear_time_and_gives_bounded_passages(line):
    start = time.process_time()
    spans = split(line)
    assert time.process_time() - start < 10
    assert all(span.words <= LONGEST for span in spans)
    assert all(span.end - span.start <= 10_000 for span in spans)


def test_passages_point_into_their_document():
    document = Document("d", "Title", "  First one. " + "Second one. " * 80, "CC0-1.0", ("one", "Sec", "absent"))
    passages = list(passages_of(document))
    assert [passage.id for passage in passages] == ["d#0", "d#1"]
    for passage in passages:
        assert document.text[passage.offset :].startswith(passage.text)
        assert (passage.title, passage.document_id, passage.licence) == ("Title", "d", "CC0-1.0")
        assert passage.links == ("one",)  # whole words that occur
