"""Updates on a tiny model: what moves, what does not, and that a resumed trainer goes on as if nothing had happened."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from questwell.errors import CheckpointError, TrainingCollapsed, TrainingError
from questwell.llm.pretrained import load
from questwell.training import checkpoint, losses
from questwell.training.algorithms import Algorithm
from questwell.training.algorithms.grpo import GRPO
from questwell.training.algorithms.ppo import PPO
from questwell.training.algorithms.reinforce import Reinforce
from questwell.training.batch import Batch, collate
from questwell.training.conftest import made_up, tiny
from questwell.training.learner import trained
from questwell.training.metrics import MEANINGS
from questwell.training.policy import Lora
from questwell.training.trainer import Trainer
from questwell.training.update import Update
from questwell.types.episode import Sample
from questwell.types.trajectory import Role

ALGORITHMS: list[Algorithm] = [PPO(gae_lambda=0.9), GRPO(), Reinforce()]
each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda algorithm: type(algorithm).__name__)
each_way = pytest.mark.parametrize("lora", [None, Lora(4, 8)], ids=["all weights", "lora"])
OPTIONS = Update(learning_rate=3e-3, critic_learning_rate=3e-3, minibatches=2, kl_coefficient=0.01)


def trainer(algorithm: Algorithm, options: Update = OPTIONS, lora: Lora | None = None) -> Trainer:
    return Trainer(tiny(), {Role.SOLVER: algorithm}, options, lora=lora)


def logp(of: Trainer, samples: list[Sample]) -> torch.Tensor:
    """[B]: log-probability of each trajectory's own tokens."""
    batch = collate([sample.tokens for sample in samples], 1)
    with torch.no_grad():
        return (of.actor.log_probs(batch, 1.0)[0] * batch.mask).sum(1)


@each_way
@each_algorithm
def test_updates_make_what_was_rewarded_likelier(algorithm: Algorithm, lora: Lora | None) -> None:
    learner = trainer(algorithm, replace(OPTIONS, learning_rate=1e-2), lora)
    samples = made_up(8, groups=1)
    rewards = torch.tensor([sample.reward for sample in samples])
    before = logp(learner, samples)
    for _ in range(4):
        metrics = learner.update(samples)
        assert metrics.keys() <= MEANINGS.keys()
        assert all(math.isfinite(value) for value in metrics.values())
    moved = logp(learner, samples) - before
    assert moved[rewards > 0].mean() > moved[rewards == 0].mean() + 0.5
    assert metrics["kl"] > 0
    assert metrics["step"] == 4
    assert ("value_loss" in metrics) == algorithm.needs_critic


@each_way
def test_the_reference_stays_where_training_began(lora: Lora | None) -> None:
    learner = trainer(PPO(), lora=lora)
    batch = collate([sample.tokens for sample in made_up(4)], 1)
    before = learner.actor.reference_log_probs(batch, 1.0)
    assert torch.allclose(before, learner.actor.log_probs(batch, 1.0)[0], atol=1e-6)
    learner.update(made_up(4))
    assert torch.equal(learner.actor.reference_log_probs(batch, 1.0), before)
    assert not torch.allclose(learner.actor.log_probs(batch, 1.0)[0], before, atol=1e-4)


def test_an_adapter_shares_its_backbone_with_the_critic() -> None:
    learner = trainer(PPO(), lora=Lora(4, 8))
    assert learner.critic is not None
    frozen = [
        {weight.data_ptr() for weight in model.parameters() if not weight.requires_grad}
        for model in (learner.actor.model, learner.critic)
    ]
    assert len(frozen[1]) > 5
    assert frozen[1] <= frozen[0]
    critics = {id(weight) for weight in learner.critic.parameters() if weight.requires_grad}
    assert critics and not critics & {id(weight) for weight in learner.actor.model.parameters()}


