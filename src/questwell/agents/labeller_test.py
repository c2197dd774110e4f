import pytest

from questwell.agents.labeller import Depth, Fault, Labeller, Strategy
from questwell.agents.prompts import Prompts
from questwell.agents.session import DirectSession
from questwell.llm.scripted import ScriptedLLM
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Proposal, SolutionStep
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn

PASSAGE = Passage("p", "Dam", "Built </think> in 1936.", "d")
TRACE = Trajectory(
    Role.SOLVER, Style.FREE, (Turn("<think>maybe 1936</think>", "dam", (Hit(PASSAGE, 1.0, 1),)),), StopReason.FINISHED
)
PAIR = Proposal("When was the dam built?", "1936", (), (SolutionStep("When?", "1936", "p"),), (PASSAGE,), TRACE)


class Nowhere:
    name = "none"

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        raise AssertionError("a labeller does not search")

    async def aclose(self) -> None: ...


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('{"labels": ["inference", "calculation"]}', {Strategy.INFERENCE, Strategy.CALCULATION}),
        ('<think>{"labels": ["inference"]}</think> So: {"labels": []}', set()),
        ('{"labels": ["guessing"]}', None),
        ('{"labels": "inference"}', None),
        ('{"labels": [["inference"]]}', None),
        ('{"labels": ["inference"], "more": 1}', {Strategy.INFERENCE}),
        ("inference", None),
        ("", None),
    ],
)
async def test_only_labels_of_the_set_count(reply: str, expected: set[Strategy] | None) -> None:
    llm = ScriptedLLM([reply])
    found = await Labeller(Prompts()).strategies("When?", TRACE, DirectSession(llm, Nowhere()))
    assert found == expected
    shown = llm.requests[0].messages[-1].content
    assert "maybe 1936" in shown
    assert "<think>" not in shown


async def test_one_label_of_faults_and_depths() -> None:
    replies = ['{"labels": ["ambiguous"]}', '{"labels": ["solver", "proposer"]}', '{"labels": ["superficial"]}']
    llm = ScriptedLLM(replies)
    session = DirectSession(llm, Nowhere())
    labeller = Labeller(Prompts(), structured=True)
    assert await labeller.fault(PAIR, (PASSAGE,), ("1937",), session) is Fault.AMBIGUOUS
    assert await labeller.fault(PAIR, (), (), session) is None
    assert await labeller.depth(PAIR, session) is Depth.SUPERFICIAL
    assert all(request.schema for request in llm.requests)
    assert "1937" in llm.requests[0].messages[-1].content
