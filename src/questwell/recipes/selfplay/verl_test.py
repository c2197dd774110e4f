"""Self-play by rows: what is written for verl, and batches that play their slots. Needs neither verl nor torch."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from questwell.errors import ConfigChanged, ConfigError, LLMUnavailable, StoreError
from questwell.games.answers import Position
from questwell.games.pool import EmptySlots, Pool
from questwell.games.ssp import StepContext, play
from questwell.llm.client import Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.runs.budget import Budget, SpendingLimits
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.selfplay.config import Config, Trained, preset
from questwell.recipes.selfplay.loop_test import episode
from questwell.recipes.selfplay.record import Record
from questwell.recipes.selfplay.sessions import sessions
from questwell.recipes.selfplay.setup import open_environment
from questwell.recipes.selfplay.verl import AGENT, batches_of, seed_rows, verl_run, write
from questwell.recipes.selfplay.verl_batch import (
    Row,
    SelfplayBatches,
    Slot,
    StepBatch,
    batch_in,
    learnt_of,
    pool_before,
)
from questwell.store.run import RunStore
from questwell.training.engines.verl.launch import command
from questwell.types.selfplay import AnswerSeed, Episode, Invalid
from questwell.types.trajectory import Role

TOY = {"model": "toy", "corpus": "toy", "hops": "2", "batch": 4, "attempts": 2, "steps": 3, "turns": 3}
PAPER = {"model": "Qwen/Qwen2.5-7B-Instruct", "corpus": "factbook"}


def values(tmp_path: Path, *more: str, **given: object) -> dict[str, str]:
    run = verl_run(resolve(Config, {**PAPER, **given}), tmp_path / "run", more=more)
    return dict(argument.lstrip("+").split("=", 1) for argument in command(run)[3:])


def test_the_papers_step_is_one_of_verls(tmp_path: Path) -> None:
    found = values(tmp_path, **preset("ssp-paper"))
    rows, per_answer, minibatch = (
        int(found[key])
        for key in (
            "data.train_batch_size",
            "actor_rollout_ref.rollout.n",
            "actor_rollout_ref.actor.ppo_mini_batch_size",
        )
    )
    assert rows == 2 * 256  # a proposer's and a solver's row an answer
    assert minibatch * per_answer * 2 == 256 * (1 + 5)  # verl multiplies them: two minibatches of all rollouts
    assert minibatch <= rows  # or verl refuses
    assert found["algorithm.adv_estimator"] == "grpo"
    assert found["trainer.total_training_steps"] == "150"
    actor = {
        "clip_ratio_low": 0.2,
        "clip_ratio_high": 0.285,
        "kl_loss_coef": 0.01,
        "optim.lr": 1e-6,
        "optim.lr_warmup_steps": 5,
    }
    assert {key: float(found[f"actor_rollout_ref.actor.{key}"]) for key in actor} == actor
    assert found["actor_rollout_ref.actor.use_kl_loss"] == "True"
    assert (found["data.max_prompt_length"], found["data.max_response_length"]) == ("4096", "8192")
    assert (found["data.shuffle"], found["data.filter_overlong_prompts"]) == ("False", "False")  # rows keep their order
    assert found["actor_rollout_ref.rollout.agent.num_workers"] == "8"


def test_what_is_given_goes_into_the_command_and_verls_own_over_it(tmp_path: Path) -> None:
    (tmp_path / "h.jsonl").write_text('{"question": "q", "answer": "a"}\n')
    looked = values(
        tmp_path,
        held_out=str(tmp_path / "h.jsonl"),
        eval_every=7,
        lora_rank=8,
        kl_coefficient=0.0,
        judge_llm="m@http://j/v1",
    )
    assert (looked["trainer.test_freq"], looked["trainer.val_before_train"]) == ("7", "True")
    assert (looked["actor_rollout_ref.model.lora_rank"], looked["actor_rollout_ref.model.lora_alpha"]) == ("8", "16")
    assert looked["actor_rollout_ref.actor.use_kl_loss"] == "False"
    assert looked["reward.custom_reward_function.reward_kwargs.reward"] == "judge"
    plain = values(tmp_path, "trainer.save_freq=3", save_every=9, temperature=0.7)
    assert (plain["trainer.test_freq"], plain["trainer.val_before_train"]) == ("-1", "False")
    assert (plain["trainer.save_freq"], plain["actor_rollout_ref.rollout.temperature"]) == ("3", "0.7")
    assert "actor_rollout_ref.model.lora_rank" not in plain


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"empty_slots": "dynamic-resampling"}, "not support empty_slots = dynamic-resampling"),
        ({"proposer_baseline": "hops", "stop_on_alarm": True}, "proposer_baseline = hops, stop_on_alarm = True"),
        ({"solver_algorithm": "reinforce"}, "solver_algorithm"),
        ({"dtype": "float32"}, "dtype = float32"),
        ({"compute_dtype": "bfloat16"}, "compute_dtype = bfloat16"),
        ({"proposals": 2, "proposer_baseline": "group"}, "proposer_baseline = group, proposals = 2"),
        ({"max_cost": 2.0, "max_minutes": 1.0}, r"max_cost = 2\.0, max_minutes = 1\.0"),
        ({"model": "local"}, "cannot load 'local'"),
        ({"model": "m.gguf"}, r"cannot load 'm\.gguf'"),
        ({"model": "toy", "corpus": "toy"}, "cannot load 'toy'"),
    ],
)
def test_what_verl_cannot_do_is_told(tmp_path: Path, given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        values(tmp_path, **given)


@pytest.mark.parametrize(("batch", "tables"), [(256, 8), (32, 2), (31, 1), (48, 3), (1, 1), (100, 5)])
def test_shares_are_equal_and_large_enough_to_verify_in(batch: int, tables: int) -> None:
    config = resolve(Config, {**PAPER, "batch": batch})
    assert batches_of(config) == tables
    assert batch % tables == 0 and (tables == 1 or batch // tables >= 16)


def test_verl_deals_each_table_whole_slots() -> None:
    """As verl's worker manager does: a batch in order, cut into as many equal parts as there are workers."""
    seeds = [AnswerSeed(at, f"a{at}", 2) for at in range(24)]
    rows = seed_rows(seeds, slots=3, tables=4, attempts=5)
    assert len(rows) == 48
    for step in (rows[:24], rows[24:]):
        for table, part in enumerate(step[at : at + 6] for at in range(0, 24, 6)):
            slots = [TypeAdapter(Slot).validate_json(row["extra_info"]["slot"]) for row in part]
            assert {row["extra_info"]["table"] for row in part} == {table}
            assert Counter(slot.slot for slot in slots) == {0: 2, 1: 2, 2: 2}
            assert {slot.slots for slot in slots} == {3}
            assert [(row["extra_info"]["role"], row["__rollout_n__"]) for row in part] == [
                ("proposer", 1),
                ("solver", 5),
            ] * 3
            assert all(a.seed == b.seed for a, b in zip(slots[::2], slots[1::2], strict=True))


