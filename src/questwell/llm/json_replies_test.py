import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.llm.client import Completion, FinishReason
from questwell.llm.json_replies import json_objects, json_text, json_value, said


@pytest.mark.parametrize(
    "reply",
    [
        '{"answer": "Rome"}',
        '```json\n{"answer": "Rome"}\n```',
        'Sure! Here it is:\n{"answer": "Rome"}\nDone.',
        '<think>{"answer": "Paris"}</think>{"answer": "Rome"}',
        '{"answer": "Paris"}</think>{"answer": "Rome"}',
        '{"answer": "Rome",}',
        '{"list": [1, 2, ], "answer": "Rome",\n}',
        '{"thought": "a } in a string, and a \\" too", "answer": "Rome"}',
        '{"thought": "hm"}\n{"answer": "Rome"}',
        '{"answer": "Rome"}\n{"answer": "Rome"}',
        '[{"answer": "Rome"}]',
        'a set {1, 2}: {"answer": "Rome"}',
        'an open { and then {"answer": "Rome"}',
        '{"answer": " Rome\n"}',
        '{"other": {"answer": "Paris"}, "answer": "Rome"}',
        '{"Answer": "Rome"}',
        '{"Answer": "Paris", "answer": "Rome"}',
    ],
)
def test_an_object_is_found_in_what_stands_around_it(reply: str) -> None:
    assert json_text(reply, "answer") == "Rome"


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "Rome",
        '{"answer": "Rom',
        '{"steps": [{"answer": "Paris"}], "answer": "Ro',  # what stands inside a cut object is not the reply
        '<think>{"answer": "Rome"}',
        '{"answer": "Paris"} no: {"answer": "Rome"}',
        '{"answer": null}',
        '{"answer": ["Rome"]}',
        '{"answer": true}',
        '{"Answer": "Rome", "ANSWER": "Rome"}',
        '{"other": {"answer": "Rome"}}',
        "{'answer': 'Rome'}",
    ],
)
def test_nothing_is_guessed(reply: str) -> None:
    assert json_text(reply, "answer") is None


def test_numbers_are_text_where_text_is_wanted() -> None:
    assert [json_text(f'{{"a": {number}}}', "a") for number in ("1936", "-2.5")] == ["1936", "-2.5"]
    assert json_value('{"a": [1, "x"]}', "a") == [1, "x"]


def test_half_a_surrogate_pair_becomes_a_character_that_utf8_can_hold() -> None:
    assert json_text(r'{"answer": "Rome \ud83d"}', "answer") == "Rome \ufffd"
    assert json_text(r'{"answer": "\ud83d\ude00"}', "answer") == "\U0001f600"


def test_what_was_cut_off_says_nothing() -> None:
    assert said(Completion('{"answer": "Rome"}', "m", FinishReason.LENGTH)) == ""
    assert said(Completion("Rome", "m")) == "Rome"


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.integers() | st.none(), max_size=4))
def test_every_object_is_read_as_json_reads_it(tree: dict[str, object]) -> None:
    assert list(json_objects(f"x {json.dumps(tree)} y")) == [tree]


def test_a_hostile_reply_takes_no_time() -> None:
    for text in ("{" * 100_000, '{"a":' * 50_000, '{"' * 100_000, "{}" * 100_000):
        assert json_value(text, "a") is None
