import pytest

from questwell.datasets.conftest import MakeItem
from questwell.datasets.decontaminate import Sign, overlaps
from questwell.types.evaluation import Question
from questwell.types.game import SolutionStep

PLANTED = Question(
    "q7",
    "In what year did the architect of the Blue Mosque of Veltheim win the Aldane Prize for engineering?",
    ("1987",),
    "bench",
)
OTHERS = [
    Question(f"o{n}", f"What is the name of the river near town number {n}?", (f"River {n}",), "b2") for n in range(50)
]


def test_a_planted_question_is_found_and_nothing_else(make_item: MakeItem) -> None:
    items = [make_item(n) for n in range(30)]
    items[11] = make_item(11, question=f"Tell me: {PLANTED.question.lower()}", answer="it was 1987")
    found = overlaps(items, [*OTHERS, PLANTED])
    assert [(f.item_id, f.benchmark, f.question_id, f.sign) for f in found] == [("r-s00011", "bench", "q7", Sign.NGRAM)]
    assert found[0].detail == "in what year did architect of blue mosque"  # articles do not count


def test_a_planted_step_is_found(make_item: MakeItem) -> None:
    item = make_item(0, steps=(SolutionStep(PLANTED.question, "1987", ""),))
    assert {f.sign for f in overlaps([item], [PLANTED])} == {Sign.NGRAM}


def test_the_same_answer_to_a_question_about_the_same_things(make_item: MakeItem) -> None:
    reworded = "The Aldane Prize for engineering: when was it given to the architect who built Veltheim's Blue Mosque?"
    same, other = make_item(0, question=reworded, answer="1987"), make_item(1, question=reworded, answer="1988")
    alias = make_item(2, question=reworded, answer="87", aliases=("The 1987",))
    found = overlaps([same, other, alias], [PLANTED], words=13)
    assert [(f.item_id, f.sign) for f in found] == [("r-s00000", Sign.ANSWER_PAIR), ("r-s00002", Sign.ANSWER_PAIR)]
    assert "aldane" in found[0].detail


def test_a_common_answer_alone_is_no_overlap(make_item: MakeItem) -> None:
    for question in (
        "When was the Ost bridge widened?",
        "When was Veltheim's bridge prize first given?",
    ):
        assert overlaps([make_item(0, question=question, answer="1987")], [PLANTED]) == []


def test_a_short_question_counts_as_a_whole_and_a_tiny_one_never(make_item: MakeItem) -> None:
    short, tiny = Question("s", "Who built Castle Dunmore?", ("X",), "b"), Question("t", "Who?", ("X",), "b")
    item = make_item(0, question="Name the town of him who built castle Dunmore and who sold it.")
    assert [f.question_id for f in overlaps([item], [short, tiny])] == ["s"]


def test_length_of_a_run_decides(make_item: MakeItem) -> None:
    item = make_item(0, question="Where did the architect of the Blue Mosque of Veltheim die?")
    assert [f.sign for f in overlaps([item], [PLANTED], words=6)] == [Sign.NGRAM]
    assert overlaps([item], [PLANTED], words=8) == []


@pytest.mark.parametrize(
    ("question", "ours", "theirs"),
    [
        ("古い塩の道の北の端にある港町はどこですか？", "ロデン", "ロデン市"),
        ("旧盐路北端的港口城市叫什么名字？", "洛登", "洛登市"),
        ("เมืองท่าทางเหนือสุดของเส้นทางเกลือชื่ออะไร", "โลเดน", "เมืองโลเดน"),
    ],
)
def test_a_planted_question_without_spaces_is_found(make_item: MakeItem, question: str, ours: str, theirs: str) -> None:
    item = make_item(0, question=question, answer=ours)
    assert [f.sign for f in overlaps([item], [Question("b1", question, (theirs,), "bench")])] == [Sign.NGRAM]


def test_the_same_answer_without_spaces(make_item: MakeItem) -> None:
    item = make_item(0, question="北端にある港町は、古い塩の道ではどこですか。", answer="ロデン")
    other = make_item(1, question="南の島で灯台を設計した技師は誰ですか。", answer="ロデン")
    planted = Question("b1", "古い塩の道の北端にある港町はどこですか？", ("ロデン",), "bench")
    assert [(f.item_id, f.sign) for f in overlaps([item, other], [planted], words=20)] == [
        ("r-s00000", Sign.ANSWER_PAIR)
    ]


def test_a_run_of_function_words_is_no_overlap(make_item: MakeItem) -> None:
    planted = Question("b", "What is the name of the one who was in the Blue Mosque?", ("X",), "b")
    item = make_item(0, question="What is the name of the one who was in Veltheim castle?")
    assert overlaps([item], [planted]) == []
    assert overlaps([item], [Question("c", "何年に建てられたのですか", ("X",), "b")]) == []


@pytest.mark.parametrize(
    ("planted", "ours"),
    [
        ("旧盐路最北端的那座港口城市的灯塔是由谁设计的？", "请问旧盐路最北端的那座港口城市叫什么？"),  # 12 characters
        ("古い塩の道の北の端にある港町の灯台を設計した技師は誰ですか？", "古い塩の道の北の端にある港町はどこですか？"),
    ],
)
def test_a_run_without_spaces_is_as_long_as_eight_words(make_item: MakeItem, planted: str, ours: str) -> None:
    found = overlaps([make_item(0, question=ours)], [Question("b", planted, ("X",), "b")])
    assert [(one.sign, len(one.detail)) for one in found][:1] == [(Sign.NGRAM, 12 if "旧" in ours else 14)]
    assert overlaps([make_item(0, question=ours)], [Question("b", planted, ("X",), "b")], words=11) == []


def test_questions_that_share_a_form_alone_do_not_overlap(make_item: MakeItem) -> None:
    for one, other in (
        ("贝多芬的唯一一部歌剧在哪个城市首演？", "莫扎特的最后一部歌剧在哪个城市首演？"),
        ("加拿大的首都位于哪条河的河畔？", "法国的首都位于哪条河的河畔？"),
        ("แม่น้ำที่ยาวที่สุดในประเทศไทยไหลผ่านจังหวัดใดบ้าง", "ภูเขาที่สูงที่สุดในประเทศไทยตั้งอยู่ในจังหวัดใด"),
    ):
        assert overlaps([make_item(0, question=one)], [Question("b", other, ("X",), "b")]) == []
