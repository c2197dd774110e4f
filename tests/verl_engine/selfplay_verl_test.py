"""Self-play by verl's own trainer, on a CPU, in the toy world: both roles in one batch of verl's.

What is asserted is read from verl's batch, just before it trains on it, from the calls that reached its server, and
from what our batches kept of the same steps.
"""

import asyncio
import itertools
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_run
from batches import groups, padded, spans
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap
from verl.utils.dataset.rl_dataset import RLHFDataset

from questwell.agents.session import DirectSession
from questwell.errors import ConfigError
from questwell.llm.codec import ChatCodec
from questwell.llm.policy import PolicyClient
from questwell.recipes.runs.config import resolve
from questwell.recipes.selfplay.config import Config
from questwell.recipes.selfplay.record import Record
from questwell.recipes.selfplay.setup import open_environment
from questwell.recipes.selfplay.toy import ENTITIES, RELATIONS
from questwell.recipes.selfplay.verl import verl_run, write
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.selfplay import UNKNOWN, TwoWayRetriever, proposing
from questwell.toy.world import ToyWorld, walk
from questwell.training.algorithms.grpo import grpo
from questwell.training.engines.verl.launch import VerlRun, command, launch
from questwell.types.selfplay import AnswerSeed, Episode
from questwell.types.trajectory import TokenView, Turn

STEPS, BATCH, ATTEMPTS = 2, 12, 3
CONFIG = resolve(
    Config,
    {
        "model": "toy",
        "corpus": "toy",
        "hops": "2",
        "batch": BATCH,
        "attempts": ATTEMPTS,
        "steps": STEPS,
        "turns": 4,
        "turn_tokens": 24,
        "learning_rate": 1e-3,
        "lr_warmup_steps": 0,
        "response_limit": 160,
    },
)
ERROR_RATE = 0.2
TOKENIZER = toy_tokenizer([*ToyWorld(ENTITIES, RELATIONS, seed=CONFIG.seed).words, UNKNOWN])

pytestmark = pytest.mark.timeout(1500)


@dataclass(frozen=True)
class Done:
    """What a run left behind."""

    updates: list[list[dict[str, Any]]]
    """The rows that each step trained on, those that only fill the batch up left out."""
    calls: list[dict[str, Any]]
    """What the rollout server was asked and said."""
    metrics: list[dict[str, float]]
    record: Record


async def shown(draw: random.Random) -> list[TokenView]:
    """Demonstrations of both roles in the world that is played in, some of them astray."""
    here, codec = ToyWorld(ENTITIES, RELATIONS, seed=CONFIG.seed), ChatCodec(TOKENIZER)
    players, names = open_environment(CONFIG).players, sorted(set(here.facts.values()))

    def session(turns: Sequence[Turn]) -> DirectSession:
        script = toy_run.Script(codec, iter(turn.text for turn in turns))
        return DirectSession(PolicyClient(script, codec), TwoWayRetriever(here))

    views: list[TokenView | None] = []
    for _ in range(200):
        asked = draw.choice(here.questions(2))
        solved = await players.solver.solve(asked.question, session(walk(asked, here, draw, ERROR_RATE)), 0)
        answer = draw.choice(names)
        turns = proposing(here, answer, 2, ERROR_RATE, draw).turns
        made = await players.selfplay_proposer.challenge(AnswerSeed(0, answer, 2), session(turns), 0)
        views += [solved.tokens, made.trajectory.tokens]
    return [view for view in views if view is not None]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that now and then makes a question that stands up, and now and then solves one."""
    torch.set_num_threads(1)
    folder, draw = tmp_path_factory.mktemp("model"), random.Random(0)
    taught = toy_model(TOKENIZER)
    toy_run.imitate(taught, TOKENIZER, asyncio.run(shown(draw)), 300, draw)
    taught.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder / "tokenizer")
    return folder


@pytest.fixture(scope="module")
def done(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("selfplay")
    taps = folder / "taps"
    taps.mkdir()
    run = toy_run.on_a_cpu(verl_run(CONFIG, folder, model=str(model)), ranks=1, length=160)
    write(run, CONFIG)
    assert launch(run, toy_run.environment(taps)) == 0
    updates = [json.loads((taps / f"update_{step}.json").read_text()) for step in range(1, STEPS + 1)]
    return Done(
        updates=[[row for row in rows if any(row["response_mask"])] for rows in updates],
        calls=[json.loads(line) for path in taps.glob("calls_*.jsonl") for line in path.read_text().splitlines()],
        metrics=[json.loads(line)["data"] for line in (folder / "metrics_0.jsonl").read_text().splitlines()],
        record=Record(folder / "tables" / "0"),
    )


def asks(row: dict[str, Any]) -> bool:
    """Whether a row is a proposer's: its opening names an answer and the searches."""
    return TOKENIZER.decode(row["prompts"]).split()[1] == "is"


def played(done: Done) -> list[tuple[list[dict[str, Any]], list[Episode]]]:
    """The rows of each step, and its episodes."""
    return [(rows, done.record.episodes(step)) for step, rows in enumerate(done.updates, 1)]