@each_algorithm
def test_retrieved_tokens_have_exactly_no_gradient(algorithm: Algorithm) -> None:
    """Through the whole update: other retrieved tokens at the end of a trajectory change nothing at all.

    Where nothing of the model's follows them, they can only matter as targets, and they must not be targets.
    """
    samples = made_up(4)

    def ended(with_: int) -> list[Sample]:
        shown = (with_, with_ + 1, with_ + 2)
        return [
            replace(
                sample,
                tokens=replace(
                    sample.tokens,
                    response_ids=(*sample.tokens.response_ids, *shown),
                    response_mask=(*sample.tokens.response_mask, 0, 0, 0),
                    response_logprobs=(*sample.tokens.response_logprobs, 0.0, 0.0, 0.0),
                ),
            )
            for sample in samples
        ]

    def weights(with_: int, **options: bool) -> list[torch.Tensor]:
        learner = trainer(algorithm, replace(OPTIONS, kl_in="loss", entropy_coefficient=0.01, **options))
        for _ in range(2):  # at first every value is 0, and so is its error where the return is
            learner.update(ended(with_))
        models = (learner.actor.model, learner.critic) if learner.critic is not None else (learner.actor.model,)
        return [weight.detach().clone() for model in models for weight in model.parameters()]

    assert all(torch.equal(one, other) for one, other in zip(weights(10), weights(20), strict=True))
    unmasked = zip(weights(10, mask_inserted=False), weights(20, mask_inserted=False), strict=True)
    assert not all(torch.equal(one, other) for one, other in unmasked)  # the test can fail


@pytest.mark.parametrize("kl_in", ["reward", "loss"])
def test_small_passes_add_up_to_one_large_one(kl_in) -> None:
    options = replace(OPTIONS, kl_in=kl_in, entropy_coefficient=0.01)
    learners = [trainer(PPO(), replace(options, micro_tokens=tokens)) for tokens in (1, 30, 10_000)]
    told = [learner.update(made_up(6)) for learner in learners]
    for name in ("policy_loss", "value_loss", "gradient_norm", "entropy", "kl", "explained_variance", "update_kl"):
        values = [metrics[name] for metrics in told]
        assert values == pytest.approx([values[0]] * 3, rel=1e-3, abs=1e-6), name
    weights = [list(learner.actor.model.parameters()) for learner in learners]
    for other in weights[1:]:
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(weights[0], other, strict=True))


