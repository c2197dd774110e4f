"""The staged proposer against a scripted model over a few linked passages: moves, round trips and repairs."""

import json
import random
from dataclasses import replace

from questwell.agents.prompts import Prompts
from questwell.agents.proposer import Draft
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.errors import LLMTimeout, RetrievalTimeout
from questwell.llm.client import Request
from questwell.llm.scripted import Answer, ScriptedLLM
from questwell.staged.chain import Chain, chains
from questwell.staged.conftest import (
    BRIDGE,
    GUIDE,
    LIGHT,
    MARWOOD,
    NESTED,
    PROPOSER,
    WORLD,
    Library,
    model,
    passage,
    seed,
)
from questwell.staged.diagnosis import diagnose
from questwell.staged.proposer import StagedProposer
from questwell.staged.session import StagedSession
from questwell.staged.spans import Span
from questwell.staged.writer import Worded, Writer
from questwell.types.corpus import Hit, Passage
from questwell.types.game import (
    AnswerType,
    Attempt,
    ExecutionFeedback,
    FeedbackKind,
    Judgement,
    Label,
    Outcome,
    Round,
    Seed,
    Verdict,
)
from questwell.types.trajectory import StopReason, Trajectory


async def propose(target: int, **changes: str | Exception) -> Draft:
    return await PROPOSER.propose(seed(target), DirectSession(ScriptedLLM(model(**changes)), Library()), 1)


async def test_a_chain_is_found_worded_and_checked() -> None:
    draft = await propose(3)
    assert draft.proposal is not None, draft.problem
    assert (draft.proposal.question, draft.proposal.answer) == (NESTED, "1968")
    assert [step.answer for step in draft.proposal.steps] == ["Elsa Marwood", "Orrin Lighthouse", "1968"]
    assert draft.proposal.evidence == (BRIDGE, MARWOOD, LIGHT)
    assert draft.trajectory.stop is StopReason.FINISHED
    assert draft.trajectory.searches <= 12 + 3  # exploring, and one check a step


async def test_a_question_that_does_not_read_back_is_dropped() -> None:
    draft = await propose(3, When_was_Orrin_Lighthouse="1986")
    assert draft.proposal is None
    assert "'1986'" in draft.problem
    assert draft.trajectory.stop is StopReason.GAVE_UP


async def test_a_step_that_reads_back_as_something_else_is_dropped() -> None:
    draft = await propose(3, is_the_designer="Dunwick")
    assert draft.proposal is not None
    assert draft.proposal.evidence == (MARWOOD, LIGHT)  # a shorter chain, without that phrase


async def test_a_step_without_a_phrase_is_dropped() -> None:
    for asked in ("Who was it?", "Is Elsa Marwood the designer of Harrow Bridge?", "Harrow Bridge, by whom?", ""):
        draft = await PROPOSER.propose(
            seed(3), DirectSession(ScriptedLLM(model(**{"Answer: Elsa": asked})), Library()), 1
        )
        assert draft.proposal is not None
        assert draft.proposal.evidence == (MARWOOD, LIGHT), asked


async def test_questions_must_hold_the_subject_and_not_the_answer() -> None:
    for question in (
        "When was it automated?",
        "Was Orrin Lighthouse automated in 1968?",
        "Orrin Lighthouse",
        "Orrin Lighthouse's year?",
    ):
        draft = await PROPOSER.propose(
            seed(3), DirectSession(ScriptedLLM(model(**{"Answer: 1968": question})), Library()), 1
        )
        assert draft.proposal is None, question


async def test_failures_are_data() -> None:
    draft = await propose(3, Answer=LLMTimeout("slow"))
    assert draft.proposal is None
    late = await PROPOSER.propose(seed(3), DirectSession(ScriptedLLM(model()), Library(RetrievalTimeout("late"))), 1)
    assert (late.trajectory.stop, late.proposal) == (StopReason.ERRORED, None)
    assert "late" in late.trajectory.error


