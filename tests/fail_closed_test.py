"""Whatever fails, in whichever role: nothing is accepted because of it, nothing is lost, and the run can go on."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import world
from generate_test import accepted, ledger

from questwell.errors import (
    ContextOverflow,
    LLMError,
    LLMRefused,
    LLMTimeout,
    LLMUnavailable,
    MalformedReply,
    RetrievalError,
    RetrievalTimeout,
)
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import Answer, ScriptedLLM
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.generate.setup import Library
from questwell.recipes.reports.status import status
from questwell.recipes.reports.story import listing, story
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Ending, Report
from questwell.store.records import Play, PlayStatus
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Label, Reason
from questwell.types.trajectory import Role

SEEDS = 12
HEDGES = ("", " \n", "yes and no", "Incorrect", "either A or B", "verdict: yes\nverdict: no")
Search = Callable[[str, tuple[Hit, ...]], tuple[Hit, ...]]


@dataclass(frozen=True)
class Faulty:
    """The real index, whose hits go through `search`."""

    library: Library
    change: Search

    @property
    def name(self) -> str:
        return self.library.name

    @property
    def snapshot(self) -> str:
        return self.library.snapshot

    def __len__(self) -> int:
        return len(self.library)

    def passage_at(self, ordinal: int) -> Passage:
        return self.library.passage_at(ordinal)

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        return self.change(query, await self.library.search(query, k))

    async def aclose(self) -> None:
        await self.library.aclose()


def honest(request: Request) -> Answer:
    """As the world plays, but nothing is known that was not found, and the judge compares word by word."""
    role = role_of(request)
    shown = "\n".join(message.content for message in request.messages)
    if role is Role.JUDGE:
        said = re.findall(r"^[RA]: (.*)$", shown, re.MULTILINE)
        return f"verdict: {'yes' if said[1] == f'the year {said[0]}' else 'no'}"
    if "Nothing was found" in shown:
        return "<answer>unknown</answer>" if role is Role.SOLVER else "I do not know what to ask."
    return world.play(request)


def role_of(request: Request) -> Role:
    name = request.messages[0].content.split()[1]
    return Role.PROPOSER if name == "repair" else Role(name)


def failing(role: Role, answer: Answer) -> ScriptedLLM:
    """The honest model, but for `role`."""
    return ScriptedLLM(lambda request: answer if role_of(request) is role else honest(request))


async def run(
    library: Path, folder: Path, llm: ScriptedLLM | None = None, search: Search | None = None, *, resume: bool = False
) -> Report:
    given = {} if resume else world.values(library, seeds=SEEDS, solver_turns=5, max_errors=SEEDS + 1, seed_words=0)
    config = configure(folder, given, resume=resume)
    setup = world.setup(config, llm or ScriptedLLM(honest))
    setup = replace(setup, library=Faulty(setup.library, search or (lambda query, hits: hits)))
    return await generate(config, folder, setup, Caller(resume=resume))


def plays(folder: Path) -> list[Play]:
    """All of them, each told from the run file; the funnel must add up to their number."""
    found, funnel = listing(folder), status(folder).funnel
    assert funnel.candidates == funnel.drawn == SEEDS == len(found) == funnel.accepted + sum(funnel.rejected.values())
    for play in found:
        assert story(folder, play.seed_id).play == play
        assert play.status is not PlayStatus.REJECTED or play.detail or play.reason not in FAILURES
    return found


FAILURES = (Reason.ERRORED, Reason.UNSCORED, Reason.BAD_FORM, Reason.NO_MOVES)


def reasons(folder: Path) -> set[Reason | None]:
    return {play.reason for play in plays(folder)}


@pytest.fixture(scope="module")
def whole(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which nothing fails."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert asyncio.run(run(library, folder)).ending is Ending.COMPLETE
    assert len(accepted(folder)) >= 3
    return folder


async def goes_on(library: Path, folder: Path, whole: Path) -> None:
    """A resume without the failure ends as if there had been none."""
    assert (await run(library, folder, resume=True)).ending is Ending.COMPLETE
    assert Reason.ERRORED not in reasons(folder)
    assert accepted(folder) == accepted(whole)
    assert ledger(folder) == ledger(whole)


PLAYED = [role for role in Role if role is not Role.WEAK]
"""A weak solver fails closed in `games/checks_test.py`."""


@pytest.mark.parametrize("role", PLAYED)
@pytest.mark.parametrize("error", [LLMError, LLMUnavailable, LLMTimeout, LLMRefused, MalformedReply])
async def test_a_model_that_fails(
    library: Path, whole: Path, tmp_path: Path, role: Role, error: type[LLMError]
) -> None:
    folder = tmp_path / "run"
    report = await run(library, folder, failing(role, error("it broke [here]")))
    assert report.ending is Ending.ERRORED
    assert "it broke [here]" in report.message
    assert not accepted(folder)
    errored = [play for play in plays(folder) if play.reason is Reason.ERRORED]
    assert errored
    assert all(f"{error.__name__}: it broke [here]" in play.detail for play in errored)
    assert status(folder).spending.failures == {error.__name__: len(errored)}
    assert reasons(folder) - {Reason.ERRORED} <= ({Reason.NO_MOVES} if role is not Role.PROPOSER else set())
    await goes_on(library, folder, whole)


@pytest.mark.parametrize("role", PLAYED)
async def test_a_context_that_overflows(library: Path, tmp_path: Path, role: Role) -> None:
    """An agent that talks until nothing fits has ended without an answer; a judge that cannot read one has failed."""
    folder = tmp_path / "run"
    await run(library, folder, failing(role, ContextOverflow("8192 tokens")))
    assert not accepted(folder)
    expected = {
        Role.PROPOSER: {Reason.NO_PROPOSAL},
        Role.SOLVER: {Reason.UNSOLVED, Reason.NO_MOVES},
        Role.JUDGE: {Reason.ERRORED, Reason.NO_MOVES},
    }
    assert reasons(folder) == expected[role]


@pytest.mark.parametrize("reply", HEDGES)
@pytest.mark.parametrize("role", PLAYED)
async def test_a_model_that_says_nothing_usable(library: Path, tmp_path: Path, role: Role, reply: str) -> None:
    folder = tmp_path / "run"
    assert (await run(library, folder, failing(role, reply))).ending is Ending.COMPLETE
    assert not accepted(folder)
    expected = {Role.PROPOSER: set(), Role.SOLVER: {Reason.UNSOLVED}, Role.JUDGE: {Reason.UNSCORED}}
    assert reasons(folder) == expected[role] | {Reason.NO_MOVES}
    for play in plays(folder):
        if play.reason is Reason.UNSCORED:
            assert (reply.strip() or "reply was empty") in play.detail
            last = story(folder, play.seed_id).rounds[-1]
            assert last.attempts[-1].judgement.label is Label.UNSCORED
            assert last.verdict.right == 0 and last.verdict.solve_rate in (None, 0.0)


@pytest.mark.parametrize(
    "answer", ["either 1801 or 1802", "unknown", "yes and no", "the year 9999", "1801 1802 1803 1804", "verdict: yes"]
)
async def test_a_solver_that_hedges_is_wrong(library: Path, tmp_path: Path, answer: str) -> None:
    folder = tmp_path / "run"
    await run(library, folder, failing(Role.SOLVER, f"<answer>{answer}</answer>"))
    assert not accepted(folder)
    assert reasons(folder) == {Reason.UNSOLVED, Reason.NO_MOVES}


@pytest.mark.parametrize("answer", ["either 1801 or 1802", "unknown", "yes and no", ""])
async def test_a_proposer_that_hedges_is_refused(library: Path, tmp_path: Path, answer: str) -> None:
    pair = f"<question>When was the bridge opened?</question><answer>{answer}</answer><steps>q | a | [1]"
    folder = tmp_path / "run"
    await run(library, folder, failing(Role.PROPOSER, pair))
    assert not accepted(folder)
    assert reasons(folder) == {Reason.BAD_FORM if answer else Reason.NO_MOVES}


def of_solver(query: str) -> bool:
    return "Alma" not in query


@pytest.mark.parametrize("who", [Role.PROPOSER, Role.SOLVER])
@pytest.mark.parametrize("error", [RetrievalError, RetrievalTimeout])
async def test_a_retriever_that_fails(
    library: Path, whole: Path, tmp_path: Path, error: type[RetrievalError], who: Role
) -> None:
    def search(query: str, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
        if of_solver(query) is (who is Role.SOLVER):
            raise error("the shelf fell over")
        return hits

    folder = tmp_path / "run"
    report = await run(library, folder, search=search)
    assert report.ending is Ending.ERRORED
    assert not accepted(folder)
    assert reasons(folder) == {Reason.ERRORED, Reason.NO_MOVES}
    details = [play.detail for play in plays(folder) if play.reason is Reason.ERRORED]
    assert all(f"{error.__name__}: the shelf fell over" in detail for detail in details)
    await goes_on(library, folder, whole)


@pytest.mark.parametrize("who", [Role.PROPOSER, Role.SOLVER])
async def test_a_retriever_that_finds_nothing(library: Path, tmp_path: Path, who: Role) -> None:
    folder = tmp_path / "run"
    await run(library, folder, search=lambda query, hits: () if of_solver(query) is (who is Role.SOLVER) else hits)
    assert not accepted(folder)
    expected = {Reason.UNSOLVED, Reason.NO_MOVES} if who is Role.SOLVER else {Reason.NO_MOVES}
    assert reasons(folder) == expected


async def test_a_retriever_that_gives_other_passages(library: Path, tmp_path: Path) -> None:
    """The passages that the steps name do not hold the answer: the evidence decides, not the proposer's word."""

    def search(query: str, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
        return tuple(replace(hit, passage=replace(hit.passage, text="The guild kept no record.")) for hit in hits)

    def model(request: Request) -> Completion:
        completion = world.play(request)  # writes what it would have read
        return replace(completion, text=re.sub(r"\[\d+\]</steps>", "[2]</steps>", completion.text))

    folder = tmp_path / "run"
    await run(library, folder, ScriptedLLM(model), search)
    assert not accepted(folder)
    assert reasons(folder) <= {Reason.BAD_FORM, Reason.NO_MOVES}


async def test_failures_of_all_kinds_at_once_lose_nothing(library: Path, whole: Path, tmp_path: Path) -> None:
    """Each call fails at first, one after another with every error; resumed often enough, the run ends as it should."""
    errors = (LLMUnavailable("a"), LLMTimeout("b"), LLMRefused("c"), MalformedReply("d"))
    seen: set[str] = set()

    def flaky(request: Request) -> Answer:
        digest = request.digest()
        if digest in seen or int(digest[:2], 16) > 100:
            return honest(request)
        seen.add(digest)
        return errors[len(seen) % len(errors)]

    folder, llm = tmp_path / "run", ScriptedLLM(flaky)
    good = accepted(whole)
    report = await run(library, folder, llm)
    resumes = 0
    while report.ending is not Ending.COMPLETE:
        assert report.ending is Ending.ERRORED
        assert set(accepted(folder)) <= set(good)
        resumes += 1
        assert resumes < 60
        report = await run(library, folder, llm, resume=True)
    assert resumes > 2
    await goes_on(library, folder, whole)
