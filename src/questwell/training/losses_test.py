"""The formulas against numbers worked out by hand, and against what must hold for any numbers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from questwell.training import losses

T = torch.tensor
SEEDS = st.integers(0, 10_000)


def masked(seed: int, rows: int = 3, columns: int = 7) -> tuple[torch.Generator, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    mask = (torch.rand(rows, columns, generator=draw) > 0.4).float()
    mask[:, 0] = 1
    return draw, mask


def test_policy_loss_by_hand() -> None:
    """Ratios 1.5, 0.5, 1.1 and one masked; clip 0.2 below, 0.3 above."""
    old = torch.zeros(1, 4)
    logp = T([[1.5, 0.5, 1.1, 9.0]]).log()
    found = losses.policy_loss(
        logp, old, T([[1.0, -2.0, 1.0, 5.0]]), T([[1.0, 1.0, 1.0, 0.0]]), clip_low=0.2, clip_high=0.3
    )
    # min(1.5, 1.3) = 1.3;  min(-1.0, -1.6) = -1.6;  1.1
    assert found.loss.item() == pytest.approx(-(1.3 - 1.6 + 1.1) / 3)
    assert found.clipped.item() == pytest.approx(2 / 3)


def test_a_clipped_token_has_no_gradient_and_an_unclipped_one_has() -> None:
    old = torch.zeros(1, 4)
    logp = T([[1.5, 0.5, 1.5, 0.5]]).log().requires_grad_()
    losses.policy_loss(logp, old, T([[1.0, 1.0, -1.0, -1.0]]), torch.ones(1, 4)).loss.backward()
    assert logp.grad is not None
    assert [value != 0 for value in logp.grad[0].tolist()] == [False, True, True, False]


def test_value_loss_by_hand() -> None:
    values, old, returns = T([[2.0, 0.0, 7.0]]), T([[1.0, 0.0, 0.0]]), T([[3.0, 1.0, 0.0]])
    mask = T([[1.0, 1.0, 0.0]])
    assert losses.value_loss(values, old, returns, mask, clip=None).item() == pytest.approx(0.5 * (1 + 1) / 2)
    # held at 1.5, the first is 1.5 off
    assert losses.value_loss(values, old, returns, mask, clip=0.5).item() == pytest.approx(0.5 * (2.25 + 1) / 2)


def test_kl_estimators_by_hand() -> None:
    logp, reference = T([[math.log(0.5)]]), T([[math.log(0.25)]])
    assert losses.kl(logp, reference, "k1").item() == pytest.approx(math.log(2))
    assert losses.kl(logp, reference, "k2").item() == pytest.approx(0.5 * math.log(2) ** 2)
    assert losses.kl(logp, reference, "k3").item() == pytest.approx(0.5 - 1 + math.log(2))


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_kl_estimators_agree_in_the_mean_with_the_divergence(seed: int) -> None:
    """k1 and k3 are unbiased: their expectation under the policy is the divergence itself."""
    draw = torch.Generator().manual_seed(seed)
    p = torch.randn(6, generator=draw).log_softmax(-1)
    q = torch.randn(6, generator=draw).log_softmax(-1)
    exact = (p.exp() * (p - q)).sum()
    for estimator in ("k1", "k3"):
        assert (p.exp() * losses.kl(p, q, estimator)).sum().item() == pytest.approx(exact.item(), abs=1e-5)
    assert (losses.kl(p, q, "k3") >= 0).all()


def test_token_rewards_pay_at_the_last_token_of_the_model() -> None:
    mask = T([[1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    penalty = T([[0.1, 5.0, 0.2, 5.0], [0.0, 0.0, 0.0, 0.5], [1.0, 1.0, 1.0, 1.0]])
    paid = losses.token_rewards(T([1.0, 2.0, 3.0]), mask, penalty)
    assert paid.tolist() == [
        pytest.approx([-0.1, 0.0, 0.8, 0.0]),
        pytest.approx([0.0, 0.0, 0.0, 1.5]),
        [0.0, 0.0, 0.0, 0.0],
    ]


def test_log_probabilities_and_entropy_of_known_distributions() -> None:
    logits = T([[[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, math.log(2.0), -math.inf]]])
    assert losses.log_probs(logits, T([[3, 2]]))[0].tolist() == pytest.approx([math.log(0.25), math.log(0.5)])
    assert losses.entropy(logits[:, :1])[0].tolist() == pytest.approx([math.log(4)])


def test_entropy_in_slices_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn((3, 5, 11), generator=torch.Generator().manual_seed(0))
    whole = losses.entropy(logits.clone().requires_grad_())
    monkeypatch.setattr(losses, "_CACHED", 25)  # two rows at a time, and one left over
    assert whole.requires_grad
    assert losses.entropy(logits).tolist() == [pytest.approx(row) for row in whole.tolist()]


def test_explained_variance() -> None:
    returns, mask = T([[1.0, 2.0, 3.0, 99.0]]), T([[1.0, 1.0, 1.0, 0.0]])
    assert losses.explained_variance(returns, returns, mask).item() == pytest.approx(1)
    assert losses.explained_variance(torch.full((1, 4), 2.0), returns, mask).item() == pytest.approx(0)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_whitened_values_have_mean_0_and_variance_1_over_the_mask(seed: int) -> None:
    draw, mask = masked(seed)
    white = losses.whiten(torch.randn(mask.shape, generator=draw) * 3 + 2, mask)
    inside = white[mask.bool()]
    assert inside.mean().item() == pytest.approx(0, abs=1e-5)
    assert inside.var().item() == pytest.approx(1, abs=1e-4)
    assert (white[~mask.bool()] == 0).all()


def test_one_value_is_only_shifted() -> None:
    assert losses.whiten(T([[5.0, 7.0]]), T([[1.0, 0.0]])).tolist() == [[0.0, 0.0]]


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_what_is_masked_changes_no_loss_and_gets_no_gradient(seed: int) -> None:
    """Exactly: whatever stands at a retrieved token, infinities included."""
    draw, mask = masked(seed)
    old, advantages, returns, values, logp = (torch.randn(mask.shape, generator=draw) for _ in range(5))
    other = torch.where(mask.bool(), logp, math.inf)
    seen = []
    for given_logp in (logp, other):
        given_logp = given_logp.clone().requires_grad_()
        given_values = torch.where(mask.bool(), values, given_logp.detach()).requires_grad_()
        loss = losses.policy_loss(given_logp, old, advantages, mask).loss
        loss = loss + losses.value_loss(given_values, values, returns, mask)
        loss.backward()
        assert given_logp.grad is not None and given_values.grad is not None
        assert (given_logp.grad[~mask.bool()] == 0).all()
        seen.append((loss.item(), given_logp.grad[mask.bool()].tolist()))
    assert seen[0] == seen[1]


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_parts_of_a_batch_add_up_to_the_whole(seed: int) -> None:
    draw, mask = masked(seed, rows=4)
    logp, old, advantages = (torch.randn(mask.shape, generator=draw) for _ in range(3))
    whole = losses.policy_loss(logp, old, advantages, mask).loss
    tokens = mask.sum()
    parts = [
        losses.policy_loss(logp[at], old[at], advantages[at], mask[at], tokens=tokens).loss for at in ([0, 2], [1, 3])
    ]
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-5, abs=1e-6)