def attempt(answer: str | None, label: Label, *searches: tuple[Passage, ...], index: int = 0) -> Attempt:
    from questwell.types.trajectory import Role, Style, Turn

    turns = tuple(
        Turn("", f"query {n}", tuple(Hit(p, 1.0, r) for r, p in enumerate(found, 1)))
        for n, found in enumerate(searches, 1)
    )
    trajectory = Trajectory(Role.SOLVER, Style.STAGED, turns, StopReason.FINISHED, answer)
    return Attempt(index, trajectory, Judgement(label, "exact_match"))


async def played(outcome: Outcome, *attempts: Attempt) -> Round:
    draft = await propose(2)
    assert draft.proposal is not None
    assert draft.proposal.evidence == (MARWOOD, LIGHT)
    return Round(0, draft.proposal, attempts, Verdict(outcome, 1, 1, 1))


async def test_too_easy_gets_one_hop_more_without_searching() -> None:
    easy = attempt("1968", Label.RIGHT, (MARWOOD,), (BRIDGE, LIGHT))
    last = await played(Outcome.TOO_EASY, easy)
    library = Library()
    draft, feedback = await PROPOSER.repair(
        seed(3),
        (last,),
        ExecutionFeedback(FeedbackKind.DIFFICULTY, easy),
        DirectSession(ScriptedLLM(model()), library),
        1,
    )
    assert draft.proposal is not None, draft.problem
    assert draft.proposal.question == NESTED
    assert draft.proposal.evidence == (BRIDGE, MARWOOD, LIGHT)
    assert library.queries == []
    assert feedback is not None
    assert (
        feedback.explanation
        == "2 searches were enough: search 2 ('query 2') already found 'Orrin Lighthouse', which holds the answer"
    )
    assert NESTED in feedback.change


async def test_what_failed_is_not_tried_again() -> None:
    missed = attempt("1900", Label.WRONG, (MARWOOD,))
    last = await played(Outcome.UNSOLVED, missed)
    diagnosis = diagnose(last, ExecutionFeedback(FeedbackKind.CORRECTNESS, missed))
    assert diagnosis.broken_link == (MARWOOD.id, LIGHT.id)
    assert diagnosis.explanation == "no attempt found 'Orrin Lighthouse', step 2 of 2; one answered '1900'"
    draft, feedback = await PROPOSER.repair(
        seed(2),
        (last,),
        ExecutionFeedback(FeedbackKind.CORRECTNESS, missed),
        DirectSession(ScriptedLLM(model()), Library()),
        1,
    )
    assert (draft.proposal, feedback) == (None, None)  # the only chain of this world breaks there
    saw_it = attempt("1900", Label.WRONG, (MARWOOD, LIGHT))
    assert diagnose(
        last.__class__(0, last.proposal, (saw_it,), last.verdict), ExecutionFeedback(FeedbackKind.CORRECTNESS, saw_it)
    ).broken_end == (LIGHT.id, "1968")


