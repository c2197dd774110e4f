"""The durable evaluation over a scripted model: every question is scored or told, and a replay changes nothing."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
import world
from evaluation_world import JUDGE, answer, config, ledger, setup, values, write_questions
from typer.testing import CliRunner

from questwell.agents.prompts import Prompts
from questwell.cli.app import app
from questwell.errors import BudgetReached, ConfigChanged, ConfigError, LLMTimeout, LLMUnavailable, StoreError
from questwell.llm.client import LLM, Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.evaluate.config import Mode, RescoreConfig
from questwell.recipes.evaluate.loop import configure, evaluate, questions_of
from questwell.recipes.evaluate.preview import eval_preview
from questwell.recipes.evaluate.rescore import rescore
from questwell.recipes.evaluate.setup import judge_of, make_solver
from questwell.recipes.reports.scores import compare_pooled, compare_runs, evaluation
from questwell.recipes.reports.status import status
from questwell.recipes.reports.traces import trace
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending, Report
from questwell.store.reader import RunReader
from questwell.store.run import RunStore
from questwell.types.game import Label

QUESTIONS = 24


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_questions(tmp_path_factory.mktemp("bench") / "bench.jsonl", QUESTIONS)


async def play(library: Path, bench: Path, run: Path, llm: LLM | None = None, **given: object) -> Report:
    resume, limit = bool(given.pop("resume", False)), given.pop("limit", None)
    chosen = configure(run, {} if resume and not given else values(library, bench, **given), resume=resume)
    assert limit is None or isinstance(limit, int)
    return await evaluate(chosen, questions_of(chosen), run, setup(chosen, llm), Caller(resume=resume, limit=limit))


async def test_every_attempt_is_scored_and_the_outcomes_are_apart(library: Path, bench: Path, tmp_path: Path) -> None:
    report = await play(library, bench, tmp_path / "run", judge=JUDGE)
    assert report.ending is Ending.COMPLETE
    found = evaluation(tmp_path / "run")
    everything = found.summaries[0]
    assert (everything.questions, everything.attempts, everything.errored, everything.unanswered) == (24, 24, 0, 6)
    assert everything.exact_match.mean == 6 / 24
    assert everything.f1.mean == pytest.approx((6 + 6 * 2 / 3) / 24)
    (judge,) = everything.judges
    assert (judge.right, judge.wrong, judge.unscored, judge.errored) == (12, 12, 0, 0)
    assert everything.searches.mean == 1.0
    assert everything.tokens.mean == (18 * 24 + 6 * 36) / 24  # without an answer, three messages
    assert [row.group for row in found.summaries] == ["all", "plain: 2 hops", "plain: 3 hops"]
    assert sum(row.questions for row in found.summaries[1:]) == 24
    (agreed,) = found.agreements
    assert (agreed.answers, agreed.agreed, agreed.only_first, agreed.only_second) == (24, 0.75, 0, 6)
    assert found.missing == 0
    assert found.parts == {}


async def test_two_evaluations_are_identical_and_so_is_an_interrupted_one(
    library: Path, bench: Path, tmp_path: Path
) -> None:
    given: dict[str, object] = {"judge": JUDGE, "attempts": 2, "temperature": 1.0}
    for name in ("a", "b"):
        await play(library, bench, tmp_path / name, **given)
    assert ledger(tmp_path / "a") == ledger(tmp_path / "b")
    run, asked = tmp_path / "c", ScriptedLLM(answer)
    assert (await play(library, bench, run, asked, **given, limit=7)).ending is Ending.LIMIT
    assert evaluation(run).missing == 41
    left = iter(range(20))
    broken = ScriptedLLM(lambda request: BudgetReached("enough") if next(left, None) is None else answer(request))
    assert (await play(library, bench, run, broken, resume=True)).ending is Ending.BUDGET
    last = ScriptedLLM(answer)
    assert (await play(library, bench, run, last, resume=True)).ending is Ending.COMPLETE
    assert ledger(run) == ledger(tmp_path / "a")
    with RunReader(run) as reader:  # nothing was asked twice, but for the calls that ended the second invocation
        assert len(asked.requests) + 20 + len(last.requests) == reader.usage().calls
    silent = ScriptedLLM(lambda request: AssertionError("nothing is left to ask"))
    assert (await play(library, bench, run, silent, resume=True)).ending is Ending.COMPLETE
    assert silent.requests == []


async def test_a_failed_rollout_is_no_wrong_answer_and_is_made_again(
    library: Path, bench: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"

    def flaky(request: Request) -> Completion | Exception:
        return LLMTimeout("late") if "bridge 4 " in request.messages[1].content else answer(request)

    report = await play(library, bench, run, ScriptedLLM(flaky))
    assert report.ending is Ending.ERRORED
    everything = evaluation(run).summaries[0]
    assert (everything.questions, everything.errored) == (24, 1)
    assert everything.exact_match.n == 23
    assert everything.exact_match.mean == 5 / 23
    assert (everything.judges[0].right, everything.judges[0].wrong) == (5, 18)
    assert everything.judges[0].if_wrong == 5 / 24
    assert (await play(library, bench, run, resume=True)).ending is Ending.COMPLETE
    assert evaluation(run).summaries[0].exact_match.mean == 6 / 24
    assert evaluation(run).summaries[0].errored == 0


async def test_it_stops_when_everything_fails(library: Path, bench: Path, tmp_path: Path) -> None:
    dead = ScriptedLLM(lambda request: LLMUnavailable("down"))
    report = await play(library, bench, tmp_path / "run", dead, max_errors=4, concurrency=1)
    assert report.ending is Ending.FAILING
    assert "LLMUnavailable" in report.message
    assert evaluation(tmp_path / "run").summaries[0].exact_match.mean is None


async def test_an_unusable_judgement_is_unscored_and_a_failed_one_errored(
    library: Path, bench: Path, tmp_path: Path
) -> None:
    def judge(request: Request) -> Completion | Exception:
        if request.messages[-1].content.startswith("Q: "):
            return LLMTimeout("late") if "bridge 2 " in request.messages[-1].content else Completion("hm", "judge")
        return answer(request)

    await play(library, bench, tmp_path / "run", ScriptedLLM(judge), judge=JUDGE)
    (found,) = evaluation(tmp_path / "run").summaries[0].judges
    assert (found.right, found.wrong, found.unscored, found.errored) == (6, 12, 5, 1)
    assert found.accuracy.n == 18
    assert found.if_wrong == 6 / 24
    report = await play(library, bench, tmp_path / "run", resume=True)  # only what failed is asked again
    assert report.ending is Ending.COMPLETE
    (found,) = evaluation(tmp_path / "run").summaries[0].judges
    assert (found.right, found.wrong, found.unscored, found.errored) == (7, 12, 5, 0)


async def test_a_larger_sample_and_more_attempts_go_on(library: Path, bench: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    await play(library, bench, run, sample="5", temperature=1.0)
    first = ledger(run)
    await play(library, bench, run, sample="12", temperature=1.0, attempts=3, resume=True)
    found = evaluation(run)
    assert (found.summaries[0].questions, found.summaries[0].attempts, found.missing) == (12, 36, 0)
    assert set(map(str, first)) <= set(map(str, ledger(run)))
    assert set(found.summaries[0].judges[0].pass_at) == {2}
    for change in ({"sample": "3"}, {"attempts": 1}, {"turns": 9}, {"mode": "rag"}, {"seed": 1}):
        with pytest.raises(ConfigChanged):
            await play(
                library, bench, run, **{"sample": "12", "temperature": 1.0, "attempts": 3, **change}, resume=True
            )
    with pytest.raises(ConfigError, match="--resume"):
        await play(library, bench, run)


async def test_other_questions_under_the_same_name_are_refused(library: Path, bench: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_text(bench.read_text())
    await play(library, copy, tmp_path / "run", sample="5")
    copy.write_text(bench.read_text().replace("When did", "When, then, did"))
    with pytest.raises(ConfigChanged, match="questions of the run are not what"):
        await play(library, copy, tmp_path / "run", resume=True)


@pytest.mark.parametrize(("mode", "searches"), [(Mode.RAG, 1.0), (Mode.CLOSED_BOOK, 0.0)])
async def test_baselines_run_through_the_same_loop(
    library: Path, bench: Path, tmp_path: Path, mode: Mode, searches: float
) -> None:
    def once(request: Request) -> Completion:
        number = int(request.messages[-1].content.rpartition("bridge ")[2].split()[0])
        return Completion(f"<answer>{world.YEAR + number - number % 2}", "scripted")

    given: dict[str, object] = {"mode": mode, "prompts": None}
    if mode is Mode.CLOSED_BOOK:
        given["corpus"] = ""
    llm = ScriptedLLM(once)
    await play(library, bench, tmp_path / "run", llm, **given)
    everything = evaluation(tmp_path / "run").summaries[0]
    assert len(llm.requests) == 24
    assert (everything.exact_match.mean, everything.searches.mean) == (0.5, searches)
    assert everything.cost_usd is None  # the script does not say, and that is not 0


async def test_another_judge_needs_no_rollout(library: Path, bench: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    await play(library, bench, run)
    before = ledger(run)
    chosen = resolve(RescoreConfig, {"judge": "other@http://localhost:1/v1", "prompts": library / "prompts"})
    llm = ScriptedLLM(answer, name="other")
    judge = judge_of(chosen, Prompts(library / "prompts"))
    sample = resolve(RescoreConfig, {**chosen.model_dump(), "sample": 8})
    assert (await rescore(run, sample, llm, judge, "hash")).ending is Ending.COMPLETE
    found = evaluation(run)
    assert {judge.judge: judge.right + judge.wrong for judge in found.summaries[0].judges} == {
        "exact_match": 24,
        "other": 8,
    }
    asked = len(llm.requests)
    await rescore(run, chosen, llm, judge, "hash")
    found = evaluation(run)
    (agreed,) = found.agreements
    assert (agreed.first, agreed.second, agreed.answers, agreed.only_second) == ("em", "other", 24, 6)
    assert all("bridge" in request.messages[-1].content for request in llm.requests)
    assert len(llm.requests) == 6 > asked  # only what is not settled without a model, and nothing twice
    assert set(map(str, before)) <= set(map(str, ledger(run)))
    with RunReader(run) as reader:
        assert [scoring.judge for scoring in reader.scorings()] == ["exact_match", "other"]
        assert sum(score.judgement.label is Label.RIGHT for score in reader.scores(0)) == 6


async def test_systems_are_compared_on_the_questions_they_share(library: Path, bench: Path, tmp_path: Path) -> None:
    def better(request: Request) -> Completion:
        found = answer(request)
        return Completion(found.text.replace("about ", ""), "scripted")

    await play(library, bench, tmp_path / "a")
    await play(library, bench, tmp_path / "b", ScriptedLLM(better), sample="20")
    overall, *groups = compare_runs([tmp_path / "a", tmp_path / "b"], "em")
    assert overall.comparison is not None
    assert overall.comparison.difference.n == 20
    assert overall.comparison.better == sum(
        asked.position % 4 == 2 for asked in questions_of(config(library, bench, sample="20"))
    )
    assert (overall.comparison.worse, overall.comparison.test) == (0, "mcnemar_exact")
    assert [row.group for row in groups] == ["plain: 2 hops", "plain: 3 hops"]
    shown = CliRunner().invoke(app, ["compare", str(tmp_path / "a"), str(tmp_path / "b")])
    assert shown.exit_code == 0
    assert f"{overall.comparison.p_value:.3g}" in shown.output
    as_json = CliRunner().invoke(app, ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"])
    assert json.loads(as_json.stdout)[0]["comparison"]["difference"]["n"] == 20
    with pytest.raises(ConfigError, match="at least two"):
        compare_runs([tmp_path / "a"], "em")
    with pytest.raises(ConfigError, match="metric"):
        compare_runs([tmp_path / "a", tmp_path / "b"], "bleu")


async def test_several_evaluations_of_a_system_count_as_one(library: Path, tmp_path: Path) -> None:
    def better(request: Request) -> Completion:
        return Completion(answer(request).text.replace("about ", ""), "scripted")

    whole = write_questions(tmp_path / "whole.jsonl", QUESTIONS)
    lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
    for part, half in {"x": lines[:10], "y": lines[10:]}.items():
        (tmp_path / f"{part}.jsonl").write_text("".join(half), encoding="utf-8")
    for part in ("whole", "x", "y"):
        await play(library, tmp_path / f"{part}.jsonl", tmp_path / f"a-{part}")
        await play(library, tmp_path / f"{part}.jsonl", tmp_path / f"b-{part}", ScriptedLLM(better))

    def of(*parts: str) -> dict[str, list[Path]]:
        return {system: [tmp_path / f"{system}-{part}" for part in parts] for system in "ab"}

    together, once = compare_pooled(of("x", "y"), "em"), compare_pooled(of("whole"), "em")
    assert [row.comparison for row in together] == [row.comparison for row in once]
    assert [(row.first, row.second, row.group) for row in together][:2] == [
        ("a", "b", "all"),
        ("a", "b", "plain: 2 hops"),
    ]
    assert together[0].comparison is not None and together[0].comparison.difference.n == QUESTIONS
    with pytest.raises(ConfigError, match="ask different questions"):
        compare_pooled(of("x", "whole"), "em")


async def test_verbs_of_generate_say_what_it_is(library: Path, bench: Path, tmp_path: Path) -> None:
    await play(library, bench, tmp_path / "run", sample="3", seed=3)  # one of them is right
    with pytest.raises(StoreError, match="a run of evaluate"):
        status(tmp_path / "run")
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "run")])
    assert shown.exit_code == 0
    assert "95 %" in shown.output
    asked = questions_of(config(library, bench, sample="3", seed=3))[0]
    listed = CliRunner().invoke(app, ["show", str(tmp_path / "run")]).output
    assert len(listed.splitlines()) == 3
    assert asked.question.question in listed
    told = CliRunner().invoke(app, ["show", str(tmp_path / "run"), asked.seed_id]).output
    assert f"searched “bridge {asked.position}”" in told
    assert f"Bridge {asked.position}" in told
    assert CliRunner().invoke(app, ["show", str(tmp_path / "run"), asked.question.id]).output == told
    assert CliRunner().invoke(app, ["show", str(tmp_path / "run"), "q00099"]).exit_code == 2
    for one in questions_of(config(library, bench, sample="3", seed=3)):
        (attempt,) = trace(tmp_path / "run", one.seed_id).attempts
        right = attempt.trajectory.answer == one.question.answers[0]
        assert (attempt.judgements["exact_match"].label is Label.RIGHT) == right
    assert "--rescore writes" in CliRunner().invoke(app, ["evaluate", "--rescore", "x", "--out", "y"]).output
    assert CliRunner().invoke(app, ["evaluate", "--rescore", str(tmp_path), "--judge", "local"]).exit_code == 1
    assert not (tmp_path / "run.sqlite").exists()


async def test_a_run_of_an_older_version_can_be_read_and_is_not_gone_on_with(
    library: Path, bench: Path, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for run in (old, new):
        await play(library, bench, run, sample="5")
    with RunStore(old) as store:
        info = store.read.info()
        assert info is not None
        assert isinstance(info.config, dict)
        config = {key: value for key, value in info.config.items() if key not in ("retriever", "page_text")}
        await store.begin(replace(info, config={**config, "search": None}, fingerprint={}))
    shown = CliRunner().invoke(app, ["status", str(old)])
    assert shown.exit_code == 0, shown.output
    assert "retriever unknown" in shown.output
    assert CliRunner().invoke(app, ["compare", str(old), str(new)]).exit_code == 0
    refused = CliRunner().invoke(app, ["evaluate", "--resume", "--out", str(old)])
    assert refused.exit_code == 1
    assert "cannot read: unknown key 'search'" in refused.output


def test_configs_that_cannot_be_are_refused(library: Path, bench: Path) -> None:
    for wrong in (
        {"attempts": 2},
        {"corpus": ""},
        {"retriever": "sparse"},
        {"sample": "many"},
        {"sample": "0"},
        {"benchmarks": "plain"},
        {"benchmarks": ""},
        {"where": "split"},
        {"price_in": 1.0},
        {"mod": "rag"},
    ):
        with pytest.raises(ConfigError):
            config(library, bench, **wrong)
    assert make_solver(config(library, bench), Prompts(library / "prompts")) is not None


def test_a_dry_run_says_what_would_be_done_and_does_nothing(library: Path, bench: Path, tmp_path: Path) -> None:
    chosen = config(library, bench, sample="10", attempts=2, temperature=1.0, judge="j@http://localhost:1/v1")
    found = eval_preview(chosen)
    (planned,) = found.benchmarks
    assert (planned.asked, planned.found, found.attempts) == (10, QUESTIONS, 20)
    assert found.most_calls == 20 * (3 + 2)
    llm = ScriptedLLM(answer)
    asyncio.run(evaluate(chosen, questions_of(chosen), tmp_path / "run", setup(chosen, llm)))
    assert len(llm.requests) <= found.most_calls
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in values(library, bench, sample="10").items()]
    shown = CliRunner().invoke(app, ["evaluate", *flags, "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert "10 of 24 questions" in shown.output
    alone = CliRunner().invoke(
        app, ["evaluate", str(bench), *(flag for flag in flags if not flag.startswith("--benchmarks")), "--dry-run"]
    )
    assert alone.output == shown.output
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
