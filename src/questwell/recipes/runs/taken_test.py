import pytest

from questwell.llm.client import Message, Request, Tool
from questwell.recipes.runs.taken import PARTS, parts_taken

ASK = (Message("user", "hello"),)
ALL = Request(ASK, stop=("</search>",), tools=(Tool("search", "Search.", "{}"),), schema="{}")
YES = dict.fromkeys(PARTS, "yes")


@pytest.mark.parametrize(
    ("adapted", "changed"),
    [
        ((), {}),
        (("omit stop",), {"stop": "left out"}),
        (("omit temperature", "omit seed"), {"temperature": "left out"}),
        (("rename max_tokens max_completion_tokens",), {"length": "renamed max_completion_tokens"}),
        (
            ("rename max_tokens max_completion_tokens", "cap 512"),
            {"length": "renamed max_completion_tokens, at most 512"},
        ),
        (("cap 512", "omit max_tokens"), {"length": "left out"}),
        (("schema without bounds",), {"schema": "without bounds"}),
        (("schema as object", "omit response_format"), {"schema": "left out"}),
        (("choose none",), {"tools": "calls as text"}),
        (("merge system", "merge turns", "fill content", "stream", "send back reasoning"), {}),
    ],
)
def test_a_change_is_told_of_the_part_that_it_is_about(adapted: tuple[str, ...], changed: dict[str, str]) -> None:
    assert parts_taken(ALL, adapted) == YES | changed


def test_what_was_not_sent_and_what_was_not_answered_is_never_called_taken() -> None:
    bare = {"stop": "-", "tools": "-", "schema": "-", "temperature": "yes", "length": "yes"}
    assert parts_taken(Request(ASK), ("omit stop",)) == bare
    assert set(parts_taken(ALL, None).values()) == {"no answer"}
    assert set(parts_taken(None, None).values()) == {"-"}
