"""The papers' hyperparameters under verl's keys. Anything a paper does not state keeps verl's default.

In verl a response holds a whole rollout, observations included, and a prompt only its opening. So the context of SAGE
(8,192 tokens of dialogue and 1,024 of the last message) is a response of 8,192 after an opening of 1,024.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Algorithm = Literal["ppo", "grpo", "reinforce"]
Overrides = Mapping[str, str | int | float | bool]

_SAGE: Overrides = {
    "data.train_batch_size": 512,
    "data.max_prompt_length": 1024,
    "data.max_response_length": 8192,
    "algorithm.gamma": 1.0,
    "algorithm.use_kl_in_reward": True,
    "algorithm.kl_penalty": "kl",
    "algorithm.kl_ctrl.kl_coef": 0.001,
    "actor_rollout_ref.actor.ppo_mini_batch_size": 256,
    "actor_rollout_ref.actor.optim.lr": 1e-6,
    "actor_rollout_ref.actor.optim.lr_warmup_steps_ratio": 0.285,
    "actor_rollout_ref.actor.clip_ratio": 0.2,
    "actor_rollout_ref.actor.clip_ratio_low": 0.2,
    "actor_rollout_ref.actor.clip_ratio_high": 0.2,
    "actor_rollout_ref.actor.entropy_coeff": 0.001,
    "actor_rollout_ref.rollout.temperature": 1.0,
    "actor_rollout_ref.rollout.n": 1,
}
"""SAGE (arXiv 2601.18202), apart from its critic."""

PRESETS: Mapping[Algorithm, Overrides] = MappingProxyType(
    {
        "ppo": {  # SAGE with its critic
            **_SAGE,
            "algorithm.adv_estimator": "gae",
            "algorithm.lam": 1.0,
            "critic.optim.lr": 1e-5,
            "critic.optim.lr_warmup_steps_ratio": 0.015,
            "critic.cliprange_value": 0.5,
        },
        "grpo": {  # the solver of SSP (arXiv 2510.18821)
            "algorithm.adv_estimator": "grpo",
            "algorithm.norm_adv_by_std_in_grpo": True,
            "data.train_batch_size": 256,
            "data.max_prompt_length": 4096,
            "data.max_response_length": 8192,
            "actor_rollout_ref.actor.ppo_mini_batch_size": 128,
            "actor_rollout_ref.actor.optim.lr": 1e-6,
            "actor_rollout_ref.actor.optim.lr_warmup_steps": 5,
            "actor_rollout_ref.actor.clip_ratio_low": 0.2,
            "actor_rollout_ref.actor.clip_ratio_high": 0.285,
            "actor_rollout_ref.actor.use_kl_loss": True,
            "actor_rollout_ref.actor.kl_loss_coef": 0.01,
            "actor_rollout_ref.actor.kl_loss_type": "low_var_kl",
            "actor_rollout_ref.rollout.temperature": 1.0,
            "actor_rollout_ref.rollout.n": 5,
        },
        # REINFORCE++ (arXiv 2501.03262): no critic, KL in the reward, returns normalised over the whole batch. Its
        # own numbers are for chat models; we use SAGE's, so that the two can be compared.
        "reinforce": {**_SAGE, "algorithm.adv_estimator": "reinforce_plus_plus"},
    }
)
