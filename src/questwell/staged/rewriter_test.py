"""The staged rewriter: what it describes, what it builds upon, and how it ends."""

from dataclasses import replace

import pytest

from questwell.agents.prompts import Prompts
from questwell.agents.proposer import Draft
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.errors import ContextOverflow, LLMFiltered, LLMUnavailable, RetrievalTimeout
from questwell.llm.scripted import ScriptedLLM
from questwell.staged.conftest import BRIDGE, LIGHT, MARWOOD, Library, model, passage, seed
from questwell.staged.rewriter import StagedRewriter
from questwell.types.corpus import Hit, Passage
from questwell.types.game import (
    Attempt,
    ExecutionFeedback,
    FeedbackKind,
    Judgement,
    Label,
    Outcome,
    Proposal,
    Repair,
    Round,
    Verdict,
)
from questwell.types.gates import Gate, GateOutcome, GateResult
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn

PLAIN = "When was Orrin Lighthouse automated?"
ONE_HOP = "When was the best known work of Elsa Marwood automated?"
TWO_HOPS = "When was the best known work of the designer of Harrow Bridge automated?"
REWRITER = StagedRewriter(Prompts(), RolloutLimits(searches=40, top_k=2))


def attempt(*found: Passage) -> Attempt:
    hits = tuple(Hit(one, 1.0, rank) for rank, one in enumerate(found, 1))
    trajectory = Trajectory(Role.SOLVER, Style.STAGED, (Turn("", "q", hits),), StopReason.FINISHED, "1968")
    return Attempt(2, trajectory, Judgement(Label.RIGHT, "exact_match"))


def round_of(
    question: str, right: int, *evidence: Passage, index: int = 0, gates: tuple[GateResult, ...] = ()
) -> Round:
    nothing = Trajectory(Role.PROPOSER, Style.STAGED, (), StopReason.FINISHED)
    pair = Proposal(question, "1968", ("in 1968",), (), evidence or (LIGHT,), nothing)
    outcome = Outcome.TOO_EASY if right else Outcome.UNSOLVED
    return Round(index, pair, (attempt(LIGHT),), Verdict(outcome, right, 4, 1 if right else None), gates=gates)


async def rewrite(
    *rounds: Round, rewriter: StagedRewriter = REWRITER, library: Library | None = None, llm: ScriptedLLM | None = None
) -> tuple[Draft, Repair | None]:
    feedback = ExecutionFeedback(FeedbackKind.DIFFICULTY, rounds[-1].attempts[0])
    session = DirectSession(llm or ScriptedLLM(model()), library or Library())
    return await rewriter.rewrite(seed(2), rounds, feedback, session, 3)


async def test_a_name_becomes_a_phrase_about_another_passage() -> None:
    draft, repair = await rewrite(round_of(PLAIN, 2))
    pair = draft.proposal
    assert pair is not None, draft.problem
    assert (pair.question, pair.answer, pair.aliases) == (ONE_HOP, "1968", ("in 1968",))
    assert pair.evidence == (MARWOOD, LIGHT)
    assert draft.trajectory.stop is StopReason.FINISHED and draft.trajectory.searches > 0
    assert repair is not None and (repair.kind, repair.attempt) == (FeedbackKind.DIFFICULTY, 2)
    assert repair.change == f"{PLAIN} -> {ONE_HOP}"
    assert "'Orrin Lighthouse' is described by what 'Elsa Marwood' says of it" in repair.explanation


async def test_the_next_rewriting_goes_on_from_the_newest_that_was_solved() -> None:
    draft, _ = await rewrite(round_of(PLAIN, 2), round_of(ONE_HOP, 1, MARWOOD, LIGHT, index=1))
    assert draft.proposal is not None and draft.proposal.question == TWO_HOPS
    assert draft.proposal.evidence == (BRIDGE, MARWOOD, LIGHT)


async def test_what_went_too_far_is_not_built_upon_nor_written_again() -> None:
    draft, repair = await rewrite(round_of(PLAIN, 2), round_of(ONE_HOP, 0, MARWOOD, LIGHT, index=1))
    assert repair is None and draft.proposal is None  # the only other hop from the plain question is not there
    assert draft.trajectory.stop is StopReason.GAVE_UP


