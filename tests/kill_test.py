"""SIGKILL at any moment: the run goes on where it was, pays nothing twice, and ends as if nothing had happened."""

from collections.abc import Callable, Generator
from pathlib import Path

import evaluation_world
import pytest
from killing import Worker, committed, digests, kill_and_resume

from questwell.recipes.reports.scores import evaluation
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus

SEEDS = 100
QUESTIONS = 80

Start = Callable[[str, int], tuple[Worker, Worker]]


@pytest.fixture
def workers(library: Path, tmp_path: Path) -> Generator[Start]:
    """Makes two: of a run that is left alone, and of one that is killed."""
    open_ones: list[Worker] = []

    def start(verb: str, size: int) -> tuple[Worker, Worker]:
        pair = tuple(Worker(verb, library, tmp_path / name, size) for name in ("whole", "killed"))
        open_ones.extend(pair)
        return pair[0], pair[1]

    yield start
    for worker in open_ones:
        worker.close()


def ledger(run: Path) -> list[tuple[object, ...]]:
    """All calls but for what depends on the clock."""
    with RunReader(run) as reader:
        return sorted(
            reader._all(
                "SELECT seed, round, role, attempt, turn, digest, kind, model, prompt_tokens, completion_tokens, "
                "cost_usd, base, request, response FROM calls"
            )
        )


def outcomes(run: Path) -> list[tuple[object, ...]]:
    with RunReader(run) as reader:
        assert not reader.unplayed()
        return [(play, reader.outcome(play.index)) for play in reader.plays()]


@pytest.mark.timeout(300)
def test_fifty_kills_change_nothing(workers: Start, tmp_path: Path) -> None:
    whole, killed = workers("generate", SEEDS)
    assert whole.invoke(tmp_path / "whole.log") == 0
    calls = committed(whole.run)
    assert digests(tmp_path / "whole.log") == calls
    kill_and_resume(killed, calls, tmp_path, kills=50, seed=20180)
    assert ledger(killed.run) == ledger(whole.run)
    assert outcomes(killed.run) == outcomes(whole.run)
    with RunReader(killed.run) as reader:
        assert any(play.status is PlayStatus.ACCEPTED for play in reader.plays())


@pytest.mark.timeout(120)
def test_ten_kills_change_nothing_in_an_evaluation(workers: Start, tmp_path: Path) -> None:
    whole, killed = workers("evaluate", QUESTIONS)
    assert whole.invoke(tmp_path / "whole.log") == 0
    calls = committed(whole.run)
    assert digests(tmp_path / "whole.log") == calls
    kill_and_resume(killed, calls, tmp_path, kills=10, seed=2018)
    assert ledger(killed.run) == ledger(whole.run)
    assert evaluation_world.ledger(killed.run) == evaluation_world.ledger(whole.run)  # answers and judgements too
    scores, alone = evaluation(killed.run), evaluation(whole.run)
    assert (scores.summaries, scores.agreements, scores.total) == (alone.summaries, alone.agreements, alone.total)
    assert (scores.missing, scores.failures) == (0, {})
    everything = scores.summaries[0]
    assert (everything.attempts, everything.exact_match.mean) == (2 * QUESTIONS, 1 / 4)
    assert (everything.judges[0].right, everything.judges[0].wrong) == (QUESTIONS, QUESTIONS)


@pytest.mark.timeout(120)
def test_ten_kills_change_nothing_in_a_check_by_gates(workers: Start, tmp_path: Path) -> None:
    source, _ = workers("generate", SEEDS)
    assert source.invoke(tmp_path / "source.log") == 0
    source.run.rename(tmp_path / "source")
    whole, killed = workers("gates", 0)
    assert whole.invoke(tmp_path / "whole.log") == 0
    calls = committed(whole.run)
    assert digests(tmp_path / "whole.log") == calls
    kill_and_resume(killed, calls, tmp_path, kills=10, seed=2019)
    assert ledger(killed.run) == ledger(whole.run)
    with RunReader(killed.run) as reader:
        info = reader.info()
    assert info is not None and info.kind == "gates"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("verb", "size"), [("generate", SEEDS), ("evaluate", QUESTIONS)])
def test_a_finished_run_replays_without_a_call(workers: Start, tmp_path: Path, verb: str, size: int) -> None:
    whole, _ = workers(verb, size)
    assert whole.invoke(tmp_path / "first.log") == 0
    assert whole.invoke(tmp_path / "second.log") == 0
    assert not digests(tmp_path / "second.log")
