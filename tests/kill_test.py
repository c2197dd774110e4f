"""SIGKILL at any moment: the run goes on where it was, pays nothing twice, and ends as if nothing had happened.

Each verb in real processes against a server that counts what it is paid for; a few kills here, many in `make test-all`.
"""

import json
from collections.abc import Callable, Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import evaluation_world
import pytest
import world
from killing import Case, Model, Script, Worker, kill_and_resume

from questwell.recipes.generate.gates_results import results_of
from questwell.recipes.reports.scores import evaluation
from questwell.recipes.selfplay.toy import ENTITIES, RELATIONS
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.toy.world import PROMPTS, ToyWorld
from questwell.types.game import Reason

CONCURRENCY = 8
Record = Callable[[str, object], None]
COMMON = ("--concurrency", CONCURRENCY, "--price-in", 1, "--price-out", 2)


@pytest.fixture
def serve() -> Generator[Callable[[Script], Model]]:
    """Opens a model that answers by a script."""
    opened: list[Model] = []

    def serve_one(script: Script) -> Model:
        opened.append(Model(script))
        return opened[-1]

    yield serve_one
    for model in opened:
        model.close()


@pytest.fixture(scope="module")
def plays() -> Generator[Worker]:
    worker = Worker(trains=False)
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def trains() -> Generator[Worker]:
    worker = Worker(trains=True)
    yield worker
    worker.close()


def few_and_many(few: int, many: int) -> Any:
    """Kills of `make test` and of `make test-all`."""
    return pytest.mark.parametrize("kills", [few, pytest.param(many, marks=pytest.mark.slow)])


def killed_and_whole(
    case: Case, tmp_path: Path, worker: Worker, model: Model, kills: int, record: Record
) -> tuple[Path, Path]:
    """A run that was killed so often, and the same run left alone; that one makes no call when it is invoked again."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    assert worker.invoke(case.arguments(whole)) == 0, worker.said()
    calls = model.bodies()
    assert calls.total() > case.in_flight
    assert worker.invoke(case.arguments(whole)) == 0
    assert model.calls == calls.total()
    account = kill_and_resume(case, killed, worker, model, calls, kills)
    assert ledger(killed / case.calls) == ledger(whole / case.calls)
    record("account", json.dumps(asdict(account)))  # read by benchmarks/kills.py
    return killed, whole


def ledger(run: Path) -> list[tuple[object, ...]]:
    """All calls but for what depends on the clock."""
    with RunReader(run) as reader:
        rows = reader._all(
            "SELECT seed, round, role, attempt, turn, digest, kind, model, prompt_tokens, completion_tokens, "
            "cost_usd, base, request, response FROM calls"
        )
    return sorted((*row[:-1], _timeless(row[-1])) for row in rows)


def _timeless(response: str) -> str:
    answer = json.loads(response)
    if isinstance(answer, dict):
        answer.pop("latency_s", None)
    return json.dumps(answer)


def outcomes(run: Path) -> list[tuple[object, ...]]:
    with RunReader(run) as reader:
        assert not reader.unplayed()
        return [(play, reader.outcome(play.index)) for play in reader.plays()]


def generating(library: Path, model: Model, seeds: int) -> Case:
    given = {**world.values(library, seeds=seeds), "llm": f"m@{model.url}"}
    return Case(lambda run: ["generate", "--resume", "--out", run, *flags(given), *COMMON], "", CONCURRENCY)


def flags(given: dict[str, object]) -> list[object]:
    return [part for key, value in given.items() for part in (f"--{key.replace('_', '-')}", value)]


@pytest.mark.timeout(600)
@few_and_many(4, 12)
def test_generate(
    library: Path, plays: Worker, serve: Callable[[Script], Model], tmp_path: Path, kills: int, record_property: Record
) -> None:
    model = serve(lambda request: world.play(request).text)
    killed, whole = killed_and_whole(generating(library, model, 24), tmp_path, plays, model, kills, record_property)
    assert outcomes(killed) == outcomes(whole)
    with RunReader(killed) as reader:
        assert any(play.status is PlayStatus.ACCEPTED for play in reader.plays())


@pytest.mark.timeout(600)
@few_and_many(3, 8)
def test_evaluate(
    library: Path, plays: Worker, serve: Callable[[Script], Model], tmp_path: Path, kills: int, record_property: Record
) -> None:
    questions, model = 24, serve(lambda request: evaluation_world.answer(request).text)
    given = evaluation_world.values(library, evaluation_world.write_questions(tmp_path / "q.jsonl", questions))
    given |= {"llm": f"m@{model.url}", "judge": f"judge@{model.url}", "attempts": 2, "temperature": 1.0}
    case = Case(lambda run: ["evaluate", "--resume", "--out", run, *flags(given), *COMMON], "", CONCURRENCY)
    killed, whole = killed_and_whole(case, tmp_path, plays, model, kills, record_property)
    assert evaluation_world.held(killed) == evaluation_world.held(whole)
    scores, alone = evaluation(killed), evaluation(whole)
    assert (scores.summaries, scores.agreements, scores.total) == (alone.summaries, alone.agreements, alone.total)
    assert (scores.missing, scores.failures) == (0, {})
    everything = scores.summaries[0]
    assert (everything.attempts, everything.exact_match.mean) == (2 * questions, 1 / 4)
    assert (everything.judges[0].right, everything.judges[0].wrong) == (questions, questions)


@pytest.mark.timeout(600)
@few_and_many(3, 10)
def test_harden(
    library: Path, plays: Worker, serve: Callable[[Script], Model], tmp_path: Path, kills: int, record_property: Record
) -> None:
    model = serve(lambda request: world.play(request).text)
    asked = "When did the bridge number {} open? (version 0 target 3)"
    rows = [{"question": asked.format(n), "answer": str(world.YEAR + n)} for n in range(24)]
    source = tmp_path / "given.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    given = {key: value for key, value in world.values(library).items() if key not in ("answer_types", "seed_words")}
    given |= {"llm": f"m@{model.url}", "source": source, "steps": 3, "gates": "closed-book"}
    case = Case(lambda run: ["harden", "--resume", "--out", run, *flags(given), *COMMON], "", CONCURRENCY)
    killed, whole = killed_and_whole(case, tmp_path, plays, model, kills, record_property)
    assert outcomes(killed) == outcomes(whole)
    with RunReader(killed) as reader:
        known = reader.plays()
        rounds = {len(found.rounds) for play in known if (found := reader.outcome(play.index))}
    assert {play.reason for play in known} >= {None, Reason.HARD_OR_BROKEN, Reason.TOO_EASY}
    assert {1, 2, 4} <= rounds  # kept as it was, rewritten, given up after three rewritings


@pytest.mark.timeout(600)
@few_and_many(3, 6)
def test_gates(
    library: Path, plays: Worker, serve: Callable[[Script], Model], tmp_path: Path, kills: int, record_property: Record
) -> None:
    source, model = tmp_path / "source", serve(lambda request: world.play(request).text)
    assert plays.invoke(generating(library, model, 24).arguments(source)) == 0
    model.asked.clear()
    case = Case(lambda run: ["gates", source, "--out", run, *COMMON], "", CONCURRENCY)
    killed, whole = killed_and_whole(case, tmp_path, plays, model, kills, record_property)
    assert (killed / "results.json").read_bytes() == (whole / "results.json").read_bytes()
    assert not results_of(source)


def toy_files(started: Path, folder: Path) -> dict[str, object]:
    """The toy world as a user would bring it: a model's folder, a corpus, questions (`data.jsonl`), answers."""
    here = ToyWorld(ENTITIES, RELATIONS)
    files = {
        "corpus": [{"id": one.id, "contents": one.text} for one in here.passages],
        "data": [{"id": one.id, "question": one.question, "answer": one.answer} for one in here.questions(2)],
        "answers": [{"answer": name, "hops": 2} for name in sorted(set(here.facts.values()))],
        "held_out": [{"question": one.question, "answer": one.answer} for one in here.questions(2)[:12]],
    }
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {"corpus": folder / "corpus.jsonl", "index": folder / "index", "model": started, "prompts": PROMPTS}
    return {**found, "device": "cpu"}