def test_recomputed_activations_give_the_same_update() -> None:
    plain, again = (trainer(PPO(), replace(OPTIONS, checkpointing=on)) for on in (False, True))
    for learner in (plain, again):
        learner.update(made_up(4))
    for one, other in zip(plain.actor.model.parameters(), again.actor.model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_rows_in_another_order_give_the_same_update() -> None:
    samples = made_up(8, groups=3)
    one, other = (trainer(GRPO(), replace(OPTIONS, minibatches=1)) for _ in range(2))
    one.update(samples)
    other.update([samples[at] for at in (5, 0, 7, 2, 1, 6, 3, 4)])
    assert torch.allclose(logp(one, samples), logp(other, samples), atol=1e-4)


def test_each_role_is_credited_by_its_own_algorithm() -> None:
    """In one joint step: the proposer's group of one earns nothing under GRPO and something under REINFORCE."""
    proposer = replace(made_up(1)[0], role=Role.PROPOSER, reward=1.0, group="p")
    moved = []
    for algorithm in (GRPO(), Reinforce("none")):
        options = replace(OPTIONS, minibatches=1, kl_coefficient=0.0)
        learner = Trainer(tiny(), {Role.SOLVER: GRPO(), Role.PROPOSER: algorithm}, options)
        before = logp(learner, [proposer])
        learner.update([proposer])
        moved.append((logp(learner, [proposer]) - before).item())
    assert moved[0] == 0.0
    assert moved[1] > 0
    with pytest.raises(TrainingError, match="proposer"):
        trainer(GRPO()).update([proposer])


def test_only_the_critic_learns_while_it_warms_up() -> None:
    learner = trainer(PPO(), replace(OPTIONS, critic_warmup_steps=1))
    samples = made_up(4)
    before = logp(learner, samples)
    learner.update(samples)
    assert torch.equal(logp(learner, samples), before)
    learner.update(samples)
    assert not torch.equal(logp(learner, samples), before)


def test_nothing_to_learn_from_is_an_error_and_a_broken_gradient_an_alarm() -> None:
    learner = trainer(GRPO())
    with pytest.raises(TrainingError, match="nothing to learn"):
        learner.update([])
    broken = [replace(sample, reward=math.nan) for sample in made_up(4)]
    before = logp(learner, made_up(4))
    with pytest.raises(TrainingCollapsed, match="gradient"):
        learner.update(broken)
    assert torch.equal(logp(learner, made_up(4)), before)


@each_way
def test_a_resumed_trainer_goes_on_as_if_nothing_had_happened(tmp_path: Path, lora: Lora | None) -> None:
    options = replace(OPTIONS, lr_warmup_steps=3)
    whole = trainer(PPO(gae_lambda=0.9), options, lora)
    told = [whole.update(made_up(6, seed=step)) for step in range(6)]

    first = trainer(PPO(gae_lambda=0.9), options, lora)
    for step in range(3):
        first.update(made_up(6, seed=step))
    checkpoint.write(tmp_path, 3, first.state(), first.save_model, keep=2)
    torch.manual_seed(99)
    second = trainer(PPO(gae_lambda=0.9), options, lora)
    second.load(checkpoint.read(tmp_path))
    for step in range(3, 6):
        metrics = second.update(made_up(6, seed=step))
        for name in metrics.keys() - {"update_s", "update_tokens_per_s"}:
            assert metrics[name] == pytest.approx(told[step][name], rel=1e-4, abs=1e-6), name
    for one, other in zip(whole.actor.model.parameters(), second.actor.model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@each_way
def test_the_saved_model_is_the_policy(tmp_path: Path, lora: Lora | None) -> None:
    learner = trainer(GRPO(), replace(OPTIONS, learning_rate=1e-2), lora)
    learner.update(made_up(6))
    folder = checkpoint.write(tmp_path, 1, learner.state(), learner.save_model, keep=1)
    saved = load(str(folder / "model"))
    batch = collate([sample.tokens for sample in made_up(4)], 1)
    again = Trainer(saved, {Role.SOLVER: GRPO()}, OPTIONS)
    assert torch.allclose(again.actor.log_probs(batch, 1.0)[0], learner.actor.log_probs(batch, 1.0)[0], atol=1e-4)
    learner.update(made_up(6, seed=1))  # saving has not disturbed it


def test_checkpoints_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    learner = trainer(GRPO())
    for step in (1, 2, 3):
        checkpoint.write(tmp_path, step, learner.state(), learner.save_model, keep=2)
    assert checkpoint.steps(tmp_path) == [2, 3]

    def breaks(folder: Path) -> None:
        folder.mkdir()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        checkpoint.write(tmp_path, 4, learner.state(), breaks, keep=2)
    assert checkpoint.steps(tmp_path) == [2, 3]
    assert checkpoint.read(tmp_path)["step"] == 0
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoint.read(tmp_path / "elsewhere")
    (tmp_path / "step-000009").mkdir()
    (tmp_path / "step-000009" / "state.pt").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.read(tmp_path)
    with pytest.raises(CheckpointError, match="critic"):
        trainer(PPO()).load(learner.state())


def test_the_divergence_is_charged_in_the_reward() -> None:
    """With no reward at all, a policy that has left its reference is drawn back to it."""
    learner = trainer(Reinforce("none"), replace(OPTIONS, kl_coefficient=1.0, learning_rate=1e-2, minibatches=1))
    samples = made_up(8)
    with torch.no_grad():
        for weight in learner.actor.model.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    batch = collate([sample.tokens for sample in samples], 1)

    def apart() -> float:
        current = learner.actor.log_probs(batch, 1.0)[0]
        return float(
            losses.masked_mean(losses.kl(current, learner.actor.reference_log_probs(batch, 1.0), "k3"), batch.mask)
        )

    with torch.no_grad():
        before = apart()
    for _ in range(5):
        learner.update([replace(sample, reward=0.0) for sample in samples])
    with torch.no_grad():
        assert apart() != before


@each_way
@pytest.mark.parametrize("coefficient", [0.0, 0.05])
def test_a_single_descent_needs_no_look_beforehand(
    coefficient: float, lora: Lora | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It saves a pass, and changes neither the weights after it nor any metric."""
    options = replace(
        OPTIONS, minibatches=1, kl_in="loss", kl_coefficient=coefficient, entropy_coefficient=0.01, micro_tokens=40
    )
    samples = made_up(8)
    seen: list[dict[str, float]] = []
    weights: list[torch.Tensor] = []
    for looks in (False, True):
        learner = trainer(GRPO(), options, lora)
        if looks:
            monkeypatch.setattr(Update, "descends_once", property(lambda _: False))
        else:
            monkeypatch.setattr(learner.actor, "log_probs", None)  # not called
        seen.append([learner.update(samples), learner.update(samples)][1])
        weights.append(torch.cat([weight.detach().flatten() for weight in trained(learner.actor.model)]))
    assert torch.allclose(weights[0], weights[1], atol=1e-5)
    timed = {"update_s", "update_tokens_per_s"}
    for name in seen[0].keys() - timed:
        assert seen[0][name] == pytest.approx(seen[1][name], abs=1e-4), name
    assert seen[0]["entropy"] > 1
    assert seen[0]["sampling_gap"] > 0


def test_later_descents_are_held_to_the_policy_that_sampled() -> None:
    learner = trainer(GRPO(), replace(OPTIONS, learning_rate=1e-2, minibatches=2, kl_coefficient=0.0))
    assert learner.update(made_up(8))["update_kl"] > 1e-5
    once = trainer(GRPO(), replace(OPTIONS, learning_rate=1e-2, minibatches=1, kl_coefficient=0.0))
    assert once.update(made_up(8))["update_kl"] == 0


def test_a_charge_in_the_reward_is_known_before_the_only_descent(monkeypatch: pytest.MonkeyPatch) -> None:
    options = replace(OPTIONS, learning_rate=1e-2, minibatches=1, kl_coefficient=0.5)
    weights: list[torch.Tensor] = []
    for _ in range(2):
        learner = trainer(Reinforce(), options)
        learner.update(made_up(8))  # from here on the policy is not the reference
        learner.update(made_up(8))
        weights.append(torch.cat([weight.detach().flatten() for weight in trained(learner.actor.model)]))
        monkeypatch.setattr(Update, "descends_once", property(lambda _: False))
    assert torch.allclose(weights[0], weights[1], atol=1e-5)


def test_an_entropy_bonus_has_a_gradient_of_its_own() -> None:
    flat = [replace(sample, reward=1.0) for sample in made_up(8)]  # all attempts equally good: nothing else to learn
    for coefficient in (0.0, 0.1):
        learner = trainer(GRPO(), replace(OPTIONS, kl_coefficient=0.0, entropy_coefficient=coefficient))
        assert (learner.update(flat)["gradient_norm"] > 1e-4) == (coefficient > 0)


@pytest.mark.parametrize("minibatches", [1, 2])
def test_rows_without_advantage_are_passed_without_a_gradient(
    minibatches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It saves two thirds of their time, and changes neither the weights nor any metric."""
    options = replace(OPTIONS, minibatches=minibatches, kl_coefficient=0.0, micro_tokens=40)
    samples = [replace(sample, group=f"q{at // 2}", reward=float(at == 3)) for at, sample in enumerate(made_up(8))]
    told: list[dict[str, float]] = []
    weights: list[torch.Tensor] = []
    rows: list[int] = []  # of passes with a gradient
    for skips in (True, False):
        learner = trainer(GRPO(), options)
        logits = learner.actor.logits

        def counted(part: Batch, *rest: Any, of: Any = logits, seen: list[int] = rows) -> torch.Tensor:
            seen.append(len(part) if torch.is_grad_enabled() else 0)
            return of(part, *rest)

        monkeypatch.setattr(learner.actor, "logits", counted)
        if not skips:
            monkeypatch.setattr(learner, "_learning", lambda _, rows: torch.ones_like(rows, dtype=torch.bool))
        told.append([learner.update(samples), learner.update(samples)][1])
        weights.append(torch.cat([weight.detach().flatten() for weight in trained(learner.actor.model)]))
        assert sum(rows) == (2 * max(2, minibatches) if skips else 16)
        rows.clear()
    assert torch.allclose(weights[0], weights[1], atol=1e-5)
    for name in told[0].keys() - {"update_s", "update_tokens_per_s"}:
        assert told[0][name] == pytest.approx(told[1][name], rel=1e-3, abs=1e-5), name


@pytest.mark.parametrize("options", [{"kl_coefficient": 0.05, "kl_in": "loss"}, {"entropy_coefficient": 0.1}])
def test_rows_without_advantage_have_the_gradient_of_kl_and_entropy(options: dict[str, Any]) -> None:
    flat = [replace(sample, reward=1.0) for sample in made_up(8)]
    learner = trainer(GRPO(), replace(OPTIONS, **{"kl_coefficient": 0.0, **options}))
    learner.update(made_up(8))  # from here on the policy is not the reference
    assert learner.update(flat)["gradient_norm"] > 1e-4


def test_a_step_of_flat_groups_moves_on_by_the_moments() -> None:
    learner = trainer(GRPO(), replace(OPTIONS, kl_coefficient=0.0))
    learner.update(made_up(8))
    before = logp(learner, made_up(8))
    assert learner.update([replace(sample, reward=1.0) for sample in made_up(8)])["gradient_norm"] == 0.0
    assert (logp(learner, made_up(8)) - before).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("checkpointing", "says"),
    [(False, r"resume with --checkpointing or --micro-tokens 50$"), (True, r"resume with --micro-tokens 50$")],
)
def test_a_device_that_runs_out_of_memory_is_told_with_what_to_change(
    checkpointing: bool, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = trainer(GRPO(), replace(OPTIONS, micro_tokens=100, checkpointing=checkpointing))

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(of.actor, "logits", full)
    with pytest.raises(TrainingError, match=says):
        of.update(made_up(4))
    assert of.step == 0
