"""A question's attempts: apart from each other, in order or at once, and no more than decide."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from questwell.errors import LLMUnavailable
from questwell.games.conftest import (
    HARDER,
    PROPOSAL,
    QUESTION,
    SEED,
    SILENT,
    Table,
    outcomes,
    pair,
    right,
    wrong,
)
from questwell.games.rules import Rules, Variant
from questwell.games.sage import play
from questwell.types.game import Accepted, Outcome, Place, Reason, Rejected
from questwell.types.trajectory import Role


async def test_the_solver_sees_the_question_only_and_attempts_differ_in_their_random_seed() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, *[right(2)] * 4)
    await table.play()
    first = [table.requests(0, Role.SOLVER, number)[0] for number in range(4)]
    assert all(request.messages == first[0].messages for request in first)
    assert first[0].messages[-1].content == f"Question: {QUESTION}"
    said = " ".join(message.content for message in first[0].messages)
    assert not any(word in said for word in ("Harrow", "Marwood", "1881"))
    seeds = [request.seed for number in range(4) for request in table.requests(0, Role.SOLVER, number)]
    assert len(set(seeds)) == len(seeds)
    assert first[0].temperature == 1.0


async def test_early_stop_runs_in_order_and_stops_at_the_first_decisive_attempt() -> None:
    order: list[int] = []

    async def note(place: Place) -> None:
        if place.role is Role.SOLVER:
            order.append(place.attempt)

    table = Table().proposes(0, *PROPOSAL).solves(0, wrong(1), right(3), right(1))  # no script for a fourth
    table.gate = note
    played = await table.play(variant=Variant.INITIAL)
    assert isinstance(played, Rejected) and played.reason is Reason.TOO_EASY
    assert order == [0, 0, 1, 1, 1, 1, 2, 2]
    assert played.rounds[0].verdict.skipped == 1


async def test_early_stop_follows_a_stop_at_a_failure() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(2), ["<search>Quillan", LLMUnavailable("gone")])
    played = await table.play()
    assert isinstance(played, Rejected) and played.reason is Reason.ERRORED
    assert "gone" in played.detail and "attempt 1" in played.detail


async def test_an_unscored_answer_next_to_a_too_easy_one_is_too_easy() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(2), wrong(1, "about 1881"), right(0))
    table.judges(0, 1, "hm", "hm").proposes(1, pair()).solves(1, *[right(2)] * 4)
    played = await table.play()
    assert isinstance(played, Accepted)
    assert [len(played.rounds[0].attempts), played.rounds[0].verdict.outcome] == [3, Outcome.TOO_EASY]


async def test_a_failure_of_another_attempt_does_not_hide_that_it_is_too_easy() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(2), ["<search>broken"], right(0), wrong(1))
    table.proposes(1, pair()).solves(1, *[right(2)] * 4)
    played = await table.play(early_stop=False)
    assert isinstance(played, Accepted)
    assert played.rounds[0].verdict.outcome is Outcome.TOO_EASY


async def test_without_early_stop_all_attempts_run_at_once() -> None:
    all_here = asyncio.Barrier(4)
    arrived: set[int] = set()

    async def wait_for_all(place: Place) -> None:
        if place.role is Role.SOLVER and place.attempt not in arrived:
            arrived.add(place.attempt)
            async with asyncio.timeout(20):
                await all_here.wait()  # one after another, they would wait for ever

    table = Table().proposes(0, *PROPOSAL).solves(0, right(0), right(0), wrong(2), right(2))
    table.gate = wait_for_all
    played = await table.play(variant=Variant.INITIAL, early_stop=False)
    (only,) = played.rounds
    assert [attempt.index for attempt in only.attempts] == [0, 1, 2, 3]
    assert (only.verdict.skipped, only.verdict.right, only.verdict.scored) == (0, 3, 4)
    assert isinstance(played, Rejected) and played.reason is Reason.TOO_EASY


ATTEMPT = st.sampled_from([right(0), right(1), right(2), right(3), wrong(1), SILENT])
ROUND = st.lists(ATTEMPT, min_size=3, max_size=3)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROUND, min_size=3, max_size=3), st.sampled_from(list(Variant)), st.sampled_from([None, 0, 1, 2]))
async def test_early_stop_changes_no_outcome(rounds, variant, taken_from) -> None:
    """The same game with and without it: same verdicts, same end, same figures of what is accepted."""

    async def played(*, early_stop: bool) -> Accepted | Rejected:
        table = Table()
        for index, attempts in enumerate(rounds):
            first = index == 0 or variant is Variant.RESAMPLE
            table.proposes(index, *(PROPOSAL if first else PROPOSAL[1:])).solves(index, *attempts)
        rules = Rules(
            variant,
            attempts=3,
            rounds=2,
            early_stop=early_stop,
            last_round_takes_correct=taken_from is not None,
            minimum_difficulty=taken_from or 0,
        )
        return await play(SEED, rules, table._players, table._session)

    stopped, whole = await played(early_stop=True), await played(early_stop=False)
    assert type(stopped) is type(whole)
    assert outcomes(stopped) == outcomes(whole)
    if isinstance(stopped, Rejected) and isinstance(whole, Rejected):
        assert stopped.reason is whole.reason
    else:
        assert stopped.rounds[-1].verdict == whole.rounds[-1].verdict
    assert all(round_.verdict.skipped == 0 for round_ in whole.rounds)


async def test_a_play_is_a_function_of_its_seed_and_its_answers() -> None:
    def laid() -> Table:
        table = Table().proposes(0, *PROPOSAL).solves(0, *[wrong(1, str(1900 + n)) for n in range(4)])
        return table.proposes(1, pair(HARDER)).solves(1, *[right(2)] * 4)

    one, other = laid(), laid()
    assert await one.play() == await other.play()
    assert one.requests(1, Role.PROPOSER) == other.requests(1, Role.PROPOSER)
