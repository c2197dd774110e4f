"""Runs each gate: asks its questions and interprets the answers. `games/gates.py` decides when gates run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from questwell.agents.reader import Reader
from questwell.agents.session import Sessions
from questwell.scoring.answers import contains
from questwell.scoring.exact import AnswerJudge
from questwell.scoring.times import named_time
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Judgement, Label, Place
from questwell.types.gates import EvidenceRank, Gate, GateOutcome
from questwell.types.trajectory import Role

FIRST_ATTEMPT = 100
"""First attempt number of a gate's calls, to separate them from those of solver attempts (at most 100)."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The pair that a gate checks."""

    question: str
    references: tuple[str, ...]
    """The reference answer, then other spellings of it."""
    evidence: tuple[Passage, ...]
    """The passages that the proposer retrieved and used."""
    derived: bool = False
    """Whether the answer is computed from facts; then no passage needs to contain it."""
    queries: tuple[str, ...] = ()
    """Queries of the intended search steps."""


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """The reader, judge and retriever that a gate uses, and its settings."""

    reader: Reader
    judge: AnswerJudge
    top_k: int = 3
    """Number of passages that the gates' own search returns."""
    recalls: int = 1
    """Number of times that the closed-book gate asks."""
    depth: int = 50
    """Number of top passages in which the findable gate looks for a document."""


@dataclass(frozen=True, slots=True)
class Found:
    """The result of one gate; `GateResult` describes the fields."""

    outcome: GateOutcome
    reason: str
    right: int | None = None
    asked: int | None = None
    ranks: tuple[EvidenceRank, ...] = ()