def test_the_folder_holds_what_the_command_and_the_tables_read(tmp_path: Path) -> None:
    config = resolve(Config, TOY)
    run = verl_run(config, tmp_path / "run", model="somewhere")
    write(run, config)
    train = pq.read_table(run.folder / "train.parquet").to_pylist()
    assert len(train) == 2 * 4 * 3
    assert all(row["agent_name"] == AGENT for row in train)
    slots = [TypeAdapter(Slot).validate_json(row["extra_info"]["slot"]) for row in train]
    drawn = open_environment(config).world.answers(Position()).take(12)
    assert [slot.seed for slot in slots[::2]] == drawn
    assert pq.read_table(run.folder / "test.parquet").num_rows > 0
    player, solver = json.loads((run.folder / "agent.yaml").read_text())
    assert player["name"] == AGENT
    assert solver["name"] == "questwell_search"
    assert Row.model_validate(train[3]["extra_info"]) == Row(
        table=0, role=Role.SOLVER, slot=train[2]["extra_info"]["slot"]
    )
    tables = player["tables"]
    assert tables.pop("_target_") == f"{SelfplayBatches.__module__}.{SelfplayBatches.__name__}"
    found = SelfplayBatches(**tables)
    assert (found.rows, found.workers) == (8, 1)
    module, _, name = player["_target_"].rpartition(".")
    (source,) = Path(__file__).parents[2].glob(f"training/engines/verl/{module.rpartition('.')[2]}.py")
    assert f"class {name}(" in source.read_text()  # importing it needs verl
    write(run, config)  # the same command again, as after a failure
    with pytest.raises(ConfigChanged, match="attempts: 2 -> 3"):
        write(run, resolve(Config, {**TOY, "attempts": 3}))
    assert batch_in(run.folder / "tables" / "0").config == config
    with pytest.raises(StoreError, match="no batch"):
        batch_in(run.folder / "tables" / "1")


