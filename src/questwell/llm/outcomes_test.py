import pytest
from pydantic import JsonValue

from questwell.llm.client import FinishReason
from questwell.llm.outcomes import silently_cut, told_cut
from questwell.llm.prices import Usage
from questwell.llm.replies import Reply


def reply(usage: Usage | None) -> Reply:
    return Reply("fine", "served", FinishReason.STOP, (), "", "", usage, (), (), ())


@pytest.mark.parametrize(
    ("text", "read", "cached", "least"),
    [
        ("rain " * 2000, 2000, 0, None),
        ("rain " * 2000, 1999, 0, 2000),
        ("rain " * 2000, 1500, 500, None),  # tokens of a cache, counted apart
        ("rain " * 2000, 1500, 499, 2000),
        ("rain " * 2000, 0, 0, None),  # not told
        ("rain " * 999, 7, 0, None),
        ("rain " * 1000, 7, 0, 1000),
        ("雨" * 8000, 2000, 0, 2001),
        ("雨" * 8000, 2001, 0, None),
    ],
)
def test_a_prompt_of_which_fewer_tokens_were_read_than_it_has_words(
    text: str, read: int, cached: int, least: int | None
) -> None:
    said = reply(Usage(read, 3, cached))
    half = len(text) // 2
    messages = [{"role": "system", "content": text}]
    assert silently_cut(said, {"messages": messages}) == least
    assert silently_cut(said, {"prompt": text}) == least
    if text.isascii() and half % 5 == 0:
        split = [{"role": "user", "content": text[:half]}, {"role": "assistant", "content": text[half:]}]
        assert silently_cut(said, {"messages": split}) == least


@pytest.mark.parametrize(
    ("written", "body", "finish"),
    [
        (512, {"max_tokens": 512}, FinishReason.LENGTH),
        (512, {"max_completion_tokens": 512}, FinishReason.LENGTH),
        (511, {"max_tokens": 512}, FinishReason.STOP),
        (600, {"max_tokens": 512}, FinishReason.STOP),  # thoughts that the cap does not count
        (255, {"max_tokens": 255}, FinishReason.STOP),
        (512, {}, FinishReason.STOP),
    ],
)
def test_a_reply_that_used_up_its_cap_was_cut_off(
    written: int, body: dict[str, JsonValue], finish: FinishReason
) -> None:
    assert told_cut(reply(Usage(9, written)), body).finish is finish
    assert told_cut(reply(None), body).finish is FinishReason.STOP


def test_a_reply_without_usage_says_nothing_of_the_prompt() -> None:
    assert silently_cut(reply(None), {"prompt": "rain " * 2000}) is None
