"""Evaluations in parts: the questions of one run, asked apart and joined, are what one process would have asked."""

import asyncio
import json
from pathlib import Path

import pytest
from evaluation_world import JUDGE, answer, ledger, setup, values, write_questions
from typer.testing import CliRunner

import questwell
from questwell.agents.prompts import Prompts
from questwell.cli.app import app
from questwell.errors import ConfigChanged, ConfigError, LLMUnavailable, StoreError
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.evaluate.config import EvalConfig, RescoreConfig
from questwell.recipes.evaluate.loop import configure, evaluate, questions_of
from questwell.recipes.evaluate.merge import merge
from questwell.recipes.evaluate.preview import eval_preview
from questwell.recipes.evaluate.rescore import rescore
from questwell.recipes.evaluate.setup import judge_of
from questwell.recipes.reports.scores import Evaluation, evaluation
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending
from questwell.recipes.runs.processes import folders
from questwell.store.reader import RunReader
from questwell.store.run import RunStore
from questwell.types.trajectory import StopReason

PARTS = 3


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_questions(tmp_path_factory.mktemp("bench") / "bench.jsonl", 20)


async def play(library: Path, bench: Path, run: Path, llm: ScriptedLLM | None = None, **given: object) -> Ending:
    resume = bool(given.pop("resume", False))
    chosen = configure(run, given if resume else values(library, bench, judge=JUDGE, **given), resume=resume)
    return (await evaluate(chosen, questions_of(chosen), run, setup(chosen, llm), Caller(resume=resume))).ending


async def parts_of(library: Path, bench: Path, folder: Path, **given: object) -> list[Path]:
    runs = [folder / f"part{part}" for part in range(PARTS)]
    for part, run in enumerate(runs):
        await play(library, bench, run, shard=f"{part}/{PARTS}", **given)
    return runs


def found(run: Path) -> tuple[object, ...]:
    """All that an evaluation reports, and all that its file holds, but for what depends on the clock."""
    seen = evaluation(run)
    with RunReader(run) as reader:
        sums = sorted(
            reader.rows("SELECT kind, role, model, round, sum(calls), sum(cost) FROM call_counts GROUP BY 1, 2, 3, 4")
        )
        kept = [*map(str, reader.questions()), *map(str, reader.scorings()), *map(str, reader.scores(0)), *sums]
    return (seen.summaries, seen.agreements, seen.missing, seen.total, seen.searches, seen.failures, kept, ledger(run))


async def test_joined_parts_equal_one_evaluation(library: Path, bench: Path, tmp_path: Path) -> None:
    parts = await parts_of(library, bench, tmp_path, attempts=2, temperature=1.0)
    await play(library, bench, tmp_path / "one", attempts=2, temperature=1.0)
    assert await asyncio.to_thread(merge, tmp_path / "joined", [parts[2], parts[0], parts[1]]) == 20
    assert found(tmp_path / "joined") == found(tmp_path / "one")
    with RunReader(parts[1]) as run:
        assert [asked.position for asked in run.questions()] == list(range(1, 20, PARTS))
    asked = ScriptedLLM(answer)
    assert await play(library, bench, tmp_path / "joined", asked, resume=True, attempts=3) is Ending.COMPLETE
    await play(library, bench, tmp_path / "three", attempts=3, temperature=1.0)
    assert ledger(tmp_path / "joined") == ledger(tmp_path / "three")


async def test_what_errored_in_a_part_is_mended_there_and_joined_again(
    library: Path, bench: Path, tmp_path: Path
) -> None:
    def broken(request: Request) -> Completion | Exception:
        return LLMUnavailable("down") if "bridge 7 " in request.messages[1].content else answer(request)

    run = tmp_path / "run"
    shards = [run / "shards" / f"{part:03d}" for part in range(PARTS)]
    for part, shard in enumerate(shards):
        await play(library, bench, shard, ScriptedLLM(broken), shard=f"{part}/{PARTS}")
    with RunReader(shards[0]) as reader, RunStore(run) as store:
        info = reader.info()
        assert info is not None
        await store.begin(info)
        await store.merge(shards)
        assert [score.judgement.label.value for score in store.read.scores(0)].count("errored") == 1
        assert await play(library, bench, shards[1], resume=True) is Ending.COMPLETE
        await store.merge(shards)
        assert [score.judgement.label.value for score in store.read.scores(0)].count("errored") == 0
        assert StopReason.ERRORED not in {trial.stop for trial in store.read.trials()}
    moved = run.rename(tmp_path / "moved")
    with RunStore(moved) as store:  # its shards are known wherever it is: no call is copied twice
        before = store.read.usage()
        await store.merge(folders(moved))
        assert store.read.usage() == before
        failed = store.read.failures()
    await play(library, bench, tmp_path / "one", ScriptedLLM(broken))
    with RunReader(tmp_path / "one") as reader:
        assert failed == reader.failures()


