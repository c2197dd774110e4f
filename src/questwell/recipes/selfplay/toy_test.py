"""The warm start of the toy policy: it ends when the policy uses what it found, whenever that is."""

import pytest

from questwell.agents.prompts import Prompts
from questwell.recipes.selfplay import toy
from questwell.toy.world import PROMPTS
from questwell.training import warmstart

STEPS = (1, 2, 3)


@pytest.fixture(autouse=True)
def few_demonstrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy, "_DEMONSTRATIONS", {kind: {2: 4} for kind in ("solver", "proposer", "reader")})


@pytest.mark.parametrize(("losses", "rounds"), [([0.01], 1), ([0.09, 0.02, 0.019], 3), ([0.09] * 4, 4)])
def test_rounds_go_on_until_the_policy_uses_what_it_found(
    losses: list[float], rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In which round a policy of this size finds out how to copy hangs on rounding."""
    left, made = iter(losses), list[warmstart.WarmStart]()
    train = warmstart.warm_start

    def note(start, views, how, **more):
        made.append(how)
        return train(start, views[:4], how, **more)

    monkeypatch.setattr(warmstart, "warm_start", note)
    monkeypatch.setattr(warmstart, "loss_of", lambda start, views: next(left))
    toy.make_start(0, Prompts(PROMPTS), STEPS, rounds=4)
    assert [how.steps for how in made] == [1, *[2] * rounds, 3]
    assert len({how.seed for how in made}) == len(made)  # no two in the same order
    assert next(left, None) is None


def test_the_loss_is_that_of_the_model_s_own_tokens() -> None:
    """Training reports the same before it changes anything."""
    start = toy.make_start(0, Prompts(PROMPTS), (1, 1, 1), rounds=1)
    shown = toy.demonstrations(5, errors=False)
    views = [toy._view(one, Prompts(PROMPTS), start) for one in (*shown[:3], *shown[-3:])]
    reported = list[float]()
    how = warmstart.WarmStart(steps=1, batch=len(views))
    warmstart.warm_start(start, views, how, on_step=lambda step, loss: reported.append(loss))
    again = toy.make_start(0, Prompts(PROMPTS), (1, 1, 1), rounds=1)
    assert warmstart.loss_of(again, views) == pytest.approx(reported[0], rel=1e-4)
    assert warmstart.loss_of(again, views, micro_tokens=1) == pytest.approx(reported[0], rel=1e-4)
    assert warmstart.loss_of(start, views) < reported[0]
