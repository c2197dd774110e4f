import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.llm import speech
from questwell.llm.speech import hear, spoken


@pytest.mark.parametrize(
    ("text", "said", "thought"),
    [
        ("Rome", "Rome", ""),
        ("<think>Paris?</think>Rome", "Rome", "Paris?"),
        ("Paris?\n</think>\n\nRome", "Rome", "Paris?"),  # the template opened the thought
        ("<think>a</think>Rome<think>b</think>", "Rome", "a\nb"),
        ("<thinking>Paris?</thinking>Rome", "Rome", "Paris?"),
        ("<Think>Paris?</THINK>Rome", "Rome", "Paris?"),
        ("[THINK]Paris?[/THINK]Rome", "Rome", "Paris?"),
        ("Paris?[/THINK]Rome", "Rome", "Paris?"),
        ("◁think▷Paris?◁/think▷Rome", "Rome", "Paris?"),
        ("<seed:think>Paris?</seed:think>Rome", "Rome", "Paris?"),
        ("<|START_THINKING|>Paris?<|END_THINKING|><|START_RESPONSE|>Rome<|END_RESPONSE|>", "Rome", "Paris?"),
        (
            "<|channel|>analysis<|message|>Paris?<|end|><|start|>assistant<|channel|>final<|message|>Rome",
            "Rome",
            "Paris?",
        ),
        ("<|channel|>analysis<|message|>Paris?<|start|>assistant<|channel|>final<|message|>Rome", "Rome", "Paris?"),
        ("analysisThe user asks. Paris?assistantfinalRome", "Rome", "The user asks. Paris?"),
        ("analysis of the assistant", "analysis of the assistant", ""),
        ("<think>a <think>b</think>Rome</think>", "Rome", "a <think>b"),
        ("Rome<|im_end|>\n<|im_start|>user\nAnd Paris?<|im_end|>", "Rome", ""),
        ("<think>a</think>Rome<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nParis", "Rome", "a"),
        ("Rome<end_of_turn>\n<start_of_turn>user\n<think>b</think>Paris", "Rome", ""),
        ("Paris?<|im_end|> No.</think>Rome<｜end▁of▁sentence｜>", "Rome", "Paris?           No."),
        ("<|im_end|>Rome", "Rome", ""),
        ("Rome</s>", "Rome", ""),
        ("<|begin_of_box|>Rome<|end_of_box|>", "Rome", ""),
        ("<think>I close it, </think> I said.</think>Rome", "Rome", "I close it,\nI said."),
    ],
)
def test_thought_and_speech_are_told_apart(text: str, said: str, thought: str) -> None:
    heard = hear(text)
    assert (heard.spoken, heard.thought, heard.unclosed) == (said, thought, False)


@pytest.mark.parametrize("text", ["<think>Rome", "Rome is <think>not", "<think>a</think><think>Rome", "[THINK]Rome"])
def test_a_thought_that_was_cut_off_says_nothing(text: str) -> None:
    heard = hear(text)
    assert heard.unclosed
    assert "Rome" not in heard.spoken or text.startswith("Rome")


def test_a_call_of_gpt_oss_stays_readable() -> None:
    text = "<|channel|>analysis<|message|>hm<|end|><|channel|>commentary to=functions.search<|message|>{}"
    assert spoken(text).endswith("<|channel|>commentary to=functions.search<|message|>{}")
    direct = "<|channel|>analysis<|message|>hm<|start|>assistant<|channel|>commentary to=functions.search<|message|>{}"
    assert hear(direct).thought == "hm"
    assert "to=functions.search" in spoken(direct)


@given(st.lists(st.sampled_from(["<think>", "</think>", "[THINK]", "a", "<search>", " ", "<|end|>"])).map("".join))
def test_places_stay_what_they_are(text: str) -> None:
    heard = hear(text)
    assert len(heard.masked) == len(text)
    assert all(now in (was, " ") for now, was in zip(heard.masked, text, strict=True))
    assert "think>" not in heard.masked


@given(
    st.lists(
        st.sampled_from(["<", "[", "◁", "<think>", "</THINK>", "[THINK]", "◁think▷", "a", "<|start|>assistant"])
        | st.sampled_from(["<|channel|>analysis<|message|>", "<|channel|>final<|message|>", "<|eot_id|>", "<channel|>"])
    ).map("".join),
    st.integers(0, 9),
)
def test_marks_are_those_of_a_search_at_each_place(text: str, start: int) -> None:
    found = [mark.span() for mark in speech._marks(text, start)]
    assert found == [mark.span() for mark in speech._MARK.finditer(text, start)]


def test_a_thought_before_a_call_without_marks_is_no_speech() -> None:
    heard = hear("analysisWe look.assistantcommentary to=functions.search json{}")
    assert (heard.thought, heard.spoken) == ("We look.", "commentary to=functions.search json{}")