def test_both_roles_are_in_one_batch_and_each_rollout_once(done: Done) -> None:
    for rows, episodes in played(done):
        assert len(episodes) == BATCH
        proposers = [row for row in rows if asks(row)]
        paid = [episode.proposer_reward for episode in episodes if episode.proposer_reward is not None]
        assert sorted(sum(row["rm_scores"]) for row in proposers) == pytest.approx(sorted(paid))
        solvers = [row for row in rows if not asks(row)]
        assert len(solvers) == sum(episode.scored for episode in episodes if episode.scored > 1)
        assert sum(sum(row["rm_scores"]) for row in solvers) == sum(e.right for e in episodes if e.scored > 1)
    everything = [episode for _, episodes in played(done) for episode in episodes]
    assert any(episode.proposed.valid for episode in everything)
    assert any(episode.filled for episode in everything)
    assert any(episode.proposed.verification for episode in everything)
    assert 0 < sum(episode.right for episode in everything) < sum(episode.scored for episode in everything)


def test_attempts_of_a_slot_are_a_group_and_a_proposer_is_alone(done: Done) -> None:
    for rows in done.updates:
        for members in groups(rows).values():
            assert len({tuple(row["prompts"]) for row in members}) == 1
            assert len(members) == 1 if asks(members[0]) else 1 < len(members) <= ATTEMPTS
            assert len({row["key"].split("_")[1] for row in members}) == len(members)


def test_a_solver_is_told_the_question_alone(done: Done) -> None:
    for rows, episodes in played(done):
        problems = Counter(
            (episode.problem.question, episode.scored) for episode in episodes if episode.problem and episode.scored > 1
        )
        asked = Counter(
            (TOKENIZER.decode(members[0]["prompts"]).removesuffix(" ?").strip(), len(members))
            for members in groups(rows).values()
            if not asks(members[0])
        )
        assert asked == problems


def test_advantages_are_grpos_for_the_solver_and_reinforces_for_the_proposer(done: Done) -> None:
    for rows in done.updates:
        solvers = [row for row in rows if not asks(row)]
        mask = padded(solvers, "response_mask")
        ours = grpo(padded(solvers, "rm_scores").sum(1), [row["key"].split("_")[0] for row in solvers])[:, None] * mask
        assert torch.allclose(padded(solvers, "advantages") * mask, ours, atol=1e-4)
        for row in rows:
            if asks(row):  # rewards to come, without a baseline
                reward = sum(row["rm_scores"])
                given = [a for a, wrote in zip(row["advantages"], row["response_mask"], strict=True) if wrote]
                assert given == pytest.approx([reward] * len(given), abs=1e-4)
                assert row["rm_scores"][-1] == reward


def test_the_model_is_trained_on_what_it_sampled_never_on_a_verification(done: Done) -> None:
    answered = defaultdict(list)
    for call in done.calls:
        if call["temperature"] > 0:
            answered[tuple(call["prompt_ids"])].append(call["token_ids"])
    assert {call["temperature"] for call in done.calls} == {0.0, 1.0}  # verification is greedy
    turns = Counter()
    for row in itertools.chain(*done.updates):
        whole = row["prompts"] + row["responses"]
        assert len(row["responses"]) == len(row["response_mask"]) == len(row["rollout_log_probs"])
        for wrote, begin, end in spans(row):
            assert ("</information>" in TOKENIZER.decode(whole[begin:end])) == (not wrote)
            if wrote:
                assert whole[begin:end] in answered[tuple(whole[:begin])]
                turns[asks(row)] += 1
    assert min(turns.values()) > BATCH


def test_the_actor_gives_what_it_sampled_the_same_probability(done: Done) -> None:
    for rows in done.updates:
        for row in rows:
            pairs = zip(row["rollout_log_probs"], row["old_log_probs"], row["response_mask"], strict=True)
            assert max(abs(sampled - recomputed) for sampled, recomputed, wrote in pairs if wrote) < 1e-3
    assert {call["step"] for call in done.calls} == set(range(STEPS))
    assert all(math.isfinite(one["actor/pg_loss"]) and one["actor/grad_norm"] > 0 for one in done.metrics)


def test_the_steps_can_be_read_as_those_of_one_machine(done: Done) -> None:
    rows = done.record.rows()
    assert [row.step for row in rows] == [1, 2]
    assert all(row.timing["tokens_per_s"] > 0 for row in rows)
    assert [row.values["proposer_reward"] is not None for row in rows] == [True, True]


def parsed(run: VerlRun, *more: str) -> Any:
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=[*command(toy_run.on_a_cpu(run, 1, 64))[3:], *more])


@pytest.mark.parametrize(
    "moved", ["data.shuffle=True", "data.train_batch_size=6", "trainer.v1.trainer_mode=separate_async"]
)
def test_rows_that_would_miss_their_table_are_refused_not_waited_for(tmp_path: Path, moved: str) -> None:
    run = verl_run(CONFIG, tmp_path, model="m")
    write(run, CONFIG)
    row = OmegaConf.load(tmp_path / "agent.yaml")[0]

    def loop(config: Any) -> Any:
        return instantiate(
            config=row,
            trainer_config=DictConfigWrap(config=config),
            server_manager=None,
            tokenizer=TOKENIZER,
            processor=None,
            hf_model_type="qwen2",
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(config.data),
            tools=ToolListWrap([]),
        )

    assert loop(parsed(run))
    with pytest.raises(Exception, match="one worker in one step") as refused:
        loop(parsed(run, moved))
    assert isinstance(refused.value.__cause__, ConfigError)