@dataclass(frozen=True, slots=True)
class Asking:
    """Applies one gate to one pair."""

    pair: Pair
    keeper: Gatekeeper
    at: Place
    attempt: int
    sessions: Sessions
    random_seed: int

    async def ask(self, gate: Gate) -> Found:
        """The result of `gate`. Errors of its reader, judge or retriever are raised."""
        match gate:
            case Gate.CLOSED_BOOK:
                return await self.closed_book()
            case Gate.EVIDENCE:
                return await self.verified(self.pair.evidence)
            case Gate.SHORTCUT:
                return await self.shortcut()
            case Gate.UNIQUE:
                return await self.unique()
            case Gate.SINGLE_DOCUMENT:
                return await self.single_document()
            case Gate.LEAVE_ONE_OUT:
                return await self.leave_one_out()
            case Gate.FINDABLE:
                return await self.findable()
            case Gate.DATED:
                return await self.dated()

    async def closed_book(self) -> Found:
        """The closed-book gate: asks once at temperature 0, then `recalls` - 1 times at a higher temperature."""
        right, wrong, unusable = list[str](), list[str](), list[Judgement]()
        for number in range(self.keeper.recalls):
            reader = self.sessions(self._place(Role.SOLVER))
            answer = await self.keeper.reader.recall(
                self.pair.question, reader, self.random_seed + number, 1.0 if number else 0.0
            )
            match await self._judged(answer):
                case None:
                    wrong.append("")
                case Judgement(label=Label.RIGHT):
                    right.append(answer or "")
                case Judgement(label=Label.WRONG):
                    wrong.append(answer or "")
                case judgement:
                    unusable.append(judgement)
        counts = (len(right), len(right) + len(wrong))
        of = f" {counts[0]} of {counts[1]} times" if self.keeper.recalls > 1 else ""
        if right:
            return Found(GateOutcome.FAILED, f"answered without any passage{of}: {right[0]!r}", *counts)
        if unusable:
            return replace(_unusable(unusable[0]), right=counts[0], asked=counts[1])
        said = next((answer for answer in wrong if answer), None)
        if said is None:
            return Found(GateOutcome.PASSED, "not known without searching", *counts)
        return Found(GateOutcome.PASSED, f"without any passage the answer is {said!r}, which is wrong", *counts)

    async def verified(self, passages: tuple[Passage, ...]) -> Found:
        """Whether the reader answers correctly from `passages`; the evidence gate."""
        if not passages:
            return Found(GateOutcome.FAILED, "there is no evidence")
        reader = self.sessions(self._place(Role.SOLVER))
        answer = await self.keeper.reader.read(self.pair.question, passages, reader, self.random_seed)
        match await self._judged(answer):
            case None:
                return Found(GateOutcome.FAILED, f"the {len(passages)} passages do not settle it")
            case Judgement(label=Label.RIGHT):
                return Found(GateOutcome.PASSED, f"the {len(passages)} passages give {answer!r}")
            case Judgement(label=Label.WRONG):
                return Found(GateOutcome.FAILED, f"the {len(passages)} passages give {answer!r}")
            case judgement:
                return _unusable(judgement)

    async def shortcut(self) -> Found:
        """Whether the reader answers correctly from one search with the question itself."""
        reader = self.sessions(self._place(Role.SOLVER))
        hits = await reader.search(self.pair.question, self.keeper.top_k)
        found = tuple(hit.passage for hit in hits)
        if not found:
            return Found(GateOutcome.PASSED, "one search with the question itself finds nothing")
        answer = await self.keeper.reader.read(self.pair.question, found, reader, self.random_seed)
        match await self._judged(answer):
            case None:
                return Found(GateOutcome.PASSED, "one search with the question itself does not settle it")
            case Judgement(label=Label.RIGHT):
                return Found(GateOutcome.FAILED, f"one search with the question itself gives {answer!r}")
            case Judgement(label=Label.WRONG):
                return Found(
                    GateOutcome.PASSED, f"one search with the question itself gives {answer!r}, which is wrong"
                )
            case judgement:
                return _unusable(judgement)

    async def unique(self) -> Found:
        """Whether the reader finds another answer in the evidence and in one search with the question."""
        reader = self.sessions(self._place(Role.SOLVER))
        hits = await reader.search(self.pair.question, self.keeper.top_k)
        shown = tuple({p.id: p for p in (*self.pair.evidence, *(hit.passage for hit in hits))}.values())
        answers = await self.keeper.reader.every(self.pair.question, shown, reader, self.random_seed)
        if answers is None:
            return Found(GateOutcome.UNSCORED, "the reader's reply cannot be read")
        text = " ".join(f"{passage.title} {passage.text}" for passage in shown)
        others: list[str] = []
        right = False
        for answer in answers:
            judgement = await self._judged(answer)
            if judgement is None or judgement.label is Label.WRONG:
                others.append(answer)
            elif judgement.label is Label.RIGHT:
                right = True
            else:
                return _unusable(judgement)
        # An answer that no passage contains cannot be read from one, unless it is worked out.
        grounded = others if self.pair.derived else [other for other in others if contains(text, other)]
        if grounded:
            return Found(GateOutcome.FAILED, f"also fits: {', '.join(map(repr, grounded))}")
        if not right:
            return Found(GateOutcome.FAILED, "the reference is not among the answers that the passages allow")
        return Found(GateOutcome.PASSED, f"of {len(shown)} passages no other answer was read")

    async def single_document(self) -> Found:
        """Whether the reader can answer from a single document of the evidence."""
        documents = self._documents()
        if not documents:
            return Found(GateOutcome.FAILED, "there is no evidence")
        return await self._none_of(
            [(f"{_name(passages)} alone", passages) for passages in documents],
            f"none of {len(documents)} documents settles it alone",
        )

    async def leave_one_out(self) -> Found:
        """Whether the reader can answer from the evidence without one of its documents, for each document."""
        documents = self._documents()
        if not documents:
            return Found(GateOutcome.FAILED, "there is no evidence")
        if len(documents) == 1:
            return Found(GateOutcome.PASSED, "there is one document, and nothing without it", 0, 0)
        without = [
            (
                f"without {_name(left_out)} the rest",
                [one for passages in documents if passages != left_out for one in passages],
            )
            for left_out in documents
        ]
        return await self._none_of(without, f"each of {len(documents)} documents is needed")

    async def _none_of(self, choices: Sequence[tuple[str, Sequence[Passage]]], none: str) -> Found:
        """PASSED if the reader gets the right answer from none of `choices`, given as (name, passages)."""
        right, asked = list[str](), 0
        unusable: Judgement | None = None
        for called, passages in choices:
            reader = self.sessions(self._place(Role.SOLVER))
            answer = await self.keeper.reader.read(self.pair.question, passages, reader, self.random_seed)
            judgement = await self._judged(answer)
            if judgement is not None and judgement.label not in (Label.RIGHT, Label.WRONG):
                unusable = unusable or judgement
                continue
            asked += 1
            if judgement is not None and judgement.label is Label.RIGHT:
                right.append(f"{called} gives {answer!r}")
        if right:
            return Found(GateOutcome.FAILED, "; ".join(right), len(right), asked)
        if unusable is not None:
            return replace(_unusable(unusable), right=0, asked=asked)
        return Found(GateOutcome.PASSED, none, 0, asked)

    async def findable(self) -> Found:
        """Whether the question and the queries of its steps find every document of the evidence near the top."""
        documents = self._documents()
        if not documents:
            return Found(GateOutcome.FAILED, "there is no evidence")
        searcher = self.sessions(self._place(Role.SOLVER))
        by_question = _ranks(await searcher.search(self.pair.question, self.keeper.depth))
        by_step: dict[str, int] = {}
        for query in dict.fromkeys(filter(str.strip, self.pair.queries)):
            for document, rank in _ranks(await searcher.search(query, self.keeper.depth)).items():
                by_step[document] = min(rank, by_step.get(document, rank))
        ids = [passages[0].document_id for passages in documents]
        ranks = tuple(EvidenceRank(one, by_question.get(one), by_step.get(one)) for one in ids)
        lost = [
            _name(passages)
            for passages, rank in zip(documents, ranks, strict=True)
            if rank.question is None and rank.step is None
        ]
        if lost:
            reason = f"not among the first {self.keeper.depth} of any query: {', '.join(lost)}"
            return Found(GateOutcome.FAILED, reason, ranks=ranks)
        found = ", ".join(
            f"{_name(passages)} at {min(place for place in (rank.question, rank.step) if place is not None)}"
            for passages, rank in zip(documents, ranks, strict=True)
        )
        return Found(GateOutcome.PASSED, f"best ranks: {found}", ranks=ranks)

    async def dated(self) -> Found:
        """Whether the question names a time, if its answer may change over time."""
        if named := named_time(self.pair.question):
            return Found(GateOutcome.PASSED, f"the question names a time: {named!r}")
        reader = self.sessions(self._place(Role.SOLVER))
        match await self.keeper.reader.changes(self.pair.question, reader, self.random_seed):
            case None:
                return Found(GateOutcome.UNSCORED, "the reader's reply cannot be read")
            case True:
                return Found(GateOutcome.FAILED, "the answer may change with time, and the question names none")
            case False:
                return Found(GateOutcome.PASSED, "the answer does not change with time")

    def _documents(self) -> list[tuple[Passage, ...]]:
        """The evidence by document, in order."""
        found: dict[str, tuple[Passage, ...]] = {}
        for passage in self.pair.evidence:
            found[passage.document_id] = (*found.get(passage.document_id, ()), passage)
        return list(found.values())

    async def _judged(self, answer: str | None) -> Judgement | None:
        """The judgement of the reader's answer; None if it said that it does not know."""
        if answer is None:
            return Judgement(Label.UNSCORED, "reader", "the reader's reply cannot be read")
        if not answer:
            return None
        judge = self.sessions(self._place(Role.JUDGE))
        return await self.keeper.judge.judge(self.pair.question, self.pair.references, answer, judge.complete)

    def _place(self, role: Role) -> Place:
        return Place(self.at.seed, self.at.round, role, self.attempt)


def _unusable(judgement: Judgement) -> Found:
    """The result of a gate if the judgement is neither right nor wrong."""
    outcome = GateOutcome.UNSCORED if judgement.label is Label.UNSCORED else GateOutcome.ERRORED
    return Found(outcome, judgement.reason or "the judge said nothing usable")


def _ranks(hits: Sequence[Hit]) -> dict[str, int]:
    """The best rank of each document in `hits`, from 1."""
    found: dict[str, int] = {}
    for hit in hits:
        found.setdefault(hit.passage.document_id, hit.rank)
    return found


def _name(passages: Sequence[Passage]) -> str:
    return repr(passages[0].title or passages[0].document_id)
