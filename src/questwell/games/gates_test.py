from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.agents.session import DirectSession, Session
from questwell.errors import ContextOverflow, LLMTimeout, RetrievalTimeout
from questwell.games.gates import FAILED, FIRST_ATTEMPT, Gatekeeper, Pair, check, check_all, leak, reason_of, verify
from questwell.llm.client import Message
from questwell.llm.scripted import ScriptedLLM
from questwell.scoring.judge import Judge
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Place, Reason
from questwell.types.gates import EvidenceRank, Gate, GateOutcome, GateResult
from questwell.types.trajectory import Role


def passage(name: str, text: str) -> Passage:
    return Passage(name, name.title(), text, name)


BRIDGE = passage("harrow", "The Harrow Bridge was designed by Elsa Marwood.")
ENGINEER = passage("marwood", "Elsa Marwood was born in Quillan.")
PLACE = Place("s00001", 2, Role.SOLVER)
PAIR = Pair(
    "Where was the designer of the Harrow Bridge born?", ("Quillan", "the village of Quillan"), (BRIDGE, ENGINEER)
)


class Books:
    name = "books"

    def __init__(self, found: Iterable[Passage] | Exception = (BRIDGE,)) -> None:
        self._found = found

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        if isinstance(self._found, Exception):
            raise self._found
        return tuple(Hit(one, 1.0, rank) for rank, one in enumerate(self._found, 1))[:k]

    async def aclose(self) -> None: ...


class Scripted:
    """A reader that says the same always, and remembers what it was shown."""

    def __init__(self, said: str | tuple[str, ...] | Exception | None) -> None:
        self.said = said
        self.shown: list[tuple[Passage, ...]] = []
        self.warmth: list[float] = []

    def _say(self) -> object:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    async def recall(self, question: str, session: Session, random_seed: int, temperature: float = 0.0) -> str | None:
        self.warmth.append(temperature)
        self.shown.append(())
        return self._say()  # type: ignore[return-value]

    async def read(self, question: str, passages: Iterable[Passage], session: Session, random_seed: int) -> str | None:
        self.shown.append(tuple(passages))
        return self._say()  # type: ignore[return-value]

    async def every(
        self, question: str, passages: Iterable[Passage], session: Session, random_seed: int
    ) -> tuple[str, ...] | None:
        self.shown.append(tuple(passages))
        return self._say()  # type: ignore[return-value]

    async def changes(self, question: str, session: Session, random_seed: int) -> bool | None:
        found = self._say()
        return {"yes": True, "no": False}.get(str(found))


class ByPassages(Scripted):
    """A reader that knows the answer from some sets of passages."""

    def __init__(self, *enough: tuple[Passage, ...], otherwise: str | None = "") -> None:
        super().__init__(otherwise)
        self._enough = [frozenset(one.id for one in passages) for passages in enough]

    async def read(self, question: str, passages: Iterable[Passage], session: Session, random_seed: int) -> str | None:
        shown = tuple(passages)
        self.shown.append(shown)
        known = frozenset(one.id for one in shown)
        return "Quillan" if any(one <= known for one in self._enough) else self._say()  # type: ignore[return-value]


def judge() -> Judge:
    return Judge(
        lambda question, references, answer: (Message("user", f"{question}|{' / '.join(references)}|{answer}"),)
    )


async def checked(
    gate: Gate,
    said: str | tuple[str, ...] | Exception | None,
    *verdicts: str | Exception,
    pair: Pair = PAIR,
    books: Books | None = None,
) -> tuple[GateResult, Scripted, list[Place]]:
    reader, llm, places = Scripted(said), ScriptedLLM(verdicts), list[Place]()

    def sessions(place: Place) -> Session:
        places.append(place)
        return DirectSession(llm, books or Books())

    return await check(gate, pair, Gatekeeper(reader, judge(), 3), PLACE, sessions, 5), reader, places


