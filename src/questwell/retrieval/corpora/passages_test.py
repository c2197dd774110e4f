import itertools
import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.retrieval.corpora import documents
from questwell.retrieval.corpora import sentences as of_sentences
from questwell.retrieval.corpora.documents import Document
from questwell.retrieval.corpora.passages import (
    CJK_WORD,
    LONGEST,
    MARKS_PER_WORD,
    TARGET,
    WORD,
    count_words,
    passages_of,
    split,
)
from questwell.retrieval.corpora.sentences import sentences


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


PIECES = st.sampled_from(
    [*"aB1 .!?…。！।\n\"')]([¹²-*#•\t:3,é中ไ_\r\x85\x01\ufeff\ud800", "[1]", " \n", ". ", "\n\n", "3. "]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)
PLAIN_END = re.compile(
    rf"""(?<![.!?…؟۔])[.!?…؟۔]++["'”’»)\]]*+{of_sentences.FOOTNOTES}(?=\s)"""
    rf"""|[。！？｡।॥။។៕።]++[」』”’）"')]*+{of_sentences.FOOTNOTES}"""
    r"""|\n(?=[^\S\n]*+\n)|\n(?=[^\S\n]*+(?:[-*•#]|\d{1,3}[.)])[^\S\n])"""
)
"""Where a sentence may end, case by case: what the faster pattern must find."""


@given(TEXTS, st.integers(0, 40), st.integers(0, 40))
def test_sentences_end_where_the_plain_pattern_says(text, first, last):
    found = [match.span() for match in of_sentences.SENTENCE_END.finditer(text, first, last)]
    assert found == [match.span() for match in PLAIN_END.finditer(text, first, last)]


@given(TEXTS)
def test_words_are_counted_the_same_in_the_short_way(text):
    def weight(word):
        if word["spaceless"]:
            return CJK_WORD
        return len(word.group()) / MARKS_PER_WORD if word["mark"] else 1.0

    assert count_words(text) == sum(map(weight, WORD.finditer(text)))


@given(TEXTS)
def test_a_clean_text_has_nothing_that_is_cleaned_away(text):
    cleaned = documents.clean(text)
    assert not documents.CONTROL.search(cleaned) and not re.search("[\ud800-\udfff\r]", cleaned)
    assert cleaned[:1] != "\ufeff" or text[:2] == "\ufeff\ufeff"
    assert documents.clean(cleaned.lstrip("\ufeff")) == cleaned.lstrip("\ufeff")


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It was built in 1881.[1] It fell later.", ["It was built in 1881.[1]", "It fell later."]),
        (
            "He left.[2][citation needed] She stayed.¹ It rained.",
            ["He left.[2][citation needed]", "She stayed.¹", "It rained."],
        ),
        ("Er kam am 3. Oktober 1990 an. Dann ging er.", ["Er kam am 3. Oktober 1990 an.", "Dann ging er."]),
        (
            "Im 19. Jahrhundert, z. B. in Wien, d. h. spät, begann es.",
            ["Im 19. Jahrhundert, z. B. in Wien, d. h. spät, begann es."],
        ),
        ("Der 2. Weltkrieg endete. Nr. 5 blieb bzw. Haus 7.", ["Der 2. Weltkrieg endete.", "Nr. 5 blieb bzw. Haus 7."]),
        ("He was born on 3 May. It was 1990. The end.", ["He was born on 3 May.", "It was 1990.", "The end."]),
        ("यह पहला है।यह दूसरा है॥ तीसरा।", ["यह पहला है।", "यह दूसरा है॥", "तीसरा।"]),
        ("ပထမ စာကြောင်း။ ဒုတိယ စာကြောင်း။တတိယ။", ["ပထမ စာကြောင်း။", "ဒုတိယ စာကြောင်း။", "တတိယ။"]),
        ("ប្រយោគទីមួយ។ប្រយោគទីពីរ៕ ទីបី។", ["ប្រយោគទីមួយ។", "ប្រយោគទីពីរ៕", "ទីបី។"]),
    ],
)
def test_sentence_ends_of_languages_and_before_footnotes(text, expected):
    assert cut(text) == expected


