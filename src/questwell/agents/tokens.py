"""Makes the token view of a rollout from its completions: which tokens were sampled and which were inserted."""

from collections.abc import Sequence

from questwell.llm.client import Completion
from questwell.types.trajectory import TokenView


def token_view(completions: Sequence[Completion]) -> TokenView | None:
    """The rollout as ids, mask and log-probabilities; None if its client returned no ids.

    Every prompt must begin with everything before it. Then the tokens in between were inserted (mask 0), and the
    model's answers are what it sampled (mask 1). Observations after the last answer belong to no call and are left out.

    Raises:
        ValueError: a prompt does not continue the one before it, so the policy would be trained on other tokens.
    """
    if not completions or not all(completion.prompt_ids for completion in completions):
        return None
    prompt = completions[0].prompt_ids
    ids: list[int] = []
    mask: list[int] = []
    logprobs: list[float] = []
    for completion in completions:
        so_far = (*prompt, *ids)
        if completion.prompt_ids[: len(so_far)] != so_far:
            raise ValueError("the prompt of a call does not continue the tokens before it: agents may only append")
        inserted = completion.prompt_ids[len(so_far) :]
        ids += (*inserted, *completion.token_ids)
        mask += (*(0 for _ in inserted), *(1 for _ in completion.token_ids))
        logprobs += (*(0.0 for _ in inserted), *completion.logprobs)
    return TokenView(prompt, tuple(ids), tuple(mask), tuple(logprobs))