@pytest.mark.parametrize(
    ("gate", "said", "outcome"),
    [
        (Gate.CLOSED_BOOK, "quillan", GateOutcome.FAILED),
        (Gate.CLOSED_BOOK, "", GateOutcome.PASSED),
        (Gate.EVIDENCE, "the village of Quillan", GateOutcome.PASSED),
        (Gate.EVIDENCE, "", GateOutcome.FAILED),
        (Gate.SHORTCUT, "Quillan", GateOutcome.FAILED),
        (Gate.SHORTCUT, "", GateOutcome.PASSED),
        (Gate.UNIQUE, ("Quillan",), GateOutcome.PASSED),
        (Gate.UNIQUE, ("Quillan", "the village of Quillan"), GateOutcome.PASSED),
        (Gate.UNIQUE, (), GateOutcome.FAILED),
        (Gate.SINGLE_DOCUMENT, "Quillan", GateOutcome.FAILED),
        (Gate.SINGLE_DOCUMENT, "", GateOutcome.PASSED),
        (Gate.LEAVE_ONE_OUT, "Quillan", GateOutcome.FAILED),
        (Gate.LEAVE_ONE_OUT, "", GateOutcome.PASSED),
        (Gate.DATED, "yes", GateOutcome.FAILED),
        (Gate.DATED, "no", GateOutcome.PASSED),
    ],
)
async def test_each_gate(gate: Gate, said: str | tuple[str, ...], outcome: GateOutcome) -> None:
    found, _, _ = await checked(gate, said)  # a script without verdicts: no model judges these
    assert (found.gate, found.outcome) == (gate, outcome)
    assert found.reason


@pytest.mark.parametrize(
    ("gate", "outcome"),
    [(Gate.CLOSED_BOOK, GateOutcome.PASSED), (Gate.EVIDENCE, GateOutcome.FAILED), (Gate.SHORTCUT, GateOutcome.PASSED)],
)
async def test_a_wrong_answer(gate: Gate, outcome: GateOutcome) -> None:
    found, _, _ = await checked(gate, "Ostia", "verdict: no")
    assert found.outcome is outcome
    assert "'Ostia'" in found.reason


async def test_another_answer_counts_against_a_question_only_if_a_passage_holds_it() -> None:
    found, _, _ = await checked(Gate.UNIQUE, ("Quillan", "Elsa Marwood"), "verdict: no")
    assert found.outcome is GateOutcome.FAILED and "'Elsa Marwood'" in found.reason
    found, _, _ = await checked(Gate.UNIQUE, ("Quillan", "Atlantis"), "verdict: no")
    assert found.outcome is GateOutcome.PASSED
    found, _, _ = await checked(Gate.UNIQUE, ("Atlantis",), "verdict: no")
    assert found.outcome is GateOutcome.FAILED  # the reference was not among them


async def test_what_a_reader_is_shown() -> None:
    for gate, shown in (
        (Gate.CLOSED_BOOK, ()),
        (Gate.EVIDENCE, (BRIDGE, ENGINEER)),
        (Gate.SHORTCUT, (BRIDGE,)),
        (Gate.UNIQUE, (BRIDGE, ENGINEER)),  # evidence and hits, each once
    ):
        said = ("Quillan",) if gate is Gate.UNIQUE else "Quillan"
        _, reader, places = await checked(gate, said)
        assert reader.shown == [shown]
        attempts = {place.attempt for place in places}
        assert len(attempts) == 1 and min(attempts) >= FIRST_ATTEMPT
        assert {(place.seed, place.round) for place in places} == {("s00001", 2)}


async def test_each_gate_has_calls_of_its_own() -> None:
    said = {gate: ("Quillan",) if gate is Gate.UNIQUE else "Quillan" for gate in Gate}
    seen = [frozenset((await checked(gate, said[gate]))[2]) for gate in Gate]
    assert len(frozenset.union(*seen)) == sum(map(len, seen))


