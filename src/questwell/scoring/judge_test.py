import pytest

from questwell.errors import LLMTimeout
from questwell.llm.client import Message
from questwell.llm.scripted import ScriptedLLM
from questwell.scoring.judge import Judge, verdict
from questwell.types.game import Judgement, Label


def opening(question: str, references: tuple[str, ...], answer: str) -> tuple[Message, ...]:
    return (Message("user", f"{question}|{'|'.join(references)}|{answer}"),)


async def judged(
    answer: str | None, *replies: str | Exception, references: tuple[str, ...] = ("Elsa Marwood",)
) -> Judgement:
    return await Judge(opening).judge("Who?", references, answer, ScriptedLLM(replies).complete)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("verdict: yes", True),
        ("Verdict: No.", False),
        ('{"verdict": "yes"}', True),
        ("yes", True),
        ("**No**", False),
        ("The two are the same.\nverdict: yes", True),
        ("<think>verdict: yes</think>no", False),
        ("Incorrect", None),
        ("correct", None),
        ("yes and no", None),
        ("verdict: yes\nverdict: no", None),
        ("verdict: maybe", None),
        ("yes, because it says so", None),
        ("I would say yes", None),
        ("", None),
        ("not yes", None),
        ("verdict: yes\nBut the years differ, so it is not the same.", None),
        ("<think>\nverdict: yes\nOr is it? The years", None),  # cut off
        ("<think>\nverdict: yes", None),
        ("verdict: yes, I thought</think>no", False),  # the opening tag was in the prompt
        ('{"verdict":\n "no"}\n', False),
        ('{"verdict": "yes"}\nBut the years differ.', None),
    ],
)
def test_verdict_is_read_strictly(reply: str, expected: bool | None) -> None:
    assert verdict(reply) is expected


async def test_exact_match_asks_no_model() -> None:
    assert (await judged("elsa marwood.")).label is Label.RIGHT  # a script without answers would fail the test


@pytest.mark.parametrize("answer", [None, "", "  "])
async def test_no_answer_is_wrong(answer: str | None) -> None:
    assert await judged(answer) == Judgement(Label.WRONG, "no_answer")


async def test_another_number_is_wrong_without_asking() -> None:
    judgement = await judged("1882", references=("1881", "1880"))
    assert (judgement.label, judgement.method) == (Label.WRONG, "numbers")
    same = await judged("1.5 million", references=("1,500,000",))
    assert (same.label, same.method) == (Label.RIGHT, "numbers")
    assert (await judged("sometime in 1881", "verdict: yes", references=("November 1881",))).label is Label.RIGHT


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("40 °C", "-40 °C"),
        ("C", "C++"),
        ("Vitamin", "Vitamin A"),
        ("version 15", "version 1.5"),
        ("plan", "Plan A"),
        ("105", "10⁵"),
        ("$5", "5%"),
        ("in 1882", "1881"),
        ("Four gold medals in 1936", "4"),
    ],
)
@pytest.mark.parametrize(("reply", "label"), [("verdict: yes", Label.RIGHT), ("verdict: no", Label.WRONG)])
async def test_what_may_mean_the_same_or_not_is_asked(answer: str, reference: str, reply: str, label: Label) -> None:
    judgement = await judged(answer, reply, references=(reference,))
    assert (judgement.label, judgement.method) == (label, "llm")


async def test_a_number_is_wrong_only_if_no_reference_allows_it() -> None:
    for references in (("1881", "1882"), ("1881", "the year of the flood")):
        assert (await judged("around 1882", "verdict: yes", references=references)).method == "llm"
    assert (await judged("1882", "verdict: yes", references=("1881", "the year of the flood"))).method == "llm"
    assert (await judged("1882", references=("1881", "1,882"))).label is Label.RIGHT


async def test_it_is_asked_again_with_another_seed_and_without_chance() -> None:
    llm = ScriptedLLM(["hm", "verdict: no"])
    await Judge(opening).judge("Who?", ("Elsa",), "E.", llm.complete)
    assert [(request.seed, request.temperature) for request in llm.requests] == [(0, 0.0), (1, 0.0)]


async def test_a_number_does_not_match_another_that_has_the_same_digits() -> None:
    assert (await judged("35", references=("3.5",))).method == "numbers"
    for answer, reference in (("1-2", "12"), ("18 81", "1881")):
        assert (await judged(answer, "verdict: no", references=(reference,))).method == "llm"
    assert (await judged("1043 m", references=("1,043 m.",))).method == "exact_match"


async def test_an_unusable_reply_is_asked_again_and_then_unscored() -> None:
    assert (await judged("E. Marwood", "hmm", "verdict: yes")).label is Label.RIGHT
    unscored = await judged("E. Marwood", "yes and no", "Incorrect")
    assert (unscored.label, unscored.reason) == (Label.UNSCORED, "Incorrect")
    assert (await judged("E. Marwood", "", " ")).reason == "the judge's reply was empty"


async def test_a_failing_judge_is_an_error_not_a_verdict() -> None:
    judgement = await judged("E. Marwood", LLMTimeout("30 s passed"))
    assert judgement.label is Label.ERRORED
    assert "30 s passed" in judgement.reason