async def test_a_question_that_finds_its_answer_at_once_is_second_best() -> None:
    class Telling(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            return (
                (Hit(LIGHT, 9.0, 1), *await super().search(query, k - 1))
                if query == NESTED
                else await super().search(query, k)
            )

    draft = await PROPOSER.propose(seed(3), DirectSession(ScriptedLLM(model()), Telling()), 1)
    assert draft.proposal is not None
    assert draft.proposal.evidence == (MARWOOD, LIGHT)
    easy = attempt("1968", Label.RIGHT, (LIGHT,))
    last = await played(Outcome.TOO_EASY, easy)
    assert diagnose(last, ExecutionFeedback(FeedbackKind.DIFFICULTY, easy)).shortcut == (MARWOOD.id, LIGHT.id)


async def test_the_question_is_lengthened_in_front_when_only_a_shorter_one_could_be_worded() -> None:
    """Only a search about the chain's start finds who names it."""
    manual = passage("Guild Manual", "The Guild Manual is a book about Harrow Bridge.")

    class Late(Library):
        """Shows the manual only to who asks for what is used by, or based on, the bridge."""

        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            if "Guild Manual" in query:
                return (Hit(manual, 9.0, 1), Hit(BRIDGE, 8.0, 2))
            found = await super().search(query, k)
            return (Hit(manual, 9.0, 1), *found[: k - 1]) if query == "version of Harrow Bridge" else found

    def answer(request: Request) -> Answer:
        lines = request.messages[-1].content.splitlines()
        if lines[-2:] == ["Subject: Guild Manual", "Answer: Harrow Bridge"]:
            return json.dumps({"question": "Which bridge is described in the Guild Manual?"})
        if lines[-1] == "Question: Which bridge is described in the Guild Manual?":
            return json.dumps({"answer": "Harrow Bridge"})
        return model(**{"Answer: Harrow": "Hm."})(request)

    roomy = replace(PROPOSER, limits=RolloutLimits(searches=40, top_k=2))
    draft = await roomy.propose(seed(4), DirectSession(ScriptedLLM(answer), Late()), 1)
    assert draft.proposal is not None, draft.problem
    assert draft.proposal.evidence == (manual, BRIDGE, MARWOOD, LIGHT)
    assert draft.proposal.question == (
        "When was the lighthouse built by the designer of the bridge that is described in the Guild Manual automated?"
    )


async def test_what_came_out_once_is_tried_first_in_the_next_chain() -> None:
    """A writer counts what it still has to try, and knows what cannot come out."""
    staged = StagedSession(DirectSession(ScriptedLLM(model()), Library()), Prompts(), 1)
    writer = Writer(staged, 3)
    (long,) = chains(WORLD, 3, AnswerType.DATE, random.Random(1), BRIDGE)
    (short,) = chains(WORLD, 2, AnswerType.DATE, random.Random(1), BRIDGE)
    assert (writer.unknown(long), writer.unknown(short)) == (3, 2)
    worded = await writer.word(short, seed(2))
    assert not isinstance(worded, str)
    assert (writer.unknown(long), writer.fails(long)) == (1, False)
    broken = Writer(StagedSession(DirectSession(ScriptedLLM(model(Answer="Hm.")), Library()), Prompts(), 1), 3)
    assert isinstance(await broken.word(short, seed(2)), str)
    assert broken.fails(long) and broken.fails(short)


async def test_exploring_goes_on_where_nothing_is_named() -> None:
    """A passage that names nothing still has terms that its corpus links."""
    cog = replace(passage("cog", "A wheel with teeth that mesh with those of another."), links=("a bridge",))

    class Bare(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            found = await super().search(query, k)
            return (Hit(cog, 1.0, 1),) if query == "cog" else found

    library = Bare()
    draft = await PROPOSER.propose(
        Seed(0, cog, 2, AnswerType.DATE, (), 3), DirectSession(ScriptedLLM(model()), library), 1
    )
    assert library.queries[:2] == ["cog", "a bridge"]
    assert draft.proposal is not None and draft.proposal.answer == "1968"


async def test_a_question_of_what_the_subject_is_cannot_be_nested() -> None:
    draft = await propose(3, **{"Answer: 1968": "What is Orrin Lighthouse?", "What is Orrin": "1968"})
    assert draft.proposal is None


async def test_a_round_trip_reads_what_the_question_was_written_from() -> None:
    long = passage("Orrin Lighthouse", "The Orrin Lighthouse was automated in 1968. Gulls nest there.")
    llm = ScriptedLLM(model())
    writer = Writer(StagedSession(DirectSession(llm, Library()), Prompts(), 1), None)
    worded = await writer.word(Chain(long, (), Span("1968")), seed(1))
    assert isinstance(worded, Worded)
    assert len(llm.requests) == 2
    assert not any("Gulls" in message.content for request in llm.requests for message in request.messages)


def chain_of(length: int, answer_type: AnswerType, first: Passage) -> Chain:
    found = chains(WORLD, length, answer_type, random.Random(1), first)
    return next(chain for chain in found if chain.first is first)


async def test_of_chains_of_one_length_the_one_with_fewest_open_pieces_is_worded() -> None:
    known, other = chain_of(2, AnswerType.ENTITY, BRIDGE), chain_of(2, AnswerType.ENTITY, GUIDE)
    start = replace(seed(2), answer_type=AnswerType.ENTITY)
    writer = Writer(StagedSession(DirectSession(ScriptedLLM(model()), Library()), Prompts(), 1), None)
    assert isinstance(await writer.word(known, start), Worded)
    calls = writer.staged.calls
    worded = await PROPOSER._first_worded([other, known], start, writer)
    assert isinstance(worded, Worded) and worded.chain == known
    assert writer.staged.calls == calls


async def test_nothing_is_asked_for_a_chain_that_cannot_come_out() -> None:
    llm = ScriptedLLM(model(**{"Answer: 1968": "Hm."}))
    writer = Writer(StagedSession(DirectSession(llm, Library()), Prompts(), 1), None)
    assert isinstance(await writer.word(chain_of(2, AnswerType.DATE, MARWOOD), seed(2)), str)
    calls = writer.staged.calls
    assert isinstance(await PROPOSER._first_worded([chain_of(3, AnswerType.DATE, BRIDGE)], seed(3), writer), str)
    assert writer.staged.calls == calls


EASY = attempt("1968", Label.RIGHT, (MARWOOD,), (BRIDGE, LIGHT))


async def repair_easy(llm: ScriptedLLM, proposer: StagedProposer = PROPOSER, easy: Attempt = EASY) -> Draft:
    last = await played(Outcome.TOO_EASY, easy)
    execution_feedback = ExecutionFeedback(FeedbackKind.DIFFICULTY, easy)
    return (await proposer.repair(seed(3), (last,), execution_feedback, DirectSession(llm, Library()), 1))[0]


async def test_a_repair_has_half_the_calls() -> None:
    assert (await repair_easy(ScriptedLLM(model()), replace(PROPOSER, calls=2))).proposal is not None
    none = await repair_easy(ScriptedLLM(model()), replace(PROPOSER, calls=1))
    assert (none.proposal, none.trajectory.turns) == (None, ())


async def test_a_hop_in_front_that_tells_the_answer_is_not_taken() -> None:
    telling = "Who is the 1968 designer of Harrow Bridge?"
    llm = ScriptedLLM(model(**{"Answer: Elsa": telling, "1968 designer": "Elsa Marwood"}))
    assert (await repair_easy(llm)).proposal is None


async def test_too_easy_is_not_mended_by_another_chain_as_short() -> None:
    cape = passage("Cape Solace", "Cape Solace is lit by Orrin Lighthouse.")
    asked = "What is the lighthouse of Cape Solace?"

    def answer(request: Request) -> Answer:
        lines = request.messages[-1].content.splitlines()
        if lines[-2:] == ["Subject: Cape Solace", "Answer: Orrin Lighthouse"]:
            return json.dumps({"question": asked})
        if lines[-1] == f"Question: {asked}":
            return json.dumps({"answer": "Orrin Lighthouse"})
        return model(**{"Answer: Elsa": "Hm."})(request)

    easy = attempt("1968", Label.RIGHT, (MARWOOD, cape), (LIGHT,))
    draft = await repair_easy(ScriptedLLM(answer), easy=easy)
    assert draft.proposal is None


async def test_looking_outward_keeps_to_the_budget_of_searches() -> None:
    for most in (3, 8):
        library = Library()
        proposer = replace(PROPOSER, limits=RolloutLimits(searches=most, top_k=2))
        draft = await proposer.propose(seed(2), DirectSession(ScriptedLLM(model()), library), 1)
        relations = ("based on", "developed by", "written in", "version of", "used by")
        assert all(at < most for at, query in enumerate(library.queries) if query.startswith(relations))
        assert draft.trajectory.searches <= most + 6  # what was written is checked by searching too