async def test_no_evidence_and_no_hits() -> None:
    bare = Pair(PAIR.question, PAIR.references, ())
    for gate in (Gate.SINGLE_DOCUMENT, Gate.LEAVE_ONE_OUT, Gate.FINDABLE):
        assert (await checked(gate, "", pair=bare))[0].outcome is GateOutcome.FAILED
    assert (await checked(Gate.EVIDENCE, "Quillan", pair=bare))[0].outcome is GateOutcome.FAILED
    assert (await checked(Gate.SHORTCUT, "Quillan", books=Books(())))[0].outcome is GateOutcome.PASSED
    noise = (passage("noise", "Quillan is a village."),)
    found = await verify(bare, noise, Gatekeeper(Scripted("Quillan"), judge()), PLACE, _direct, 5)
    assert found.outcome is GateOutcome.FAILED  # noise is no evidence


def _direct(place: Place) -> Session:
    return DirectSession(ScriptedLLM(["verdict: yes"]), Books())


@pytest.mark.parametrize("gate", [gate for gate in Gate if gate not in (Gate.FINDABLE, Gate.DATED)])
@pytest.mark.parametrize(
    ("said", "verdicts", "outcome"),
    [
        (LLMTimeout("30 s"), (), GateOutcome.ERRORED),
        (None, (), GateOutcome.UNSCORED),
        (ContextOverflow("8192"), (), GateOutcome.UNSCORED),
        ("Q.", (LLMTimeout("30 s"),), GateOutcome.ERRORED),
        ("Q.", ("Incorrect", "correct"), GateOutcome.UNSCORED),
        ("Q.", ("", ""), GateOutcome.UNSCORED),
    ],
)
async def test_every_gate_fails_closed(
    gate: Gate, said: str | Exception | None, verdicts: tuple[str | Exception, ...], outcome: GateOutcome
) -> None:
    times = 2 if gate in (Gate.SINGLE_DOCUMENT, Gate.LEAVE_ONE_OUT) else 1
    found, _, _ = await checked(
        gate, (said,) if gate is Gate.UNIQUE and isinstance(said, str) else said, *verdicts * times
    )
    assert found.outcome is outcome
    assert found.reason


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (LLMTimeout("30 s"), GateOutcome.ERRORED),
        (None, GateOutcome.UNSCORED),
        (ContextOverflow("8"), GateOutcome.UNSCORED),
    ],
)
async def test_the_dated_gate_fails_closed(said: Exception | None, outcome: GateOutcome) -> None:
    assert (await checked(Gate.DATED, said))[0].outcome is outcome


async def test_a_question_that_names_a_time_is_not_asked_about() -> None:
    dated = replace(PAIR, question="Who was mayor of Quillan in 1936?")
    found, _, places = await checked(Gate.DATED, LLMTimeout("never asked"), pair=dated)
    assert (found.outcome, places) == (GateOutcome.PASSED, [])
    assert "'in 1936'" in found.reason


RIVER = passage("ost", "The river Ost flows past.")
THREE = replace(PAIR, evidence=(BRIDGE, ENGINEER, RIVER))


@pytest.mark.parametrize(
    ("gate", "enough", "outcome", "counts", "named"),
    [
        (Gate.SINGLE_DOCUMENT, [(BRIDGE, ENGINEER)], GateOutcome.PASSED, (0, 3), "none of 3 documents"),
        (Gate.SINGLE_DOCUMENT, [(ENGINEER,)], GateOutcome.FAILED, (1, 3), "'Marwood' alone"),
        (Gate.SINGLE_DOCUMENT, [(ENGINEER,), (RIVER,)], GateOutcome.FAILED, (2, 3), "'Marwood' alone"),
        (Gate.LEAVE_ONE_OUT, [(BRIDGE, ENGINEER, RIVER)], GateOutcome.PASSED, (0, 3), "each of 3"),
        (Gate.LEAVE_ONE_OUT, [(BRIDGE, ENGINEER)], GateOutcome.FAILED, (1, 3), "without 'Ost'"),
        (Gate.LEAVE_ONE_OUT, [(ENGINEER,)], GateOutcome.FAILED, (2, 3), "without 'Harrow'"),
    ],
)
async def test_which_documents_are_needed(gate, enough, outcome, counts, named) -> None:
    reader = ByPassages(*enough)
    found = await check(gate, THREE, Gatekeeper(reader, judge()), PLACE, _direct, 5)
    assert (found.outcome, (found.right, found.asked)) == (outcome, counts)
    assert named in found.reason