async def test_a_joined_evaluation_is_rescored_and_joined_again(library: Path, bench: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shards = [run / "shards" / f"{part:03d}" for part in range(PARTS)]
    for part, shard in enumerate(shards):
        await play(library, bench, shard, shard=f"{part}/{PARTS}")
    with RunReader(shards[0]) as reader, RunStore(run) as store:
        info = reader.info()
        assert info is not None
        await store.begin(info)
        await store.merge(shards)
    config = resolve(RescoreConfig, {"judge": "other@http://localhost:1/v1", "prompts": library / "prompts"})
    other = ScriptedLLM(answer, name="other")
    judge = judge_of(config, Prompts(library / "prompts"))
    await rescore(run, config, other, judge, "hash")
    before = evaluation(run)
    assert len(before.summaries[0].judges) == 2
    with RunStore(run) as store:
        await store.merge(shards)
    again = evaluation(run)
    assert (again.total, again.summaries) == (before.total, before.summaries)  # the rescoring's calls still count
    await rescore(shards[1], config, ScriptedLLM(answer, name="third"), judge, "hash")
    with RunStore(run) as store, pytest.raises(StoreError, match="rescored by different judges"):
        await store.merge(shards)


async def test_what_is_no_whole_is_refused(library: Path, bench: Path, tmp_path: Path) -> None:
    parts, out = await parts_of(library, bench, tmp_path), tmp_path / "joined"
    with pytest.raises(ConfigError, match="missing: 1/3"):
        await asyncio.to_thread(merge, out, [parts[0], parts[2]])
    await play(library, bench, tmp_path / "smaller", shard="1/3", sample="9")
    with pytest.raises(ConfigChanged, match="sample"):
        await asyncio.to_thread(merge, out, [parts[0], tmp_path / "smaller", parts[2]])
    await play(library, bench, tmp_path / "fewer", shard="1/3", attempts=2, temperature=1.0)
    with pytest.raises(ConfigChanged, match="attempts"):
        await asyncio.to_thread(merge, out, [parts[0], tmp_path / "fewer", parts[2]])
    assert not out.exists()
    given = values(library, bench, shard="0/2", shards=2)
    with pytest.raises(ConfigError, match="one of them"):
        resolve(EvalConfig, given)
    with pytest.raises(ConfigError, match="PART/PARTS"):
        resolve(EvalConfig, values(library, bench, shard="2/2"))


def test_a_preview_of_a_part_counts_its_questions(library: Path, bench: Path) -> None:
    (planned,) = eval_preview(resolve(EvalConfig, values(library, bench, shard="0/3"))).benchmarks
    assert (planned.asked, planned.found) == (7, 20)


ASK = ("--llm", "mock", "--corpus", "islands", "--mode", "agent")


@pytest.mark.timeout(240)
def test_processes_make_what_one_process_makes(tmp_path: Path) -> None:
    bench = write_questions(tmp_path / "bench.jsonl", 6)
    line = ["evaluate", *ASK, "--benchmarks", f"plain={bench}"]
    apart, one = str(tmp_path / "apart"), str(tmp_path / "one")
    stopped = CliRunner().invoke(app, [*line, "--shards", "2", "--limit", "3", "--out", apart, "--json"])
    assert stopped.exit_code == 3, stopped.output
    told = json.loads(stopped.stdout)
    assert (told["missing"], told["ended"]["ending"]) == (3, "limit")
    assert CliRunner().invoke(app, ["resume", apart]).exit_code == 0
    assert CliRunner().invoke(app, [*line, "--out", one]).exit_code == 0
    assert found(tmp_path / "apart") == found(tmp_path / "one")
    for part in range(2):
        alone = [*line, "--shard", f"{part}/2", "--out", str(tmp_path / f"part{part}")]
        assert CliRunner().invoke(app, alone).exit_code == 0
    joined = CliRunner().invoke(
        app, ["merge", str(tmp_path / "joined"), str(tmp_path / "part0"), str(tmp_path / "part1"), "--json"]
    )
    assert joined.exit_code == 0 and json.loads(joined.stdout)["missing"] == 0
    assert found(tmp_path / "joined") == found(tmp_path / "one")


@pytest.mark.timeout(240)
async def test_python_evaluates_in_processes_too_and_lends_them_no_objects(tmp_path: Path) -> None:
    bench = write_questions(tmp_path / "bench.jsonl", 4)
    given = {"corpus": "islands", "benchmarks": f"plain={bench}", "shards": 2}
    made = await questwell.evaluate_async(llm="mock", out=tmp_path / "run", **given)
    assert made.report is not None and made.report.ending is Ending.COMPLETE
    assert [shard.name for shard in folders(tmp_path / "run")] == ["000", "001"]
    assert isinstance(made.status(), Evaluation) and made.status().missing == 0
    with pytest.raises(ConfigError, match="other processes"):
        await questwell.evaluate_async(llm=ScriptedLLM(answer), out=tmp_path / "other", **given)