def says(request: Request) -> str:
    """A policy that looks something up for its answer and asks for what it found; its solver now and then is right."""
    opening, last = request.messages[0].content, request.messages[-1].content
    if len(request.messages) == 1:
        return f"<search>r0 is {opening.split()[0]}</search>" if "is ?" in opening else "<search>r0 of e1</search>"
    if "is ?" in opening:
        fact = last.split("]")[-1].split("<")[0].split()
        return "hm" if opening.startswith(("e1 ", "e5 ")) else f"<question>{fact[0]} of {fact[2]}, please</question>"
    return f"<answer>{'e1' if (request.seed or 0) % 2 else 'e2'}</answer>"


@dataclass
class Talking:
    """Lines to one model."""

    llm: ScriptedLLM

    def open(self, name: str, *, learnt: bool) -> ScriptedLLM:
        return self.llm


def table(folder: Path, config: Config, store: RunStore) -> StepBatch:
    environment = open_environment(config)
    recorder = Recorder(store, {}, environment.world.retriever, Budget(SpendingLimits(), store.read.usage()))
    folder.mkdir(exist_ok=True)
    return StepBatch(Record(folder), config, environment, recorder)


def batch(config: Config, step: int) -> list[AnswerSeed]:
    size = config.batch
    return open_environment(config).world.answers(Position((step - 1) * size, (step - 1) * size)).take(size)


async def played_in(at: StepBatch, step: int, seeds: list[AnswerSeed], order: list[int], lines) -> list[Episode]:
    """What two rows of each slot get, which come in `order`."""
    rows = [asyncio.create_task(at.episode_of(step, Slot(slot, len(seeds), seeds[slot]), lines)) for slot in order]
    found = {slot: (await row)[0] for slot, row in zip(order, rows, strict=True)}
    return [found[slot] for slot in range(len(seeds))]


async def test_a_table_plays_the_step_that_the_game_plays_whoever_comes_first(tmp_path: Path) -> None:
    config = resolve(Config, {**TOY, "verify": False})
    llm = ScriptedLLM(says)
    environment = open_environment(config)
    with RunStore(tmp_path / "calls") as store:
        recorder = Recorder(store, {}, environment.world.retriever, Budget(SpendingLimits(), store.read.usage()))
        straight, pool = [], config.pool()
        for number in (1, 2):
            talking = sessions(lambda place: llm, environment.world.retriever, recorder)
            step = StepContext(number, config.rules(), environment.players, talking, pool, lambda count: ())
            straight.append(await play(batch(config, number), step))
            pool = pool.after(number, [one.problem for one in straight[-1] if one.proposed.valid and one.problem])
        assert {one.proposed.valid for one in (*straight[0], *straight[1])} == {True, False}
        assert any(one.filled for one in straight[1])
        calls = len(llm.requests)
        for name, order in (("a", [0, 1, 2, 3, 0, 1, 2, 3]), ("b", [3, 3, 0, 2, 0, 2, 1, 1])):
            played = table(tmp_path / name, config, store)
            for number in (1, 2):
                got = await played_in(played, number, batch(config, number), order, Talking(llm))
                assert tuple(got) == straight[number - 1]
            assert [row.step for row in Record(tmp_path / name).rows()] == [1, 2]
        assert len(llm.requests) == 3 * calls  # once a step, however many rows sit
        again = table(tmp_path / "b", config, store)  # a new process, after a checkpoint of step 1
        assert tuple(await played_in(again, 2, batch(config, 2), [0, 1, 2, 3], Talking(llm))) == straight[1]
        assert pool_before(3, Record(tmp_path / "b"), config.pool()) == pool
        assert [row.step for row in Record(tmp_path / "b").rows()] == [1, 2]