async def test_passages_of_one_document_are_one() -> None:
    more = Passage("harrow#2", "Harrow", "It was opened in 1911.", "harrow")
    pair = replace(PAIR, evidence=(BRIDGE, ENGINEER, more))
    reader = ByPassages((BRIDGE, more))
    found = await check(Gate.SINGLE_DOCUMENT, pair, Gatekeeper(reader, judge()), PLACE, _direct, 5)
    assert found.outcome is GateOutcome.FAILED
    assert reader.shown == [(BRIDGE, more), (ENGINEER,)]
    alone = replace(PAIR, evidence=(BRIDGE, more))
    found = await check(Gate.LEAVE_ONE_OUT, alone, Gatekeeper(Scripted("Quillan"), judge()), PLACE, _direct, 5)
    assert (found.outcome, found.asked) == (GateOutcome.PASSED, 0)


async def test_one_answer_that_cannot_be_read_lets_nothing_through_unless_another_decides() -> None:
    for enough, outcome in (([], GateOutcome.UNSCORED), ([(RIVER,)], GateOutcome.FAILED)):
        reader = ByPassages(*enough, otherwise=None)
        found = await check(Gate.SINGLE_DOCUMENT, THREE, Gatekeeper(reader, judge()), PLACE, _direct, 5)
        assert found.outcome is outcome


class Ranked:
    """Finds by query."""

    name = "ranked"

    def __init__(self, **found: tuple[Passage, ...]) -> None:
        self.found = found
        self.depths: list[int] = []

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        self.depths.append(k)
        return tuple(Hit(one, 1.0, rank) for rank, one in enumerate(self.found.get(query, ()), 1))[:k]

    async def aclose(self) -> None: ...


async def test_the_ranks_of_the_evidence() -> None:
    pair = replace(PAIR, queries=("bridge", "born", "bridge", " "))
    books = Ranked(bridge=(RIVER, BRIDGE), born=(RIVER, RIVER, ENGINEER, BRIDGE), **{PAIR.question: (RIVER, ENGINEER)})

    def sessions(place: Place) -> Session:
        return DirectSession(ScriptedLLM(()), books)

    found = await check(Gate.FINDABLE, pair, Gatekeeper(Scripted(None), judge(), depth=9), PLACE, sessions, 5)
    assert found.outcome is GateOutcome.PASSED
    assert found.ranks == (EvidenceRank("harrow", None, 2), EvidenceRank("marwood", 2, 3))
    assert books.depths == [9, 9, 9]  # an equal query is searched once, an empty one never
    books.found["bridge"], books.found["born"] = (RIVER,), (RIVER,)
    found = await check(Gate.FINDABLE, pair, Gatekeeper(Scripted(None), judge(), depth=9), PLACE, sessions, 5)
    assert found.outcome is GateOutcome.FAILED and "'Harrow'" in found.reason and "'Marwood'" not in found.reason
    assert found.ranks[0] == EvidenceRank("harrow", None, None)


