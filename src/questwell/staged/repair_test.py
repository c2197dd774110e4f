"""How the staged proposer repairs: by a longer path, another one, or none; and that it keeps to its budgets."""

import random
from dataclasses import replace

import pytest

from questwell.agents.prompts import Prompts
from questwell.agents.proposer import Draft
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.llm.client import Request
from questwell.llm.scripted import Answer, ScriptedLLM
from questwell.staged.conftest import ASKED, BRIDGE, LIGHT, MARWOOD, PROPOSER, Library, model, seed
from questwell.staged.diagnosis import diagnose
from questwell.staged.proposer import StagedProposer, _next_query
from questwell.staged.rewriter import StagedRewriter
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
    Verdict,
)
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn


async def propose(target: int) -> Draft:
    return await PROPOSER.propose(seed(target), DirectSession(ScriptedLLM(model()), Library()), 1)


def attempt(answer: str | None, label: Label, *searches: tuple[Passage, ...], index: int = 0) -> Attempt:
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


EASY = attempt("1968", Label.RIGHT, (MARWOOD,), (BRIDGE, LIGHT))


async def repair(
    last: Round, kind: FeedbackKind, proposer: StagedProposer = PROPOSER, target: int = 2
) -> tuple[Draft, str, list[str]]:
    library = Library()
    execution_feedback = ExecutionFeedback(kind, last.attempts[0])
    session = DirectSession(ScriptedLLM(model()), library)
    draft, told = await proposer.repair(seed(target), (last,), execution_feedback, session, 1)
    return draft, told.explanation if told else "", library.queries


async def test_too_easy_gets_a_longer_path_without_searching() -> None:
    last = await played(Outcome.TOO_EASY, EASY)
    draft, explanation, queries = await repair(last, FeedbackKind.DIFFICULTY)
    assert draft.proposal is not None, draft.problem
    assert draft.proposal.question == ASKED
    assert draft.proposal.evidence == (BRIDGE, MARWOOD, LIGHT)
    assert queries == []
    assert (
        explanation
        == "2 searches were enough: search 2 ('query 2') already found 'Orrin Lighthouse', which holds the answer"
    )


async def test_a_repair_has_half_the_calls() -> None:
    last = await played(Outcome.TOO_EASY, EASY)
    none, _, _ = await repair(last, FeedbackKind.DIFFICULTY, replace(PROPOSER, calls=1))
    assert (none.proposal, none.trajectory.turns) == (None, ())


async def test_what_failed_is_not_tried_again() -> None:
    missed = attempt("1900", Label.WRONG, (MARWOOD,))
    last = await played(Outcome.UNSOLVED, missed)
    diagnosis = diagnose(last, ExecutionFeedback(FeedbackKind.CORRECTNESS, missed))
    assert diagnosis.lost == (LIGHT.id, "1968")
    assert diagnosis.explanation == "no attempt found 'Orrin Lighthouse', step 2 of 2; one answered '1900'"
    silent = diagnose(last, ExecutionFeedback(FeedbackKind.CORRECTNESS, attempt(None, Label.WRONG, (MARWOOD,))))
    assert silent.explanation == "no attempt found 'Orrin Lighthouse', step 2 of 2"
    draft, _, _ = await repair(last, FeedbackKind.CORRECTNESS)
    assert draft.proposal is None  # the only path of this world ends there
    saw_it = attempt("1900", Label.WRONG, (MARWOOD, LIGHT))
    again = Round(0, last.proposal, (saw_it,), last.verdict)
    assert diagnose(again, ExecutionFeedback(FeedbackKind.CORRECTNESS, saw_it)).misread == (LIGHT.id, "1968")


async def test_a_shortcut_is_remembered_by_its_ends() -> None:
    at_once = attempt("1968", Label.RIGHT, (LIGHT,))
    last = await played(Outcome.TOO_EASY, at_once)
    diagnosis = diagnose(last, ExecutionFeedback(FeedbackKind.DIFFICULTY, at_once))
    assert diagnosis.shortcut == (MARWOOD.id, LIGHT.id)