@pytest.mark.parametrize(
    ("gate", "outcome", "goes_on"),
    [
        (Gate.EVIDENCE, GateOutcome.FAILED, False),
        (Gate.UNIQUE, GateOutcome.FAILED, False),
        (Gate.EVIDENCE, GateOutcome.PASSED, True),
        (Gate.SHORTCUT, GateOutcome.FAILED, True),
        (Gate.CLOSED_BOOK, GateOutcome.FAILED, True),
    ],
)
async def test_what_a_gate_doubts_is_not_built_upon(gate: Gate, outcome: GateOutcome, goes_on: bool) -> None:
    stopped = round_of(ONE_HOP, 4, MARWOOD, LIGHT, index=1, gates=(GateResult(gate, outcome, "x"),))
    draft, _ = await rewrite(round_of(PLAIN, 2), stopped)
    assert (draft.proposal is not None and draft.proposal.question == TWO_HOPS) is goes_on


async def test_a_question_that_names_nothing_known_cannot_be_rewritten() -> None:
    draft, repair = await rewrite(round_of("When was that light up there automated?", 2))
    assert (draft.proposal, repair) == (None, None)
    assert draft.problem == "nothing that the question names is the subject of a passage"


async def test_the_answer_itself_is_never_described() -> None:
    answer = passage("1968", "1968 was the year of the Orrin Lighthouse.")
    draft, _ = await rewrite(round_of("Which year, 1968 or not, was it?", 2, answer))
    assert draft.proposal is None and draft.problem.startswith("nothing that the question names")


@pytest.mark.parametrize("most", [0, 1, 5])
async def test_it_keeps_to_its_searches(most: int) -> None:
    library = Library()
    limits = RolloutLimits(searches=most, top_k=2)
    draft, _ = await rewrite(round_of(PLAIN, 2), rewriter=replace(REWRITER, limits=limits), library=library)
    # what was written is checked by a search more, as the staged proposer does
    assert [query for query in library.queries[most:] if not query.startswith("What is ")] == []
    assert draft.trajectory.searches == len(library.queries)


async def test_without_calls_nothing_is_worded() -> None:
    llm = ScriptedLLM(model())
    draft, _ = await rewrite(round_of(PLAIN, 2), rewriter=replace(REWRITER, calls=0), llm=llm)
    assert draft.proposal is None and llm.requests == []


@pytest.mark.parametrize(
    ("error", "stop"),
    [
        (LLMUnavailable("down"), StopReason.ERRORED),
        (LLMFiltered("policy"), StopReason.FILTERED),
        (ContextOverflow("8192"), StopReason.CONTEXT),
    ],
)
async def test_a_model_that_fails_ends_it_as_data(error: Exception, stop: StopReason) -> None:
    draft, repair = await rewrite(round_of(PLAIN, 2), llm=ScriptedLLM(model(Value=error)))
    assert (draft.proposal, repair) == (None, None) and draft.trajectory.stop is stop
    assert str(error) in (draft.trajectory.error or draft.problem)


async def test_a_retriever_that_fails_is_an_error() -> None:
    draft, _ = await rewrite(round_of(PLAIN, 2), library=Library(RetrievalTimeout("late")))
    assert draft.trajectory.stop is StopReason.ERRORED and draft.trajectory.error == "RetrievalTimeout: late"


@pytest.mark.parametrize("kind", ["thing", "organization"])
async def test_a_user_is_a_description_only_if_something_says_what_it_is(kind: str) -> None:
    reads = {"Value: Orrin Lighthouse": f"engineer | user | {kind}", "Marwood used by": "Orrin Lighthouse"}
    draft, _ = await rewrite(round_of(PLAIN, 1), llm=ScriptedLLM(model(**reads)))
    if kind == "thing":
        assert draft.proposal is None and draft.problem == "nothing says what 'Orrin Lighthouse' is"
    else:
        assert draft.proposal is not None, draft.problem
        assert draft.proposal.question == "When was the organization that uses Elsa Marwood automated?"
