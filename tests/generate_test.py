"""The durable loop over the whole game, played by a script."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import world

from questwell.errors import ConfigChanged, ConfigError, LLMUnavailable, RunLocked, StoreError
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.dataset.export import Format, export, read_items
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.reports.items import items
from questwell.recipes.reports.status import status
from questwell.recipes.reports.story import story
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.progress import Progress
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.store.run import RunStore
from questwell.types.game import Reason
from questwell.types.gates import Gate, GateOutcome


async def play(library: Path, run: Path, llm: ScriptedLLM | None = None, **given: object) -> Report:
    """Start or resume a run with these config values."""
    resume = bool(given.pop("resume", False))
    limit = given.pop("limit", None)
    assert limit is None or isinstance(limit, int)
    config = configure(run, {} if resume and not given else world.values(library, **given), resume=resume)
    return await generate(config, run, world.setup(config, llm), Caller(resume=resume, limit=limit))


def ledger(run: Path) -> list[tuple[object, ...]]:
    """All calls of a run without what depends on the clock."""
    with RunReader(run) as reader:
        return sorted(
            reader._all(
                "SELECT seed, round, role, attempt, turn, digest, kind, model, prompt_tokens, completion_tokens, "
                "cost_usd, base, response FROM calls"
            )
        )


def accepted(run: Path) -> list[tuple[int, str, str]]:
    with RunReader(run) as reader:
        return [(p.index, p.question or "", p.answer or "") for p in reader.plays() if p.status is PlayStatus.ACCEPTED]


async def test_a_callers_own_models_play_under_the_names_of_the_config(library: Path, tmp_path: Path) -> None:
    scripted = {name: ScriptedLLM(world.play, name=name) for name in ("writer", "reader")}
    config = configure(tmp_path, world.values(library, seeds=6, llm="writer", solver_llm="reader"), resume=False)
    with pytest.raises(ConfigError, match="'writer'"):
        open_setup(config)
    setup = open_setup(config, clients=scripted)
    assert setup.fingerprint()["solver model"] == "reader" and setup.fingerprint()["judge model"] == "writer"
    assert (await generate(config, tmp_path, setup)).ending is Ending.COMPLETE
    roles = {
        name: {request.messages[0].content.split()[1] for request in llm.requests} for name, llm in scripted.items()
    }
    assert roles["reader"] == {"solver"} and {"proposer", "repair"} <= roles["writer"]


async def test_funnel_adds_up_and_each_fate_has_its_reason(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    report = await play(library, run, seeds=60)
    assert report.ending is Ending.COMPLETE
    found = status(run).funnel
    assert found.candidates == found.drawn == 60 == found.accepted + sum(found.rejected.values())
    assert set(found.rejected) == {Reason.TOO_EASY, Reason.NO_MOVES, Reason.DUPLICATE}
    assert report.progress.accepted == found.accepted
    assert report.progress.rejected == found.rejected
    with RunReader(run) as reader:
        for known in reader.plays():
            fate = int(reader.seed(known.index).passage.title.split()[1]) % world.FATES
            rounds = len(story(run, known.seed_id).rounds)
            expected = {
                0: (1, (None,)),
                1: (2, (None,)),
                2: (2, (None,)),
                3: (3, (Reason.TOO_EASY,)),
                4: (0, (Reason.NO_MOVES,)),
                5: (1, (None, Reason.DUPLICATE)),
            }
            assert (rounds, known.reason in expected[fate][1]) == (expected[fate][0], True)


async def test_gates_stop_what_would_be_accepted_and_the_funnel_counts_them(library: Path, tmp_path: Path) -> None:
    plain, gated = tmp_path / "plain", tmp_path / "gated"
    llm = ScriptedLLM(world.play)
    await play(library, plain, seeds=60)
    await play(library, gated, llm, seeds=60, gates="unique,evidence,shortcut,closed-book")
    stopped = {0: Reason.CLOSED_BOOK, 1: Reason.AMBIGUOUS, 2: Reason.UNSUPPORTED}
    numbers = {index: int(question.split("number ")[1].split()[0]) for index, question, _ in accepted(plain)}
    with RunReader(gated) as reader:
        known = {play.index: play for play in reader.plays()}
    for index, number in numbers.items():
        assert known[index].reason is stopped.get(number % 10), number
        results = story(gated, known[index].seed_id).rounds[-1].gates
        assert [result.gate for result in results] == list(Gate)[: len(results)]
        passed = [result.outcome is GateOutcome.PASSED for result in results]
        assert passed == [True] * 4 if known[index].reason is None else passed[-1:] == [False]
    assert {known[index].reason for index in numbers} == {None, *stopped.values()}
    counts = status(gated).funnel
    assert counts.candidates == 60 == counts.accepted + sum(counts.rejected.values())
    assert counts.rejected[Reason.CLOSED_BOOK] >= 1
    (first, *_) = items(gated)
    assert [result.outcome for result in first.gates] == [GateOutcome.PASSED] * 4
    export(gated, tmp_path / "items.parquet", Format.PARQUET)
    assert read_items(tmp_path / "items.parquet") == items(gated)
    made = len(llm.requests)
    await play(library, gated, llm, resume=True)
    assert len(llm.requests) == made  # the gates' calls are kept like all others


async def test_a_run_without_gates_goes_on_as_it_was_saved(library: Path, tmp_path: Path) -> None:
    """A config of the time before gates has no such key."""
    run = tmp_path / "run"
    await play(library, run, seeds=2)
    with RunReader(run) as reader:
        info = reader.info()
    assert info is not None and isinstance(info.config, dict)
    with RunStore(run) as store:
        await store.begin(replace(info, config={key: at for key, at in info.config.items() if key != "gates"}))
    assert (await play(library, run, resume=True, seeds=3)).ending is Ending.COMPLETE
    with pytest.raises(ConfigChanged, match="gates: None -> "):
        await play(library, run, resume=True, seeds=3, gates="evidence")


async def test_a_gate_that_fails_is_no_pass(library: Path, tmp_path: Path) -> None:
    def model(request: Request) -> Completion:
        if "ROLE recall" in request.messages[0].content:
            raise LLMUnavailable("no memory")
        return world.play(request)

    run = tmp_path / "run"
    report = await play(library, run, ScriptedLLM(model), seeds=12, gates="closed-book")
    assert report.ending is Ending.ERRORED and accepted(run) == []
    assert (await play(library, run, resume=True)).ending is Ending.COMPLETE
    assert accepted(run)


async def test_rules_of_duplicates_follow_the_order_of_seeds_not_of_time(library: Path, tmp_path: Path) -> None:
    found = []
    for concurrency in (1, 7):
        run = tmp_path / str(concurrency)
        await play(library, run, seeds=40, steps="2", concurrency=concurrency)
        with RunReader(run) as reader:
            found.append([(play.index, play.status, play.reason, play.detail) for play in reader.plays()])
    assert found[0] == found[1]
    duplicates = [detail for _, _, reason, detail in found[0] if reason is Reason.DUPLICATE]
    assert len(duplicates) > 1
    assert len(set(duplicates)) == 1  # all of the first one


async def test_resume_after_limits_equals_one_go_and_makes_no_call_twice(library: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    straight, stopped = ScriptedLLM(world.play), ScriptedLLM(world.play)
    await play(library, whole, straight, seeds=12)
    endings = [(await play(library, parts, stopped, seeds=12, limit=5)).ending]
    for _ in range(2):
        endings.append((await play(library, parts, stopped, resume=True, limit=5)).ending)
    assert endings == [Ending.LIMIT, Ending.LIMIT, Ending.COMPLETE]
    assert accepted(parts) == accepted(whole)
    assert ledger(parts) == ledger(whole)
    assert Counter(r.digest() for r in stopped.requests) == Counter(r.digest() for r in straight.requests)


async def test_token_budget_stops_between_calls_and_a_raised_one_goes_on(library: Path, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    await play(library, whole, seeds=10)
    llm = ScriptedLLM(world.play)
    report = await play(library, run, llm, seeds=10, max_tokens=300, concurrency=1)
    assert report.ending is Ending.BUDGET
    assert "max_tokens = 300" in report.message
    used = report.progress.spent
    assert used.prompt_tokens is not None and used.completion_tokens is not None
    assert 300 <= used.prompt_tokens + used.completion_tokens < 320  # the call that crossed it is kept
    assert (await play(library, run, llm, resume=True)).ending is Ending.BUDGET
    assert len(llm.requests) == used.calls  # a run without budget replays and makes no call
    report = await play(library, run, llm, resume=True, max_tokens=10**9)
    assert report.ending is Ending.COMPLETE
    assert ledger(run) == ledger(whole)


async def test_money_is_counted_over_resumes_and_unknown_money_cannot_be_limited(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    report = await play(library, run, seeds=10, max_cost=0.01, concurrency=1)
    assert report.ending is Ending.BUDGET
    assert report.progress.spent.cost_usd == pytest.approx(0.01)
    assert (await play(library, run, resume=True, max_cost=0.02)).progress.spent.cost_usd == pytest.approx(0.02)

    unpriced = ScriptedLLM(lambda request: Completion("<answer>x</answer>", model="m", prompt_tokens=1))
    with pytest.raises(ConfigError, match="price-in"):
        await play(library, tmp_path / "unpriced", unpriced, seeds=2, max_cost=1.0)
    with pytest.raises(ConfigError, match="how many tokens"):
        await play(library, tmp_path / "uncounted", unpriced, seeds=2, max_tokens=100)


async def test_a_limit_of_money_on_an_unpriced_model_is_refused_before_the_first_call(
    library: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    unpriced = ScriptedLLM(world.play, name="gpt-99", priced=False)
    with pytest.raises(ConfigError, match=r"'gpt-99' is not known.*--price-in and --price-out"):
        await play(library, run, unpriced, seeds=2, max_cost=1.0)
    assert unpriced.requests == [] and not run.exists()
    assert (await play(library, run, unpriced, seeds=2)).ending is Ending.COMPLETE  # without the limit it may play
    priced = ScriptedLLM(world.play, name="gpt-99", priced=True)
    assert (await play(library, run, priced, resume=True, seeds=3, max_cost=1.0)).ending is Ending.COMPLETE


async def test_a_price_that_is_given_later_is_applied_to_what_was_spent_before(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    unpriced = ScriptedLLM(lambda request: replace(world.play(request), cost_usd=None))
    with pytest.raises(ConfigError, match="price-in"):
        await play(library, run, unpriced, seeds=4, max_cost=1.0)
    assert status(run).spending.total.cost_usd is None
    assert (await play(library, run, resume=True, price_in=1e6, price_out=2e6, max_cost=1e9)).ending is Ending.COMPLETE
    total = status(run).spending.total
    assert total.cost_usd is not None and total.cost_usd > 14  # each unpriced call had 7 completion tokens


async def test_a_changed_config_is_refused_naming_the_keys_with_both_values(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    await play(library, run, seeds=2)
    with pytest.raises(ConfigError, match="--resume"):
        await play(library, run, seeds=2)
    with pytest.raises(ConfigChanged) as refused:
        await play(library, run, resume=True, seeds=2, attempts=3, steps="2..9")
    assert "attempts: 4 -> 3" in str(refused.value)
    assert "steps: '2..4' -> '2..9'" in str(refused.value)
    with pytest.raises(ConfigChanged, match="proposer model: 'scripted' -> 'another'"):
        await play(library, run, ScriptedLLM(world.play, name="another"), resume=True)
    with pytest.raises(ConfigError, match="raised, not lowered"):
        await play(library, run, resume=True, seeds=1)
    assert (await play(library, run, resume=True, concurrency=2, max_minutes=5.0)).ending is Ending.COMPLETE


async def test_changed_prompts_and_a_changed_corpus_are_refused(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    await play(library, run, seeds=2)
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    with pytest.raises(ConfigChanged, match="prompts: "):
        await play(library, run, resume=True, prompts=prompts)
    corpus = tmp_path / "bridges.jsonl"
    corpus.write_text((library / "bridges.jsonl").read_text().replace("river", "sea"))
    with pytest.raises(ConfigChanged, match="index snapshot: "):
        await play(library, run, resume=True, corpus=str(corpus), index=tmp_path / "index")


async def test_more_seeds_extend_a_finished_run_to_what_one_run_would_be(library: Path, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    await play(library, whole, seeds=20)
    await play(library, run, seeds=8)
    await play(library, run, resume=True, seeds=20)
    assert accepted(run) == accepted(whole)
    assert ledger(run) == ledger(whole)


async def test_items_stop_near_their_number(library: Path, tmp_path: Path) -> None:
    """With waves of 32 as by default: the last ones are as small as what is missing."""
    run = tmp_path / "run"
    assert (await play(library, run, items=12)).ending is Ending.COMPLETE
    assert 12 <= status(run).funnel.accepted <= 22


async def test_items_stop_at_the_border_of_a_wave(library: Path, tmp_path: Path) -> None:
    found = []
    for concurrency in (1, 9):
        run = tmp_path / str(concurrency)
        assert (await play(library, run, items=5, wave=6, concurrency=concurrency)).ending is Ending.COMPLETE
        found.append(status(run).funnel)
    assert found[0] == found[1]
    assert found[0].candidates in (6, 10, 12, 14, 16)  # waves of 6, the last ones smaller
    assert found[0].accepted >= 5


async def test_a_mix_steers_targets_the_same_way_however_plays_are_timed(library: Path, tmp_path: Path) -> None:
    targets = []
    for concurrency in (1, 9):
        run = tmp_path / str(concurrency)
        await play(library, run, seeds=60, wave=10, mix="1-2:20,3-4:80", concurrency=concurrency)
        with RunReader(run) as reader:
            targets.append([known.target for known in reader.plays()])
    assert targets[0] == targets[1]
    assert sum(target in (3, 4) for target in targets[0] if target) > 36


async def test_errored_plays_are_data_and_are_played_again(library: Path, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    await play(library, whole, seeds=12)
    failing = Counter[str]()

    def sometimes(request: Request) -> Completion | Exception:
        digest = request.digest()
        failing[digest] += 1
        bad = int(digest[:2], 16) < 20 and failing[digest] == 1
        return LLMUnavailable("down [for now]") if bad else world.play(request)

    report = await play(library, run, ScriptedLLM(sometimes), seeds=12)
    assert report.ending is Ending.ERRORED
    assert "down [for now]" in report.message
    before = status(run)
    assert before.funnel.rejected[Reason.ERRORED] >= 1
    assert before.spending.failures == {"LLMUnavailable": before.funnel.rejected[Reason.ERRORED]}
    for _ in range(10):
        report = await play(library, run, ScriptedLLM(sometimes), resume=True)
    assert report.ending is Ending.COMPLETE
    assert accepted(run) == accepted(whole)
    assert ledger(run) == ledger(whole)


async def test_an_endpoint_that_is_down_stops_the_run_early(library: Path, tmp_path: Path) -> None:
    llm = ScriptedLLM(lambda request: LLMUnavailable("no route"))
    report = await play(library, tmp_path / "run", llm, seeds=100, max_errors=5, concurrency=2)
    assert report.ending is Ending.FAILING
    assert "no route" in report.message
    assert len(llm.requests) < 10


async def test_a_bug_in_one_play_is_that_plays_own(library: Path, tmp_path: Path) -> None:
    def buggy(request: Request) -> Completion:
        if "Bridge Number 7 " in request.messages[1].content:
            raise KeyError("oops")
        return world.play(request)

    report = await play(library, tmp_path / "run", ScriptedLLM(buggy), seeds=world.BRIDGES)
    assert report.ending is Ending.ERRORED
    assert "KeyError" in report.message
    assert status(tmp_path / "run").funnel.rejected[Reason.ERRORED] == 1


async def test_two_writers_are_refused_and_readers_are_not(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    seen: list[int] = []

    def drawn(folder: Path) -> int:
        try:
            return status(folder).funnel.drawn
        except StoreError:  # not there yet
            return 0

    async def second() -> None:
        with pytest.raises(RunLocked, match="process"):
            await play(library, run, resume=True)
        seen.append(status(run).funnel.drawn)

    async def both() -> None:
        first = asyncio.create_task(play(library, run, ScriptedLLM(world.play, latency_s=0.05), seeds=10))
        while not drawn(run):
            await asyncio.sleep(0.01)
        assert not first.done()
        await second()
        await first

    await both()
    assert seen == [10]


async def test_progress_counts_up_to_the_funnel(library: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    config = world.config(library, seeds=12)
    await generate(config, tmp_path / "run", world.setup(config), Caller(on_progress=told.append))
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    last = told[-1]
    assert last.done == last.total == 12 == last.accepted + sum(last.rejected.values())
    assert last.calls_made > 0
    assert last.left_s == 0.0


async def test_variants_and_no_early_stop_fill_the_intrinsic_table(library: Path, tmp_path: Path) -> None:
    for variant, rounds in (("initial", 1), ("resample", 3), ("feedback", 3)):
        run = tmp_path / variant
        await play(library, run, seeds=24, variant=variant, early_stop=False)
        found = status(run)
        everything = [cell for cell in found.intrinsic if cell.target == "all"]
        assert [cell.round for cell in everything] == list(range(rounds))
        shares = [cell.passed.count for cell in everything]
        assert shares == sorted(shares)  # a seed that has passed stays passed
        assert all(cell.avg_at_k is not None for cell in everything)
        assert found.spending.saved is None
        assert sum(cell.seeds for cell in found.intrinsic if cell.round == 0) == 2 * everything[0].seeds


@pytest.mark.parametrize("format_", list(Format))
async def test_an_export_reads_back_as_it_was(library: Path, tmp_path: Path, format_: Format) -> None:
    run, out = tmp_path / "run", tmp_path / f"items.{format_.value}"
    await play(library, run, seeds=20)
    assert export(run, out, format_) == len(items(run)) == len(accepted(run))
    assert read_items(out) == items(run)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    for item in items(run):
        assert item.answer in " ".join(item.evidence_texts)
        assert item.target_steps is not None and item.difficulty >= item.target_steps
        assert item.usage.calls > 0 and item.usage.cost_usd is not None
        assert item.right == sum(attempt.label == "right" for attempt in item.attempts)


async def test_what_is_not_known_is_none_and_not_zero(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    await play(library, run, ScriptedLLM(lambda request: world.play(request).text), seeds=12)
    spending = status(run).spending
    assert spending.total.calls > 0
    assert (spending.total.prompt_tokens, spending.total.cost_usd) == (None, None)
    assert (spending.tokens_per_item, spending.cost_usd_per_item) == (None, None)
    assert all(item.usage.cost_usd is None for item in items(run))
