"""Sends each role's real request once, to see if the endpoint accepts it, what had to change, and what came back."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from questwell.agents.judging import judge_opening
from questwell.agents.prompts import Prompts
from questwell.agents.proposer import FreeProposer
from questwell.agents.protocol import Functions, Sampling, Tags
from questwell.agents.reader import PromptedReader
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.agents.solver import FreeSolver
from questwell.errors import LLMError
from questwell.llm.client import LLM, Completion, Request
from questwell.recipes.runs.taken import parts_taken
from questwell.scoring.judge import Judge
from questwell.types.corpus import Hit, Passage
from questwell.types.game import AnswerType, Label, Seed
from questwell.types.trajectory import StopReason, Trajectory

_PASSAGE = Passage("p", "Pellgrin Dam", "The Pellgrin Dam supplies Ostia. It was built by Elsa Marwood in 1936.", "p")
_QUESTION = "In which year was the dam that supplies Ostia built?"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """Result of one role's request."""

    role: str
    taken: bool
    """Whether the endpoint answered."""
    usable: bool
    """Whether the answer is a valid move, verdict or answer."""
    found: str
    takes: Mapping[str, str]
    """See `parts_taken`."""


class _Watched:
    """A model wrapper that keeps the latest completion."""

    def __init__(self, llm: LLM) -> None:
        self._llm = llm
        self.asked: Request | None = None
        self.latest: Completion | None = None
        self.error = ""

    @property
    def name(self) -> str:
        return self._llm.name

    @property
    def priced(self) -> bool | None:
        return self._llm.priced

    async def complete(self, request: Request) -> Completion:
        self.asked = request
        try:
            self.latest = await self._llm.complete(request)
        except LLMError as error:
            self.error = f"{type(error).__name__}: {error}"
            raise
        return self.latest

    async def aclose(self) -> None: ...


class _OnePassage:
    name = "one passage"

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        return (Hit(_PASSAGE, 1.0, 1),)

    async def aclose(self) -> None: ...


async def rehearse(llm: LLM) -> list[Rehearsed]:
    """Make one call per role as a run would: with its prompt, stops, tools, schema, temperature and length."""
    prompts = Prompts()
    seed = Seed(0, _PASSAGE, 2, AnswerType.DATE)
    once, sampling = RolloutLimits(turns=1, searches=1), Sampling()

    async def proposing(session: DirectSession, *, functions: bool) -> bool:
        dialect = Functions(proposing=True) if functions else Tags(proposing=True)
        draft = await FreeProposer(prompts, dialect, once, sampling).propose(seed, session, 0)
        return _moved(draft.trajectory)

    async def solving(session: DirectSession, *, functions: bool) -> bool:
        dialect = Functions() if functions else Tags()
        return _moved(await FreeSolver(prompts, dialect, once, sampling).solve(_QUESTION, session, 0))

    async def judging(session: DirectSession) -> bool:
        judge = Judge(judge_opening(prompts), asks=1, always=True)
        judged = await judge.judge(_QUESTION, ("1936",), "It was built in 1936.", session.complete)
        return judged.label in (Label.RIGHT, Label.WRONG)

    async def gating(session: DirectSession) -> bool:
        return await PromptedReader(prompts, structured=True).read(_QUESTION, (_PASSAGE,), session, 0) is not None

    tries: dict[str, Callable[[DirectSession], Awaitable[bool]]] = {
        "proposer, tags": lambda session: proposing(session, functions=False),
        "proposer, functions": lambda session: proposing(session, functions=True),
        "solver, tags": lambda session: solving(session, functions=False),
        "solver, functions": lambda session: solving(session, functions=True),
        "judge": judging,
        "gates, JSON schema": gating,
    }
    return [await _rehearse(role, trying, llm) for role, trying in tries.items()]


async def _rehearse(role: str, trying: Callable[[DirectSession], Awaitable[bool]], llm: LLM) -> Rehearsed:
    watched = _Watched(llm)
    try:
        usable = await trying(DirectSession(watched, _OnePassage()))
    except LLMError:
        usable = False
    takes = parts_taken(watched.asked, watched.latest.adapted if watched.latest else None)
    if watched.latest is None:
        return Rehearsed(role, False, False, watched.error, takes)
    said = watched.latest
    text = said.text or " ".join(f"{call.name}({call.arguments})" for call in said.tool_calls)
    notes = [f"{said.finish.value}, {text[:80]!r}"]
    if said.reasoning:
        notes.append("thoughts come apart")
    if said.adapted:
        notes.append(f"changed: {'; '.join(said.adapted)}")
    return Rehearsed(role, True, usable, ". ".join(notes), takes)


def _moved(trajectory: Trajectory) -> bool:
    """Return whether the agent's single message contained a move."""
    searched = any(turn.query is not None for turn in trajectory.turns)
    return searched or trajectory.stop is StopReason.FINISHED
