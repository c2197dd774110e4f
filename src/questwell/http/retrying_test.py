import asyncio
import gc
import logging
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from questwell.errors import LLMUnavailable, RetrievalRefused, RetrievalUnavailable
from questwell.http.retrying import (
    Failure,
    Retries,
    Server,
    TryFailedError,
    giving_up_with,
    retry_after_s,
    retrying,
    wait_before_retry,
)

SERVER = Server("the shop", "s3cret-key")


@dataclass(frozen=True)
class Patient:
    max_retries: int = 3
    backoff_s: float = 0.001
    max_wait_s: float = 30.0


def passing(wait: float | None = None, kind=RetrievalUnavailable) -> Failure:
    return Failure(kind, "busy with s3cret-key", "come back", retriable=True, retry_after_s=wait)


class Tries:
    """Fails by each of `failures`, then gives 7; counts."""

    def __init__(self, *failures: Failure | Exception) -> None:
        self.made = 0
        self._failures = failures

    async def __call__(self) -> int:
        self.made += 1
        if self.made > len(self._failures):
            return 7
        failure = self._failures[self.made - 1]
        raise failure if isinstance(failure, Exception) else TryFailedError(failure)


async def test_what_may_pass_is_tried_again_until_it_has():
    tries = Tries(passing(), passing(0.0), passing())
    assert await retrying(tries, SERVER, Patient(), lambda: False) == 7
    assert tries.made == 4


@pytest.mark.parametrize("kind", [RetrievalUnavailable, LLMUnavailable])
async def test_tries_are_bounded_and_the_last_failure_is_told_without_the_secret(kind):
    tries = Tries(*[passing(kind=kind)] * 9)
    with pytest.raises(kind) as told:
        await retrying(tries, SERVER, Patient(max_retries=2), lambda: False)
    assert tries.made == 3
    assert str(told.value) == "the shop: busy with *** (after 2 retries); come back"


async def test_a_call_that_succeeds_leaves_no_cycles() -> None:
    async def ten() -> None:
        for _ in range(10):
            await retrying(Tries(), SERVER, Patient(), lambda: False)

    await ten()
    gc.collect()
    await ten()
    assert gc.collect() == 0


async def test_what_will_not_pass_and_what_is_no_failure_of_a_try_is_made_once():
    tries = Tries(Failure(RetrievalRefused, "no s3cret-key", "ask else", retriable=False))
    with pytest.raises(RetrievalRefused, match=r"^the shop: no \*\*\*; ask else$"):
        await retrying(tries, SERVER, Patient(), lambda: False)
    tries = Tries(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await retrying(tries, SERVER, Patient(), lambda: False)
    assert tries.made == 1


async def test_a_closed_client_tries_nothing_again():
    tries = Tries(*[passing()] * 9)
    with pytest.raises(RetrievalUnavailable):
        await retrying(tries, SERVER, Patient(), lambda: tries.made == 2)
    assert tries.made == 2


async def test_the_cause_is_kept_and_the_log_holds_no_secret(caplog):
    async def cut() -> int:
        try:
            raise ConnectionError("s3cret-key broke")
        except ConnectionError as error:
            raise TryFailedError(passing()) from error

    with caplog.at_level(logging.WARNING), pytest.raises(RetrievalUnavailable) as told:
        await retrying(cut, SERVER, Patient(max_retries=1), lambda: False)
    assert isinstance(told.value.__cause__, ConnectionError)
    assert [record.name for record in caplog.records] == ["stamina"]
    assert "s3cret-key" not in str(vars(caplog.records[0]))


@pytest.mark.parametrize(("asked", "wait"), [(None, True), (7.0, 7.0), (0.0, True), (100.0, 30.0)])
def test_how_long_is_waited(asked, wait):
    found = wait_before_retry(TryFailedError(passing(asked)), Patient())
    assert found == wait
    assert (found is True) == (wait is True)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("12", 12.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Fri, 20 Nov 2026 10:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 09:00:00 GMT", 0.0),
        ("Fri, 20 Nov 2026 10:00:30 -0000", 30.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
def test_retry_after_s(header, seconds):
    assert retry_after_s(header, datetime(2026, 11, 20, 10, 0, tzinfo=UTC)) == seconds


def test_retry_after_date_without_a_zone_is_utc(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
        assert retry_after_s("Fri, 20 Nov 2026 10:00:30 -0000", now) == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_a_stop_ends_the_wait_for_another_try_and_nothing_else() -> None:
    """A dead endpoint with a long back-off: giving up ends the wait at once; a try in flight goes on."""
    retries, tries, slow_done = Retries(), list[int](), list[int]()

    async def dead() -> int:
        tries.append(1)
        raise TryFailedError(Failure(LLMUnavailable, "no route", "start it", retriable=True))

    async def slow() -> int:
        await asyncio.sleep(0.05)
        slow_done.append(1)
        return 7

    with giving_up_with(retries):
        server = Server("m", None)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_error_of(retrying(dead, server, Patient(5, 60.0, 60.0), lambda: False)))
            flying = group.create_task(retrying(slow, server, Patient(5, 60.0, 60.0), lambda: False))
            await asyncio.sleep(0.02)
            assert tries == [1] and not slow_done
            retries.give_up()
        assert "no route" in str(waiting.result()) and flying.result() == 7
        late = await _error_of(retrying(dead, server, Patient(5, 60.0, 60.0), lambda: False))
        assert "no route" in str(late) and len(tries) == 2  # nothing is tried again after a stop
    task = asyncio.current_task()
    assert task is not None and not task.cancelling()


async def test_a_real_cancellation_is_none_of_ours() -> None:
    retries = Retries()

    async def dead() -> int:
        raise TryFailedError(Failure(LLMUnavailable, "no route", "start it", retriable=True))

    with giving_up_with(retries):
        task = asyncio.create_task(retrying(dead, Server("m", None), Patient(5, 60.0, 60.0), lambda: False))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def _error_of(call: Awaitable[int]) -> LLMUnavailable:
    with pytest.raises(LLMUnavailable) as told:
        await call
    return told.value