def verdict(request: Any) -> str:
    """A judge that knows nothing and is always of the same mind."""
    return f"verdict: {'yes' if sum(request.messages[-1].content.encode()) % 2 else 'no'}"


@pytest.mark.timeout(900)
@few_and_many(3, 7)
def test_train(
    started: Path, trains: Worker, serve: Callable[[Script], Model], tmp_path: Path, kills: int, record_property: Record
) -> None:
    from train_test import same

    model = serve(verdict)
    given = {
        **toy_files(started, tmp_path),
        "algorithm": "ppo",
        "reward": "judge",
        "judge": f"judge@{model.url}",
        "steps": 6 if kills > 3 else 4,
        "save_every": 2,
        "batch": 2,
        "group": 2,
        "turns": 4,
        "top_k": 1,
        "turn_tokens": 12,
        "min_finished": 0,
        "learning_rate": 1e-4,
    }
    command = ["train", tmp_path / "data.jsonl", "--resume", *flags(given)]
    case = Case(lambda run: [*command, "--out", run], "calls", 4, linger_s=0.3)
    killed, whole = killed_and_whole(case, tmp_path, trains, model, kills, record_property)
    same(killed, whole, rel=1e-6)
    assert (killed / "attempts.jsonl").read_bytes() == (whole / "attempts.jsonl").read_bytes()


@pytest.mark.timeout(900)
@few_and_many(3, 7)
def test_selfplay(
    started: Path, trains: Worker, serve: Callable[[Script], Model], tmp_path: Path, kills: int, record_property: Record
) -> None:
    from selfplay_test import VALUES, episodes, state, told

    model = serve(verdict)
    given = {**VALUES, **toy_files(started, tmp_path), "judge_llm": f"judge@{model.url}"}
    given |= {"answers": tmp_path / "answers.jsonl", "held_out": tmp_path / "held_out.jsonl", "eval_every": 1}
    del given["verify"]
    command = ["selfplay", "--resume", "--no-verify", *flags(given)]
    case = Case(lambda run: [*command, "--out", run], "calls", 18, linger_s=0.3)
    killed, whole = killed_and_whole(case, tmp_path, trains, model, kills, record_property)
    assert told(killed) == told(whole)
    assert episodes(killed) == episodes(whole)
    assert state(killed) == state(whole)