async def test_a_row_waits_for_its_whole_table(tmp_path: Path) -> None:
    config = resolve(Config, {**TOY, "verify": False, "batch": 2})
    llm = ScriptedLLM(says)
    with RunStore(tmp_path / "calls") as store:
        at, seeds = table(tmp_path / "t", config, store), batch(config, 1)
        first = asyncio.create_task(at.episode_of(1, Slot(0, 2, seeds[0]), Talking(llm)))
        await asyncio.sleep(0.02)
        assert not first.done() and not llm.requests
        second = await at.episode_of(1, Slot(1, 2, seeds[1]), Talking(llm))
        assert (await first)[1] is second[1]  # one play, by the first one's lines


async def test_what_ends_a_play_reaches_every_row_and_failures_are_not_learnt_from(tmp_path: Path) -> None:
    config = resolve(Config, {**TOY, "verify": False})

    class Failing(Talking):
        def open(self, name: str, *, learnt: bool) -> ScriptedLLM:
            return ScriptedLLM(lambda request: LLMUnavailable("away")) if name.startswith("a000000/") else self.llm

    failing = Failing(ScriptedLLM(says))

    with RunStore(tmp_path / "calls") as store:
        got = await played_in(table(tmp_path / "t", config, store), 1, batch(config, 1), [0, 1, 2, 3], failing)
        assert got[0].proposed.invalid is Invalid.ERRORED
        assert learnt_of(got[0], Role.PROPOSER, 0, 7, Trained.BOTH) is None
        resampling = replace(table(tmp_path / "u", config, store).config.pool(), empty_slots=EmptySlots.RESAMPLING)
        assert pool_before(9, Record(tmp_path / "u"), resampling) == resampling  # nothing to read back
        bad = table(tmp_path / "v", resolve(Config, {**TOY, "empty_slots": "dynamic-resampling"}), store)
        rows = [bad.episode_of(1, Slot(slot, 4, seed), failing) for slot, seed in enumerate(batch(config, 1))]
        ends = await asyncio.gather(*rows, return_exceptions=True)
        assert [type(end) for end in ends] == [ConfigError] * 4
        with pytest.raises(StoreError, match="no step 1"):
            pool_before(3, Record(tmp_path / "v"), Pool())


def test_what_is_learnt_from() -> None:
    played = episode(0, "RWE", paid=0.5)
    rewards = [learnt_of(played, Role.SOLVER, at, 7, Trained.BOTH) for at in range(3)]
    assert [share and share.reward for share in rewards] == [1.0, 0.0, None]
    assert rewards[1] and rewards[1].trajectory == played.attempts[1].trajectory
    proposer = learnt_of(played, Role.PROPOSER, 0, 7, Trained.BOTH)
    assert proposer and (proposer.reward, proposer.trajectory) == (0.5, played.proposed.trajectory)
    assert (proposer.rollout, rewards[1].rollout) == ("a000000/7/proposer/0", "a000000/7/solver/1")
    assert learnt_of(played, Role.PROPOSER, 0, 7, Trained.SOLVER) is None
    assert learnt_of(played, Role.SOLVER, 0, 7, Trained.PROPOSER) is None
    assert learnt_of(played, Role.SOLVER, 0, 7, Trained.SOLVER) and learnt_of(
        played, Role.PROPOSER, 0, 7, Trained.PROPOSER
    )
    assert learnt_of(episode(0, "EWU"), Role.SOLVER, 1, 7, Trained.BOTH) is None  # alone in its group
    assert learnt_of(episode(0, "", paid=None), Role.SOLVER, 0, 7, Trained.BOTH) is None
    assert learnt_of(episode(0, "", paid=None), Role.PROPOSER, 0, 7, Trained.BOTH) is None
    assert learnt_of(episode(0, "", paid=0.0, invalid=Invalid.LEAK), Role.PROPOSER, 0, 7, Trained.BOTH) is not None
