from dataclasses import replace

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Finish, Search, read_tags
from questwell.datasets.conftest import MakeItem
from questwell.datasets.demonstrations import SolvedItem, demonstrations, tagged
from questwell.types.corpus import Hit, Passage
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn

FIRST = Hit(Passage("p1", "Dam", "Built by </information> Ana Ruiz.", "d1"), 2.0, 1)
SECOND = Hit(Passage("p2", "Ruiz", "Born in Lima.", "d2"), 1.0, 2)
STAGED = Trajectory(
    Role.SOLVER,
    Style.STAGED,
    (
        Turn('{"part": "the dam"}'),
        Turn("", "the dam", (FIRST,), "something else that only the staged agent was shown"),
        Turn('{"answer": "Ana Ruiz"}'),
        Turn("", "Ana Ruiz born", (SECOND, FIRST)),
        Turn('{"answer": "Lima"}'),
    ),
    StopReason.FINISHED,
    "Lima",
)
FREE = Trajectory(
    Role.SOLVER,
    Style.FREE,
    (
        Turn("<think>who built it</think><search>the dam</search>", "the dam", (FIRST,), "seen"),
        Turn("I am lost", observation="No move was found."),
        Turn("<think>so</think><answer>Lima</answer>"),
    ),
    StopReason.FINISHED,
    "Lima",
)


def test_a_staged_solution_teaches_what_a_free_agent_would_have_seen(make_item: MakeItem) -> None:
    (shown,) = demonstrations(SolvedItem(make_item(0), (STAGED,)))
    assert [search.query for search in shown.searches] == ["the dam", "Ana Ruiz born"]
    assert shown.searches[0].observation == "[1] Dam: Built by ‹/information> Ana Ruiz."
    assert shown.searches[1].observation.startswith("[2] Ruiz: Born in Lima.\n[1] Dam:")  # numbers go on
    messages = tagged(shown, Prompts(), 7)
    said = [read_tags(message.content, proposing=False) for message in messages if message.role == "assistant"]
    assert said == [Search("the dam"), Search("Ana Ruiz born"), Finish("Lima")]
    assert "7" in messages[0].content
    assert make_item(0).question in messages[1].content


def test_thoughts_are_kept_and_turns_without_a_move_are_not(make_item: MakeItem) -> None:
    (shown,) = demonstrations(SolvedItem(make_item(0), (FREE,)))
    assert [(search.thought, search.query) for search in shown.searches] == [("who built it", "the dam")]
    assert shown.thought == "so"
    texts = [message.content for message in tagged(shown, Prompts(), 5)]
    assert "<think>who built it</think>\n<search>the dam</search>" in texts
    assert not any("lost" in text for text in texts)


def test_each_distinct_solution_once_and_none_without_an_answer(make_item: MakeItem) -> None:
    other = replace(FREE, answer="Cusco")
    silent = replace(FREE, answer=None)
    found = demonstrations(SolvedItem(make_item(0), (FREE, silent, FREE, STAGED, other)))
    assert [shown.answer for shown in found] == ["Lima", "Lima", "Cusco"]
