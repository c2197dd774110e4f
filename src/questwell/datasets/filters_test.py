from questwell.datasets.conftest import MakeItem
from questwell.datasets.filters import Wanted, choose
from questwell.types.gates import Gate, GateOutcome, GateResult


def test_each_item_is_kept_or_has_one_reason(make_item: MakeItem) -> None:
    items = [
        make_item(0, difficulty=1),
        make_item(1, difficulty=2, solve_rate=1.0),
        make_item(2, difficulty=7, answer_type="date"),
        make_item(3, difficulty=7, solve_rate=0.2),
        make_item(4, difficulty=8),
    ]
    kept, dropped = choose(items, Wanted((2, 7), (0.2, 0.9), ("entity",)))
    assert [item.id for item in kept] == ["r-s00003"]
    assert [(d.item_id[-1], d.reason) for d in dropped] == [
        ("0", "difficulty"),
        ("1", "solve_rate"),
        ("2", "answer_type"),
        ("4", "difficulty"),
    ]
    kept, dropped = choose(items, Wanted())
    assert (list(kept), dropped) == (items, [])


def test_a_gate_that_was_not_tried_was_not_passed(make_item: MakeItem) -> None:
    def with_gate(number: int, *outcomes: GateOutcome) -> object:
        return make_item(number, gates=tuple(GateResult(Gate.CLOSED_BOOK, outcome, "") for outcome in outcomes))

    items = [with_gate(0), *(with_gate(n, outcome) for n, outcome in enumerate(GateOutcome, 1))]
    kept, dropped = choose(items, Wanted(gates=("closed-book",)))  # type: ignore[arg-type]
    assert [item.gates[0].outcome for item in kept] == [GateOutcome.PASSED]
    assert {d.reason for d in dropped} == {"gate"}
    assert len(dropped) == len(GateOutcome)
