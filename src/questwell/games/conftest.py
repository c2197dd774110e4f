"""A table at which the SAGE game is played: real agents, whose models follow a script by round, role and attempt."""

from collections.abc import Awaitable, Callable, Sequence

from questwell.agents.baselines import OneCall
from questwell.agents.prompts import Prompts
from questwell.agents.proposer import FreeProposer
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.reader import PromptedReader
from questwell.agents.rewriter import FreeRewriter
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession, Session
from questwell.agents.solver import FreeSolver
from questwell.errors import RetrievalTimeout
from questwell.games.gates import FIRST_ATTEMPT, Gatekeeper
from questwell.games.harden import harden
from questwell.games.rules import Players, Rules
from questwell.games.sage import play
from questwell.llm.client import Completion, Message, Request
from questwell.llm.scripted import Answer, ScriptedLLM
from questwell.scoring.exact import ExactJudge
from questwell.scoring.judge import Judge
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Accepted, AnswerType, Outcome, Place, Proposal, Rejected, Seed
from questwell.types.gates import Gate
from questwell.types.trajectory import Role


def passage(title: str, text: str) -> Passage:
    return Passage(id=title.split()[-1].lower(), title=title, text=text, document_id=title)


BRIDGE = passage("Harrow Bridge", "The Harrow Bridge was designed by the engineer Elsa Marwood.")
ENGINEER = passage("Elsa Marwood", "Elsa Marwood was born in Quillan in 1881.")
VILLAGE = passage("Quillan", "Quillan is a village on the river Ost.")
SEED = Seed(7, BRIDGE, 2, AnswerType.DATE, random_seed=5)
QUESTION = "In which year was the designer of the crossing born?"
HARDER = "In which year was the designer of the old crossing born?"
PROMPTS = Prompts()


class Books:
    """Finds the passages whose title is in the query."""

    name = "books"

    def __init__(self) -> None:
        self.queries: list[str] = []

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        self.queries.append(query)
        if query == "broken":
            raise RetrievalTimeout("the shelf fell over")
        found = [book for book in (BRIDGE, ENGINEER, VILLAGE) if book.title in query]
        return tuple(Hit(book, 1.0, rank) for rank, book in enumerate(found[:k], 1))

    async def aclose(self) -> None: ...


class Table:
    """Where each agent's answers are laid out, and what each was asked. An agent that asks for more fails the test."""

    def __init__(self, *, proposer_turns: int = 3, solver_turns: int = 6) -> None:
        self.books = Books()
        self.gate: Callable[[Place], Awaitable[object]] | None = None
        self._scripts: dict[tuple[int, Role, int], Sequence[Answer]] = {}
        self._models: dict[tuple[int, Role, int], ScriptedLLM] = {}
        self._players = Players(
            FreeProposer(
                PROMPTS, Tags(proposing=True), RolloutLimits(proposer_turns, forced_last_turn=True), Sampling()
            ),
            FreeSolver(PROMPTS, Tags(), RolloutLimits(solver_turns), Sampling()),
            Judge(
                lambda question, references, answer: (Message("user", f"{question}|{' / '.join(references)}|{answer}"),)
            ),
            Gatekeeper(PromptedReader(PROMPTS), ExactJudge()),
            FreeRewriter(PROMPTS, Tags(proposing=True), RolloutLimits(proposer_turns), Sampling()),
            OneCall(PROMPTS, Sampling()),
        )

    def proposes(self, index: int, *answers: Answer) -> "Table":
        self._scripts[index, Role.PROPOSER, 0] = [_later(answer, index) for answer in answers]
        return self

    def solves(self, index: int, *attempts: Sequence[Answer]) -> "Table":
        for number, answers in enumerate(attempts):
            self._scripts[index, Role.SOLVER, number] = answers
        return self

    def judges(self, index: int, attempt: int, *answers: Answer) -> "Table":
        self._scripts[index, Role.JUDGE, attempt] = answers
        return self

    def weakly(self, index: int, *attempts: Answer) -> "Table":
        """What the weak solver says, one reply an attempt."""
        for number, answer in enumerate(attempts):
            self._scripts[index, Role.WEAK, number] = [answer]
        return self

    def reads(self, index: int, gate: Gate, *answers: Answer) -> "Table":
        self._scripts[index, Role.SOLVER, FIRST_ATTEMPT + list(Gate).index(gate)] = answers
        return self

    async def harden(self, given: Proposal, seed: Seed = SEED, **rules: object) -> Accepted | Rejected:
        """As `play`, from a given question."""
        outcome = await harden(seed, given, Rules(**rules), self._players, self._session)  # type: ignore[arg-type]
        assert self.asked() == {at: len(answers) for at, answers in self._scripts.items()}
        assert outcome.seed == seed
        return outcome

    async def play(self, seed: Seed = SEED, **rules: object) -> Accepted | Rejected:
        """The outcome; fails unless exactly the answers laid out were asked for."""
        outcome = await play(seed, Rules(**rules), self._players, self._session)  # type: ignore[arg-type]
        assert self.asked() == {at: len(answers) for at, answers in self._scripts.items()}
        assert outcome.seed == seed
        return outcome

    def asked(self) -> dict[tuple[int, Role, int], int]:
        """Calls by round, role and attempt, where there was one."""
        return {at: len(model.requests) for at, model in self._models.items() if model.requests}

    def requests(self, index: int, role: Role, attempt: int = 0) -> list[Request]:
        return self._models[index, role, attempt].requests

    def prompt(self, index: int, role: Role, attempt: int = 0) -> str:
        """All that the first request of an agent says."""
        return "\n".join(message.content for message in self.requests(index, role, attempt)[0].messages)

    def _session(self, place: Place) -> Session:
        assert place.seed == SEED.id
        at = (place.round, place.role, place.attempt)
        model = self._models.setdefault(at, ScriptedLLM(self._scripts.get(at, ())))
        return _Gated(DirectSession(model, self.books), place, self)


class _Gated:
    """A session that waits at the table's gate before each call."""

    model = "scripted"

    def __init__(self, session: DirectSession, place: Place, table: Table) -> None:
        self._session, self._place, self._table = session, place, table

    async def complete(self, request: Request) -> Completion:
        if self._table.gate is not None:
            await self._table.gate(self._place)
        return await self._session.complete(request)

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        return await self._session.search(query, k)


def pair(question: str = QUESTION, answer: str = "1881", cited: int = 2, thought: str = "so") -> str:
    return f"<think>{thought}</think><question>{question}</question><answer>{answer}</answer><steps>q | a | [{cited}]"


def _later(answer: Answer, index: int) -> Answer:
    """`answer` with another question in each later round: a repair that changes nothing is refused."""
    if index == 0 or not isinstance(answer, str):
        return answer
    return answer.replace(f"<question>{QUESTION}<", f"<question>{QUESTION[:-1]}, asked again ({index})?<")


def after(searches: int, end: str) -> list[str]:
    """Answers of a solver: so many searches, then `end`."""
    return [f"<search>Quillan {number}" for number in range(searches)] + [end]


def right(searches: int) -> list[str]:
    return after(searches, "<answer>1881")


def wrong(searches: int, answer: str = "1999") -> list[str]:
    return after(searches, f"<answer>{answer}")


SILENT = ["I do not know."] * 3
PROPOSAL = ("<search>Elsa Marwood", pair())


def outcomes(played: Accepted | Rejected) -> list[Outcome]:
    return [round_.verdict.outcome for round_ in played.rounds]
