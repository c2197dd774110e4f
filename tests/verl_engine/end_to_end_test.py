"""verl's own trainer, with Ray, FSDP2 and weight updates, through our agent loop and reward, on a CPU.

What is asserted is read from verl's batch, just before it trains on it, and from the calls that reached its server.
"""

import itertools
import json
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_run
from batches import groups, padded, spans

from questwell.toy.model import toy_tokenizer
from questwell.toy.world import PROMPTS
from questwell.training.algorithms.grpo import grpo
from questwell.training.algorithms.ppo import gae
from questwell.training.engines.verl.launch import VerlRun, launch, prepare
from questwell.training.engines.verl.presets import Algorithm
from questwell.training.losses import whiten

TOKENIZER = toy_tokenizer(toy_run.WORLD.words)
ANSWERS = {f"{each.question} ?": each.answer for each in toy_run.WORLD.questions(2)}
GROUP = 4

pytestmark = pytest.mark.timeout(1500)


@dataclass(frozen=True)
class Done:
    """What a run left behind."""

    metrics: list[dict[str, float]]
    """Of each step."""
    updates: list[list[dict[str, Any]]]
    """The rows that each step trained on, those that only fill the batch up left out."""
    filled: list[int]
    """How many those were, in each step."""
    calls: list[dict[str, Any]]
    """What the rollout server was asked and said."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    toy_run.build_model(folder)
    return folder


def train(folder: Path, model: Path, algorithm: Algorithm, ranks: int, steps: int, retriever: str) -> Done:
    taps = folder / "taps"
    taps.mkdir()
    small = ("data.train_batch_size=4", "actor_rollout_ref.actor.ppo_mini_batch_size=4")
    small += (f"actor_rollout_ref.rollout.n={GROUP}", "actor_rollout_ref.actor.optim.lr=1e-3", "critic.optim.lr=1e-3")
    small += ("trainer.val_before_train=False", "trainer.test_freq=-1", "trainer.save_freq=-1")
    run = VerlRun(
        folder,
        str(model),
        f"python:toy_run:{retriever}",
        algorithm=algorithm,
        steps=steps,
        limits=toy_run.ROLLOUT_LIMITS,
        turn_tokens=toy_run.SAMPLING.max_tokens,
        prompts=PROMPTS,
        overrides=small,
    )
    prepare(run, toy_run.questions(), toy_run.questions(test=True))
    assert launch(toy_run.on_a_cpu(run, ranks, length=64), toy_run.environment(taps)) == 0
    updates = [json.loads((taps / f"update_{step}.json").read_text()) for step in range(1, steps + 1)]
    return Done(
        metrics=[json.loads(line)["data"] for line in (folder / "metrics_0.jsonl").read_text().splitlines()],
        updates=[[row for row in rows if any(row["response_mask"])] for rows in updates],
        filled=[sum(not any(row["response_mask"]) for row in rows) for rows in updates],
        calls=[json.loads(line) for path in taps.glob("calls_*.jsonl") for line in path.read_text().splitlines()],
    )


@pytest.fixture(scope="module")
def ppo(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    return train(tmp_path_factory.mktemp("ppo"), model, "ppo", ranks=1, steps=2, retriever="retriever")


@pytest.fixture(scope="module")
def group(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Some of its searches fail."""
    return train(tmp_path_factory.mktemp("grpo"), model, "grpo", ranks=2, steps=3, retriever="faulty_retriever")


@pytest.fixture(params=["ppo", "group"])
def done(request: pytest.FixtureRequest) -> Done:
    return request.getfixturevalue(request.param)


def test_a_step_trains_on_groups_of_one_question(ppo: Done) -> None:
    assert ppo.filled == [0, 0]
    for rows in ppo.updates:
        found = groups(rows).values()
        assert [len(members) for members in found] == [GROUP] * 4
        assert all(len({tuple(row["prompts"]) for row in members}) == 1 for members in found)


def test_a_rollout_whose_search_failed_is_not_trained_on(group: Done) -> None:
    """Neither as right nor as wrong; the rest of its group is, and the batch is filled up with rows of mask 0."""
    broken = [f"of {entity} </search>" for entity in toy_run.BROKEN]
    said = [TOKENIZER.decode(call["token_ids"]) for call in group.calls]
    assert sum(any(end in text for end in broken) for text in said) == sum(group.filled) > 0
    for rows, filled in zip(group.updates, group.filled, strict=True):
        assert len(rows) + filled == 4 * GROUP
        assert not any(end in TOKENIZER.decode(row["responses"]) for row in rows for end in broken)


