"""Each term of the loss pulls the way it should. A wrong sign or an off-by-one of one of them must fail here."""

from dataclasses import replace

import pytest
import torch

from questwell.training import losses
from questwell.training.algorithms.grpo import GRPO
from questwell.training.algorithms.ppo import PPO
from questwell.training.algorithms.reinforce import Reinforce
from questwell.training.batch import collate
from questwell.training.conftest import made_up, tiny
from questwell.training.policy import Critic, logits_of
from questwell.training.trainer import Trainer
from questwell.training.update import Update
from questwell.types.trajectory import Role

FLAT = [replace(sample, reward=0.0) for sample in made_up(8)]
BATCH = collate([sample.tokens for sample in FLAT], 1)
UPDATE = Update(learning_rate=5e-3, sampler_ratio_cap=None)


def moved(trainer: Trainer) -> Trainer:
    """With an actor that has left its reference."""
    with torch.no_grad():
        for weight in trainer.actor.model.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    return trainer


@torch.no_grad()
def divergence(of: Trainer) -> float:
    """From the reference, over the whole distribution at each of the model's tokens, nats."""
    where = BATCH.mask.bool()
    assert of.actor.reference is not None
    ours, theirs = (
        logits_of(model, BATCH, 1.0, where).log_softmax(-1) for model in (of.actor.model, of.actor.reference)
    )
    return float((ours.exp() * (ours - theirs)).sum(-1).mean())


@torch.no_grad()
def mean_entropy(of: Trainer) -> float:
    return float(losses.masked_mean(of.actor.log_probs(BATCH, 1.0)[1], BATCH.mask))


def test_a_divergence_in_the_loss_draws_the_policy_back() -> None:
    trainer = moved(Trainer(tiny(), {Role.SOLVER: GRPO()}, replace(UPDATE, kl_coefficient=1.0)))
    before = divergence(trainer)
    for _ in range(5):
        trainer.update(FLAT)
    assert divergence(trainer) < 0.95 * before


def test_a_divergence_in_the_reward_draws_the_policy_back() -> None:
    """Over trajectories that the policy itself samples: k1 is a reward, so its sign shows in expectation only."""
    update = replace(UPDATE, kl_coefficient=1.0, kl_in="reward", learning_rate=2e-3)
    trainer = moved(Trainer(tiny(), {Role.SOLVER: Reinforce("none")}, update))
    before = divergence(trainer)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        trainer.update(sampled(trainer, generator))
    assert divergence(trainer) < 0.8 * before


@torch.no_grad()
def sampled(trainer: Trainer, generator: torch.Generator) -> list:
    """One-token trajectories that the policy samples after the prompts of `FLAT`."""
    rows = []
    for _ in range(16):
        for sample in FLAT:
            prompt = sample.tokens.prompt_ids
            logits = trainer.actor.model(input_ids=torch.tensor([prompt])).logits[0, -1]
            token = int(torch.multinomial(logits.softmax(-1), 1, generator=generator))
            logp = float(logits.log_softmax(-1)[token])
            view = replace(sample.tokens, response_ids=(token,), response_mask=(1,), response_logprobs=(logp,))
            rows.append(replace(sample, tokens=view))
    return rows


def test_an_entropy_bonus_raises_entropy() -> None:
    trainer = moved(
        Trainer(tiny(), {Role.SOLVER: GRPO()}, replace(UPDATE, kl_coefficient=0.0, entropy_coefficient=1.0))
    )
    before = mean_entropy(trainer)
    for _ in range(5):
        trainer.update(FLAT)
    assert mean_entropy(trainer) > before + 0.01


def test_the_critic_reads_the_token_before_the_one_it_values() -> None:
    """Its value of a token may not change with that token, and must change with the one before it."""
    critic = Critic(tiny().model)
    torch.nn.init.normal_(critic.head.weight, generator=torch.Generator().manual_seed(0))
    ids = BATCH.ids.clone()
    width = BATCH.mask.shape[1]
    at = width // 2
    ids[:, ids.shape[1] - width + at] += 1  # another token at place `at` of every response
    with torch.no_grad():
        before, after = critic(BATCH), critic(replace(BATCH, ids=ids))
    assert torch.equal(before[:, : at + 1], after[:, : at + 1])
    told = BATCH.attention[:, -width + at + 1].bool()  # where there is a token after it
    assert told.any()
    assert (before[told, at + 1] != after[told, at + 1]).all()


def test_the_reference_is_asked_at_the_temperature_of_sampling() -> None:
    """At the start it is the policy, so their divergence is 0 at any temperature."""
    for lora in (False, True):
        from questwell.training.policy import Lora

        trainer = Trainer(
            tiny(),
            {Role.SOLVER: GRPO()},
            replace(UPDATE, temperature=0.5, kl_coefficient=0.1),
            lora=Lora(4, 8) if lora else None,
        )
        assert trainer.update(FLAT)["kl"] == pytest.approx(0.0, abs=1e-6)


def test_groups_that_earn_the_same_have_no_gradient_by_default() -> None:
    """GRPO's KL is in the loss: in the reward, its noise is divided by its own deviation and trained on."""
    samples = made_up(8, groups=2)
    flat = [replace(sample, reward=1.0) for sample in samples]
    norms = {}
    for kl_in in (None, "reward"):
        trainer = Trainer(tiny(), {Role.SOLVER: GRPO()}, replace(UPDATE, learning_rate=1e-3, kl_in=kl_in))
        trainer.update(samples)
        norms[kl_in] = trainer.update(flat)["gradient_norm"]
    assert norms[None] < 1e-2 < 0.1 < norms["reward"]


def test_kl_in_the_reward_with_grpo_warns(caplog: pytest.LogCaptureFixture) -> None:
    Trainer(tiny(), {Role.SOLVER: GRPO()}, replace(UPDATE, kl_in="reward"))
    assert "trains on noise" in caplog.text
    caplog.clear()
    Trainer(tiny(), {Role.SOLVER: GRPO()}, UPDATE)
    Trainer(tiny(), {Role.SOLVER: PPO()}, replace(UPDATE, kl_in="reward"))
    assert not caplog.text


def test_a_token_that_the_sampler_found_likelier_than_the_trainer_weighs_less() -> None:
    weights = losses.sampler_weights(torch.tensor([-1.0, -1.0, -1.0]), torch.tensor([-0.5, -1.0, -9.0]), cap=2.0)
    assert weights.tolist() == pytest.approx([0.6065, 1.0, 2.0], abs=1e-4)