async def test_searches_keep_to_the_budget() -> None:
    for most in (2, 5):
        library = Library()
        proposer = replace(PROPOSER, limits=RolloutLimits(searches=most, top_k=2))
        await proposer.propose(seed(5), DirectSession(ScriptedLLM(model()), library), 1)
        assert len(library.queries) <= most


async def test_each_step_has_its_share_of_searches() -> None:
    for target in (1, 3):
        library = Library()
        proposer = replace(PROPOSER, searches=1)
        draft = await proposer.propose(seed(target), DirectSession(ScriptedLLM(model()), library), 1)
        assert draft.proposal is None and 0 < len(library.queries) <= target
    assert (
        await replace(PROPOSER, searches=4).propose(seed(3), DirectSession(ScriptedLLM(model()), Library()), 1)
    ).proposal


class Endless(Library):
    """Every search names another place to look, which forms no path."""

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        self.queries.append(query)
        name = f"Quill {chr(64 + len(self.queries))}arn"
        return (Hit(Passage(name, f"Fen {name}", f"Fen {name} was designed by {name}.", name), 1.0, 1),)


@pytest.mark.parametrize(
    ("target", "most", "looked_up"),
    [(2, 20, 15), (3, 30, 23), (2, 8, 4), (2, 6, 3), (2, 4, 2), (5, 6, 1)],
)
async def test_searches_are_kept_for_the_checks_of_a_path(target: int, most: int, looked_up: int) -> None:
    """Two per step and one for the question, but half of a few searches, or one per step if that is more."""
    library = Endless()
    proposer = replace(PROPOSER, limits=RolloutLimits(searches=most, top_k=2))
    await proposer.propose(seed(target), DirectSession(ScriptedLLM(model()), library), 1)
    assert len(library.queries) == looked_up


