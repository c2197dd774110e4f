"""Advantages: by hand, by the plain definition, and with rows and retrieved tokens standing elsewhere."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from questwell.training.algorithms import Outcomes
from questwell.training.algorithms.grpo import GRPO, grpo
from questwell.training.algorithms.ppo import PPO, gae
from questwell.training.algorithms.reinforce import Reinforce, rewards_to_come

T = torch.tensor
SEEDS = st.integers(0, 10_000)


def outcomes(rewards: Tensor, mask: Tensor, groups: list[str], values: Tensor | None = None) -> Outcomes:
    return Outcomes(rewards, mask, groups, groups, values)


def by_definition(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    """A_t = sum over l of (gamma lam)^l delta_{t+l}, without any masks."""
    following = [*values[1:], 0.0]
    deltas = [r + gamma * n - v for r, n, v in zip(rewards, following, values, strict=True)]
    return [
        sum((gamma * lam) ** (later - at) * deltas[later] for later in range(at, len(deltas)))
        for at in range(len(deltas))
    ]


def test_gae_by_hand() -> None:
    """Two steps of the model's with a retrieved token between: gamma 0.5, lambda 0.5."""
    mask = T([[1.0, 0.0, 1.0]])
    advantages, returns = gae(T([[0.0, 0.0, 1.0]]), T([[0.5, 9.0, 0.6]]), mask, 0.5, 0.5)
    # last: 1 - 0.6 = 0.4;  first: 0 + 0.5 * 0.6 - 0.5 + 0.25 * 0.4 = -0.1
    assert advantages[0].tolist() == pytest.approx([-0.1, 0.0, 0.4])
    assert returns[0].tolist() == pytest.approx([0.4, 0.0, 1.0])


@given(SEEDS, st.floats(0.5, 1), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_gae_is_that_of_the_models_tokens_alone(seed: int, gamma: float, lam: float) -> None:
    """Retrieved tokens, wherever they stand and whatever their value, change nothing."""
    draw = torch.Generator().manual_seed(seed)
    rewards, values = (torch.randn(2, 9, generator=draw) for _ in range(2))
    mask = (torch.rand(2, 9, generator=draw) > 0.5).float()
    mask[:, 3] = 1
    advantages, returns = gae(rewards * mask, values, mask, gamma, lam)
    for row in range(2):
        inside = mask[row].bool()
        wanted = by_definition(rewards[row][inside].tolist(), values[row][inside].tolist(), gamma, lam)
        assert advantages[row][inside].tolist() == pytest.approx(wanted, abs=1e-4)
        assert returns[row][inside].tolist() == pytest.approx(
            [a + v for a, v in zip(wanted, values[row][inside].tolist(), strict=True)], abs=1e-4
        )
    assert (advantages[mask == 0] == 0).all() and (returns[mask == 0] == 0).all()


def test_grpo_by_hand() -> None:
    found = grpo(T([1.0, 5.0, 0.0, 7.0, 0.0]), ["a", "b", "a", "c", "a"])
    # group a: mean 1/3, unbiased standard deviation sqrt(1/3)
    scale = (1 / 3) ** 0.5
    assert found.tolist() == pytest.approx([2 / 3 / scale, 0.0, -1 / 3 / scale, 0.0, -1 / 3 / scale], abs=1e-4)
    unscaled = grpo(T([1.0, 0.0]), ["a", "a"], scale=False)
    assert unscaled.tolist() == [0.5, -0.5]


def test_a_group_of_one_and_a_flat_group_earn_nothing() -> None:
    assert grpo(T([3.0, 1.0, 1.0]), ["a", "b", "b"]).tolist() == [0.0, 0.0, 0.0]


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_rows_in_another_order_get_the_same_advantages(seed: int) -> None:
    """Groups are ids, not places: shuffling the batch shuffles the advantages, and changes none."""
    draw = torch.Generator().manual_seed(seed)
    shuffle = random.Random(seed)
    groups = [shuffle.choice("abc") for _ in range(8)]
    mask = (torch.rand(8, 5, generator=draw) > 0.3).float()
    mask[:, 0] = 1
    rewards, values = (torch.randn(8, 5, generator=draw) * mask for _ in range(2))
    order = shuffle.sample(range(8), 8)
    for algorithm in (
        GRPO(),
        GRPO(scale=False),
        PPO(gae_lambda=0.9),
        Reinforce(),
        Reinforce("stratum"),
        Reinforce("none"),
    ):
        straight = algorithm.credit(outcomes(rewards, mask, groups, values)).advantages
        shuffled = algorithm.credit(
            outcomes(rewards[order], mask[order], [groups[at] for at in order], values[order])
        ).advantages
        assert torch.allclose(straight[order], shuffled, atol=1e-4)
        assert (straight[mask == 0] == 0).all()


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_advantages_of_a_group_add_up_to_nothing(seed: int) -> None:
    rewards = torch.randn(9, generator=torch.Generator().manual_seed(seed))
    found = grpo(rewards, list("abcabcabc"))
    for group in range(3):
        assert found[group::3].sum().item() == pytest.approx(0, abs=1e-4)


def test_rewards_to_come() -> None:
    assert rewards_to_come(T([[1.0, 0.0, 2.0]])).tolist() == [[3.0, 2.0, 2.0]]


def test_reinforce_baselines_by_hand() -> None:
    rewards, mask = T([[0.0, 1.0], [0.0, 0.0], [0.0, 4.0]]), T([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])

    def first_tokens(algorithm: Reinforce) -> list[float]:
        credit = algorithm.credit(Outcomes(rewards, mask, ["x"] * 3, ["1 hop", "1 hop", "2 hops"]))
        return credit.advantages[:, 1].tolist()

    assert first_tokens(Reinforce("none")) == [1.0, 0.0, 4.0]
    assert first_tokens(Reinforce("batch")) == pytest.approx([1 - 5 / 3, -5 / 3, 4 - 5 / 3])
    assert first_tokens(Reinforce("stratum")) == pytest.approx([0.5, -0.5, 0.0])


def test_ppo_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="critic"):
        PPO().credit(outcomes(torch.zeros(1, 2), torch.ones(1, 2), ["a"]))