def texts(text):
    return [text[span.start : span.end] for span in split(text)]


TABLE = [
    f"| town {number} | founded 17{number:02}. By whom? Ada {number} of Selby | {number} |" for number in range(60)
]
FACTS = [f"Town {number} - area: {number} sq km. Note 1. Land only. It is said" for number in range(60)]
CODE = ["```python"] + [f'    print("One. Two. Three.", {number})  # A. B.' for number in range(60)] + ["```"]


@pytest.mark.parametrize("lines", [TABLE, FACTS, CODE, ["\t".join([line, "x. Y"]) for line in FACTS]])
def test_no_row_of_a_table_line_of_code_or_fact_is_cut(lines):
    found = texts("An introduction stands here. It is short.\n\n" + "\n".join(lines) + "\n\nThe end comes. At last.")
    assert len(found) > 3
    assert [line.strip() for line in "\n".join(found).split("\n") if line.strip()] == [
        "An introduction stands here. It is short.", *map(str.strip, lines), "The end comes. At last.",
    ]  # fmt: skip


def test_a_line_end_in_a_wrapped_sentence_is_no_boundary():
    wrapped = "\n".join(["Each sentence here is wrapped over\nseveral lines, as in an old\ntext: it goes on."] * 40)
    assert all(found.startswith("Each") and found.endswith("on.") for found in texts(wrapped))


@pytest.mark.parametrize("heading", ["## The harbour", "The harbour\n==========="])
def test_a_heading_stays_with_its_section(heading):
    for before in range(60, 110):
        text = " ".join(["word"] * before) + ".\n\n" + heading + "\n\n" + "The harbour was built late. " * 30
        assert sum(heading in found and heading + "\n\nThe harbour was" in found for found in texts(text)) == 1, before


def test_a_line_that_is_too_long_is_cut_at_white_space_and_a_list_of_lines_at_line_ends():
    lines = "\n".join("no full stop in this line of ten words it" for _ in range(40))
    assert all(found.endswith("it") and found.startswith("no") for found in texts(lines))
    thai = " ".join(["ประเทศไทยมีประชากรมาก"] * 60)
    assert len(texts(thai)) > 3
    assert all(not set(found.split()) - {"ประเทศไทยมีประชากรมาก"} for found in texts(thai))


def test_no_cut_falls_between_a_letter_and_its_mark():
    for found in texts("हि" * 2_000)[1:]:
        assert not unicodedata.category(found[0]).startswith("M")
    for found in texts("กี่" * 2_000)[1:]:
        assert not unicodedata.category(found[0]).startswith("M")


PARTS = [
    "word ", "Word. ", "\n", "\n\n", "# Head\n", "| a | b |\n", "key: value\n", "    x = f(1)\n", "```\n", "国", "。",
    "क्ष", "ก", "x" * 50, "w " * 70, "...", "Title\n=====\n", "\t", "a\tb\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=60))
def test_no_passage_is_longer_than_it_may_be(parts):
    text = "".join(parts)
    spans = split(text)
    assert all(count_words(text[span.start : span.end]) <= LONGEST + 1e-6 for span in spans)
    assert "".join("".join(found.split()) for found in texts(text)) == "".join(text.split())
    assert all(found == found.strip() for found in texts(text))


def test_a_document_of_one_passage_gives_its_id_and_no_two_passages_share_one():
    ids = [
        passage.id
        for name, words in [("a", 5), ("a#0", 5), ("b", 300), ("b#1", 5), ("c#2", 300), ("c", 5), ("c#2#0", 5)]
        for passage in passages_of(Document(name, "", "A word or two. " * words))
    ]
    assert ids[:3] == ["a", "a#0#0", "b#0"]
    assert len(set(ids)) == len(ids)


def test_a_long_sentence_after_a_short_one_is_not_joined_to_more_than_a_passage_may_hold():
    text = "Word " + "word " * 23 + "word. " + "Next " + "next " * 137 + "next."
    assert [span.words for span in split(text)] == pytest.approx([25.125, 139.125])
