"""What a limit says when the spending is not known."""

import pytest

from questwell.errors import ConfigError
from questwell.llm.client import Completion
from questwell.recipes.runs.budget import Budget, SpendingLimits
from questwell.types.usage import Usage


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (Completion("fine", "m"), "--max-cost cannot be enforced: the endpoint does not report how many tokens"),
        (
            Completion("fine", "m", prompt_tokens=9, completion_tokens=3),
            "the price of a model of this run is not known",
        ),
    ],
)
def test_a_cost_limit_says_whether_the_price_or_the_usage_is_missing(call: Completion, said: str) -> None:
    budget = Budget(SpendingLimits(cost_usd=1.0), Usage(0, 0, 0, 0.0))
    budget.check()
    budget.add(call)
    with pytest.raises(ConfigError, match=said):
        budget.check()