def test_the_model_is_trained_on_what_it_sampled(done: Done) -> None:
    """Each span of mask 1 is one answer of the server to exactly the ids before it: nothing was tokenised anew."""
    answered = defaultdict(list)
    for call in done.calls:
        answered[tuple(call["prompt_ids"])].append(call["token_ids"])
    turns = set()
    for row in itertools.chain(*done.updates):
        whole = row["prompts"] + row["responses"]
        assert len(row["responses"]) == len(row["response_mask"]) == len(row["rollout_log_probs"])
        said = [(begin, end) for wrote, begin, end in spans(row) if wrote]
        for begin, end in said:
            assert whole[begin:end] in answered[tuple(whole[:begin])]
        turns.add(len(said))
    assert 3 in turns


def test_observations_have_mask_0_and_the_models_words_mask_1(done: Done) -> None:
    observed = 0
    for row in itertools.chain(*done.updates):
        whole = row["prompts"] + row["responses"]
        assert row["loss_mask"] == row["response_mask"]
        for wrote, begin, end in spans(row):
            text = TOKENIZER.decode(whole[begin:end])
            assert ("</information>" in text) == (not wrote)
            observed += not wrote
    assert observed > 50


def test_the_actor_gives_what_it_sampled_the_same_probability(done: Done) -> None:
    """So the server holds the actor's weights of this step, and the actor sees the same ids at the same places."""
    for rows in done.updates:
        off = [
            abs(sampled - recomputed)
            for row in rows
            for sampled, recomputed, wrote in zip(
                row["rollout_log_probs"], row["old_log_probs"], row["response_mask"], strict=True
            )
            if wrote
        ]
        assert max(off) < 1e-3
    assert {call["step"] for call in done.calls} == set(range(len(done.updates)))


def test_the_reward_is_that_of_the_answer(done: Done) -> None:
    rewards = set()
    for row in itertools.chain(*done.updates):
        whole = row["prompts"] + row["responses"]
        *_, (_, begin, end) = spans(row)
        said = re.search("<answer> (.*) </answer>", TOKENIZER.decode(whole[begin:end]))
        right = bool(said) and said[1] == ANSWERS[TOKENIZER.decode(row["prompts"]).strip()]
        assert row["rm_scores"] == [0.0] * (len(row["responses"]) - 1) + [float(right)]
        rewards.add(right)
    assert rewards == {True, False}


def test_grpos_advantages_are_ours(group: Done) -> None:
    for all_rows in group.updates:
        rows = [row for members in groups(all_rows).values() for row in members if len(members) > 1]
        mask = padded(rows, "response_mask")
        ours = grpo(padded(rows, "rm_scores").sum(1), [row["key"].split("_")[0] for row in rows])[:, None] * mask
        assert torch.allclose(padded(rows, "advantages") * mask, ours, atol=1e-4)


def test_ppos_advantages_and_returns_are_ours(ppo: Done) -> None:
    for rows in ppo.updates:
        mask = padded(rows, "response_mask")
        advantages, returns = gae(padded(rows, "token_level_rewards") * mask, padded(rows, "values"), mask, 1.0, 1.0)
        assert torch.allclose(padded(rows, "returns") * mask, returns, atol=1e-4)
        assert torch.allclose(padded(rows, "advantages") * mask, whiten(advantages, mask), atol=1e-3)


def test_members_of_a_group_are_sampled_apart(done: Done) -> None:
    assert len({call["seed"] for call in done.calls}) > 0.9 * len(done.calls)
    assert any(
        len({tuple(row["responses"]) for row in members}) > 1
        for rows in done.updates
        for members in groups(rows).values()
    )


def test_the_weights_move(done: Done) -> None:
    names = ["actor/pg_loss", "actor/grad_norm"]
    for metrics in done.metrics:
        assert all(math.isfinite(metrics[name]) for name in names)
    assert any(metrics["actor/grad_norm"] > 0 for metrics in done.metrics)


def test_the_critic_learns(ppo: Done) -> None:
    assert all(math.isfinite(metrics["critic/vf_loss"]) for metrics in ppo.metrics)
    assert all(metrics["critic/grad_norm"] > 0 for metrics in ppo.metrics)
