"""Comparisons of subjects that are described as the value of another: the group that uses a tool, by since when."""

import json
from collections.abc import Sequence

import pytest

from questwell.agents.prompts import Prompts
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.llm.client import Request
from questwell.llm.scripted import ScriptedLLM
from questwell.scoring.answers import normalise
from questwell.staged.comparing import read_comparison
from questwell.staged.conftest import passage
from questwell.staged.proposer import StagedProposer
from questwell.staged.solver import StagedSolver
from questwell.types.corpus import Hit, Passage
from questwell.types.game import AnswerType, Seed

GROUPS = {"Reed Circle": ("Goopy", 2014), "Fen Union": ("Windlass", 2009), "Quell Lodge": ("Catchfly", 1998)}
"""Groups, each with the tool that it uses and the year since when it is active."""
WORLD = [
    one
    for group, (tool, year) in GROUPS.items()
    for one in (
        passage(tool, f"{tool} is a tool for picking locks. It has been used by {group} for long.\nUsed by: {group}."),
        passage(group, f"{group} is a group of thieves that has been active since {year}."),
    )
]


FAIRS = (("Arel", 1950), ("Blue", 1960), ("Cove", 1970))
"""Groups that are told of with a year since when nothing is so."""


class Library:
    """Finds passages by the names in a query, by all words if there are none; the first word is no name."""

    name = "library"

    def __init__(self, passages: Sequence[Passage] = WORLD) -> None:
        self.passages = passages

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        said = normalise(query).split()
        words = {word for word in said[1:] if word.title() in query} or set(said)
        scored = [(len(words & set(normalise(f"{p.title} {p.text}").split())), p) for p in self.passages]
        ranked = sorted((pair for pair in scored if pair[0]), key=lambda pair: (-pair[0], pair[1].id))
        return tuple(Hit(one, float(score), rank) for rank, (score, one) in enumerate(ranked[:k], 1))

    async def aclose(self) -> None: ...


def answer(request: Request) -> str:
    """Reads the world as it is."""
    last = request.messages[-1].content.splitlines()[-1]
    if last.startswith("Value: "):
        if (value := last.removeprefix("Value: ")) in GROUPS:
            return json.dumps({"subject": "tool", "relation": "user", "value": "organization"})
        said = ("active since", "date") if value.isdigit() else ("none", "thing")
        return json.dumps({"subject": "group", "relation": said[0], "value": said[1]})
    asked = last.removeprefix("Question: ")
    for group, (tool, year) in GROUPS.items():
        if asked == f"What is {tool} used by?":
            return json.dumps({"answer": group})
        if asked == f"Since when has {group} been active?":
            return json.dumps({"answer": str(year)})
    return json.dumps({"answer": "not found", "same": "yes", "can": "yes"})


async def propose(target: int, llm: ScriptedLLM, enough: int = 3, library: "Library | None" = None) -> tuple[str, str]:
    proposer = StagedProposer(Prompts(), RolloutLimits(searches=30, top_k=2), enough=enough)
    first, *others = AnswerType
    seed = Seed(0, WORLD[0], target, first, tuple(others), 3)
    draft = await proposer.propose(seed, DirectSession(llm, library or Library()), 1)
    assert draft.proposal is not None, draft.problem
    return draft.proposal.question, draft.proposal.answer


async def test_a_side_that_fails_is_followed_by_a_search_for_others() -> None:
    def unread(request: Request) -> str:
        about = request.messages[-1].content.splitlines()[-2:]
        if about == ["Subject: Goopy", "Value: Reed Circle"]:
            return json.dumps({"subject": "tool", "relation": "none", "value": "thing"})
        return answer(request)

    question, right = await propose(3, ScriptedLLM(unread), enough=1)
    assert right != "Reed Circle" and read_comparison(question) is not None


async def test_years_that_are_said_of_something_else_are_read_last() -> None:
    llm = ScriptedLLM(answer)
    fairs = [passage(f"Fair {name}", f"Fair {name} is a group that met in {year}.") for name, year in FAIRS]
    await propose(3, llm, library=Library([*fairs, *WORLD]))
    assert not [one for one in llm.requests if "Subject: Fair" in one.messages[-1].content]


@pytest.mark.parametrize(("target", "described"), [(3, 1), (4, 2)])
async def test_a_group_is_described_by_its_tool_and_the_solver_needs_as_many_searches(
    target: int, described: int
) -> None:
    question, right = await propose(target, ScriptedLLM(answer))
    read = read_comparison(question)
    assert read is not None, question
    assert sum(side.startswith("the group that uses ") for side in read.sides) == described
    years = {group: year for group, (_, year) in GROUPS.items()}
    tools = {tool: group for group, (tool, _) in GROUPS.items()}
    sides = [tools.get(side.removeprefix("the group that uses "), side) for side in read.sides]
    assert right == (max if read.greater else min)(sides, key=years.__getitem__)
    assert right not in question
    solver = StagedSolver(Prompts(), RolloutLimits(turns=10, searches=10, top_k=2), 1.0)
    solved = await solver.solve(question, DirectSession(ScriptedLLM(answer), Library()), 1)
    assert (solved.answer, solved.searches) == (right, target)


@pytest.mark.parametrize(
    ("noun", "asked"), [("club", "Since when has the club that uses Goopy been active?"), ("", None)]
)
async def test_a_user_of_which_nothing_says_what_it_is_is_not_asked_about(noun: str, asked: str | None) -> None:
    def reads(request: Request) -> str:
        said = json.loads(answer(request))
        if said.get("relation") == "user":
            said["value"] = "thing"
        elif said.get("relation") == "active since":
            said["subject"] = noun
        return json.dumps(said)

    proposer = StagedProposer(Prompts(), RolloutLimits(searches=30, top_k=2))
    seed = Seed(0, WORLD[0], 2, AnswerType.DATE, (), 3)
    draft = await proposer.propose(seed, DirectSession(ScriptedLLM(reads), Library(WORLD[:2])), 1)
    assert (draft.proposal.question if draft.proposal else None) == asked
    assert asked or "nothing says what is meant" in draft.problem