class Wavering(Scripted):
    """Says the next of several."""

    def _say(self) -> object:
        return self.said.pop(0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("said", "outcome", "counts"),
    [
        (["", "", "Quillan"], GateOutcome.FAILED, (1, 3)),
        (["Quillan", "", "Quillan"], GateOutcome.FAILED, (2, 3)),
        (["", "", ""], GateOutcome.PASSED, (0, 3)),
        (["", None, ""], GateOutcome.UNSCORED, (0, 2)),
        (["", None, "Quillan"], GateOutcome.FAILED, (1, 2)),
    ],
)
async def test_closed_book_asked_several_times(said, outcome, counts) -> None:
    reader = Wavering(list(said))  # type: ignore[arg-type]
    found = await check(Gate.CLOSED_BOOK, PAIR, Gatekeeper(reader, judge(), recalls=3), PLACE, _direct, 5)
    assert (found.outcome, (found.right, found.asked)) == (outcome, counts)
    assert reader.warmth == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("gate", [Gate.SHORTCUT, Gate.UNIQUE, Gate.FINDABLE])
async def test_a_failing_retriever_lets_nothing_through(gate: Gate) -> None:
    found, _, _ = await checked(gate, (), books=Books(RetrievalTimeout("late")))
    assert found.outcome is GateOutcome.ERRORED and "late" in found.reason


async def test_gates_run_in_order_up_to_the_first_that_stops() -> None:
    keeper = Gatekeeper(Scripted("Quillan"), judge())
    everything = await check_all(reversed(Gate), PAIR, keeper, PLACE, _direct, 5, stop=False)
    assert [result.gate for result in everything] == list(Gate)
    assert [r.gate for r in await check_all(reversed(Gate), PAIR, keeper, PLACE, _direct, 5)] == [Gate.CLOSED_BOOK]
    two = await check_all((Gate.SHORTCUT, Gate.EVIDENCE), PAIR, keeper, PLACE, _direct, 5)
    assert [r.outcome for r in two] == [GateOutcome.PASSED, GateOutcome.FAILED]


def test_each_result_that_stops_has_one_reason() -> None:
    for gate in Gate:
        assert reason_of(GateResult(gate, GateOutcome.FAILED, "x")) is FAILED[gate]
        assert reason_of(GateResult(gate, GateOutcome.ERRORED, "x")) is Reason.ERRORED
        assert reason_of(GateResult(gate, GateOutcome.UNSCORED, "x")) is Reason.UNSCORED
        with pytest.raises(ValueError, match="let the question through"):
            reason_of(GateResult(gate, GateOutcome.PASSED, "x"))
    assert len(set(FAILED.values())) == len(Gate)


async def test_noise_is_shuffled_in_and_fixed_by_the_seed() -> None:
    noise = tuple(passage(f"n{number}", "text") for number in range(7))

    async def order(seed: int) -> list[str]:
        reader = Scripted("Quillan")
        found = await verify(PAIR, noise, Gatekeeper(reader, judge()), PLACE, _direct, seed)
        assert found.outcome is GateOutcome.PASSED
        return [one.id for one in reader.shown[0]]

    assert await order(1) == await order(1)
    orders = {tuple(await order(seed)) for seed in range(8)}
    assert len(orders) > 1
    assert all(sorted(one) == sorted(["harrow", "marwood", *(n.id for n in noise)]) for one in orders)


def test_a_leaked_answer() -> None:
    assert leak("Where was Elsa born, in QUILLAN?", ("Quillan",))
    assert leak("首都は東京ですか", ("東京",))
    assert leak("Пётр Иванович", ("Иван",)) is None
    assert leak("Was the editor written in C++?", ("C",)) is None
    assert leak("Which alias, E. Marwood?", ("Elsa", "E. Marwood"))
    assert leak("Which number lies between 11 and 13?", ("12",)) is None
    assert leak("Who was it in 1912?", ("12",)) is None
    assert leak("Where was she born?", ("Quillan", "")) is None


@given(st.text(), st.text(min_size=1), st.text())
def test_a_question_around_its_answer_always_leaks(before: str, answer: str, after: str) -> None:
    from questwell.scoring.answers import normalise

    if normalise(answer) and not set("*_⁻") & set(before + answer + after):  # emphasis may close in another part
        assert leak(f"{before} {answer} {after}", (answer,))


_: Callable[[Place], Session] = _direct