async def test_paths_of_little_promise_are_not_enough() -> None:
    """Reading is dear and searching is not: it looks further for a value that is plainly said, then reads."""
    vague = Passage("v", "Quill Gate", "Quill Gate stood there for Orrin Lighthouse.", "v")

    class Vague(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            found = await super().search(query, k)
            return (Hit(vague, 9.0, 1), Hit(LIGHT, 8.0, 2)) if query == "Quill Gate" else found

    for kind, searched in (
        (AnswerType.DATE, 1),
        (AnswerType.NUMBER, 2),
    ):  # a date is what is wanted, or the last choice
        library, before = Vague(), list[int]()

        def answer(request: Request, library: Library = library, before: list[int] = before) -> Answer:
            before.append(len(library.queries))
            return model()(request)

        begun = replace(seed(2), passage=vague, answer_type=kind, other_types=(AnswerType.ENTITY, AnswerType.DATE))
        await replace(PROPOSER, enough=1).propose(begun, DirectSession(ScriptedLLM(answer), library), 1)
        assert before[0] >= searched and (before[0] == 1) is (kind is AnswerType.DATE)


async def test_what_a_corpus_links_is_searched_for_first() -> None:
    linked = Passage("q", "Quill Gate", "Quill Gate was built by Ana Ruiz in Ostia Town.", "q", links=("Ostia Town",))
    for passage, first in (
        (linked, "Ana Ruiz"),
        (replace(linked, text=linked.text.replace("was built by", "is a gift from")), "Ostia Town"),
    ):
        library = Library()
        await PROPOSER.propose(replace(seed(4), passage=passage), DirectSession(ScriptedLLM(model()), library), 1)
        assert library.queries[:2] == ["Quill Gate", first]


def section(title: str, text: str) -> Passage:
    """A section of the factbook about a made-up country."""
    document = f"factbook/{title.replace(': ', '/')}"
    return Passage(f"{document}#0", title, text, document)


async def test_paths_that_stand_or_fall_together_count_once() -> None:
    """Many questions from one clue are lost together if the clue is not unique: it looks for another clue first."""
    people = section("Ostia: People", "Population: 5,120.\nHouseholds: 1,204.\nVoters: 3,011.")
    trade = section("Ostia: Trade", "Port: Quill Town.\nShips: 310.")

    class Sections(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            self.queries.append(query)
            return tuple(Hit(one, 1.0, rank) for rank, one in enumerate((people, trade)[:k], 1))

    for enough, third in ((1, "Quill Town"), (2, "Ostia: Trade")):  # the first looks up what it is about to read
        library = Sections()
        begun = replace(seed(2), passage=people, answer_type=AnswerType.NUMBER)
        await replace(PROPOSER, enough=enough).propose(begun, DirectSession(ScriptedLLM(model()), library), 1)
        assert library.queries[:3] == ["Ostia", "Ostia: People", third]


def test_queries_follow_an_order() -> None:
    begun = replace(seed(2), passage=section("Ostia: Trade", "Ostia trades a lot. It has no port."))
    land = section("Ostia: Land", "Highest point: Mount Arel.\nLongest river: River Tamsel.")
    rule = section("Ostia: Rule", "Capital: Quill Town.")
    away = Passage("a", "Fenmouth", "Founder: Ole Brandt.\nHarbour: Port Quell.", "a")
    orders: set[tuple[str, ...]] = set()
    for rng in map(random.Random, range(20)):
        searched: list[str] = []
        while (query := _next_query(begun, (begun.passage, rule, land, away), searched, rng)) is not None:
            searched.append(query)
        assert searched[:2] == ["Ostia: Land", "Ostia: Rule"]  # the section with more names first
        assert {*searched[2:5]} == {"Mount Arel", "River Tamsel", "Quill Town"}
        assert {*searched[5:7]} == {"Ole Brandt", "Port Quell"}
        assert searched[7] == "Ostia trades a lot."
        assert sorted(searched[8:]) == ["Fenmouth", "Ostia"]
        orders.add(tuple(searched))
    assert len({order[2:7] for order in orders}) > 4  # equals in any order
    assert len({order[8:] for order in orders}) == 2


async def test_calls_grow_with_the_steps() -> None:
    for target, asked in ((1, False), (2, True)):
        session = DirectSession(ScriptedLLM(model()), Library())
        draft = await replace(PROPOSER, calls=1).propose(seed(target), session, 1)
        assert any(turn.query is None for turn in draft.trajectory.turns) is asked


@pytest.mark.timeout(30)
@pytest.mark.parametrize("enough", [1, 2])
async def test_it_ends_whenever_searches_run_out(enough: int) -> None:
    """With enough paths at hand and no search left to check them, it once went round for ever."""
    for most in range(1, 14):
        for change in ({}, {"Value: 1968": "lighthouse | none | date"}, {"Question: What is the year": "1986"}):
            proposer = replace(PROPOSER, limits=RolloutLimits(searches=most, top_k=2), enough=enough, calls=99)
            session = DirectSession(ScriptedLLM(model(**change)), Library())
            draft = await proposer.propose(seed(2), session, 1)
            assert draft.proposal is not None or draft.problem


async def test_a_question_is_rewritten_with_a_hop_in_front() -> None:
    last = await played(Outcome.TOO_EASY, EASY)
    rewriter = StagedRewriter(Prompts(), RolloutLimits(searches=12, top_k=2))
    session = DirectSession(ScriptedLLM(model()), Library())
    told = ExecutionFeedback(FeedbackKind.DIFFICULTY, EASY)
    draft, why = await rewriter.rewrite(seed(3), (last,), told, session, 1)
    assert draft.proposal is not None, draft.problem
    assert draft.proposal.question == ASKED
    assert draft.proposal.evidence == (BRIDGE, MARWOOD, LIGHT)
    assert draft.proposal.answer == "1968"
    assert why is not None and "Elsa Marwood" in why.explanation
    for change in ({"Name in passage 1": "no"}, {"Question: What is the name of the designer": "Dunwick"}):
        session = DirectSession(ScriptedLLM(model(**change)), Library())
        draft, why = await rewriter.rewrite(seed(3), (last,), told, session, 1)
        assert (draft.proposal, why) == (None, None), change
