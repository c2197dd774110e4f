"""Turns trajectories into tensors. Prompts are padded on the left, so all responses begin in the same column."""

# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from questwell.types.trajectory import TokenView


@dataclass(frozen=True, slots=True)
class Batch:
    """The tokens of B trajectories as tensors, with P prompt columns and T response columns."""

    ids: Tensor
    """[B, P + T]: token ids."""
    attention: Tensor
    """[B, P + T]: 1 where there is a token, 0 where there is padding."""
    mask: Tensor
    """[B, T], float: 1 where the model wrote the token."""
    sampled_logp: Tensor
    """[B, T]: the sampler's log-probabilities, 0 outside the mask."""

    @property
    def response(self) -> Tensor:
        """Token ids of the responses, [B, T]."""
        return self.ids[:, -self.mask.shape[1] :]

    @property
    def begun_together(self) -> Tensor:
        """Token ids with all padding moved to the right, [B, longest row].

        No real token sees padding this way, so the model needs only the causal mask. GPU attention kernels handle an
        explicit padding mask badly: padding rows that attend to nothing, and on Hopper NaN gradients where attention
        scores are large, as in real models (pytorch/pytorch#196678).
        """
        width = self.ids.shape[1]
        at = torch.arange(width, device=self.ids.device) + self._padded[:, None]  # [B, P + T]
        longest = int(self.attention.sum(1).max())
        return self.ids.gather(1, at % width)[:, :longest]

    @property
    def read_at(self) -> Tensor:
        """Column in `begun_together` of the token before each response token, [B, T], where the model predicts it."""
        prompt, response = self.ids.shape[1] - self.mask.shape[1], self.mask.shape[1]
        at = torch.arange(response, device=self.ids.device) + (prompt - self._padded - 1)[:, None]
        return at.clamp(max=int(self.attention.sum(1).max()) - 1)

    @property
    def _padded(self) -> Tensor:
        """Number of padding tokens before each row, [B]."""
        return (self.attention.cumsum(dim=1) == 0).sum(1)

    @property
    def tokens(self) -> int:
        """Number of tokens that are not padding."""
        return int(self.attention.sum())

    def __len__(self) -> int:
        """Number of rows, B."""
        return len(self.ids)

    def rows(self, rows: Tensor) -> "Batch":
        """Return a batch of some rows, without the columns that only other rows need."""
        prompt = self.ids.shape[1] - self.mask.shape[1]
        attention = self.attention[rows]
        used = attention.any(dim=0).nonzero()[:, 0]
        first, last = int(used[0]), int(used[-1]) + 1
        last = max(last, prompt + 1)
        response = slice(0, last - prompt)
        return Batch(
            self.ids[rows, first:last],
            attention[:, first:last],
            self.mask[rows, response],
            self.sampled_logp[rows, response],
        )


def collate(views: Sequence[TokenView], pad: int, device: torch.device | str = "cpu") -> Batch:
    """Return the token views as one padded batch; `pad` is the id of the padding token.

    Raises:
        ValueError: there are no views, or one has no prompt or no response.
    """
    if not views or not all(view.prompt_ids and view.response_ids for view in views):
        raise ValueError("every trajectory of a batch needs prompt and response tokens")
    prompt = max(len(view.prompt_ids) for view in views)
    response = max(len(view.response_ids) for view in views)
    ids: list[list[int]] = []
    attention: list[list[int]] = []
    mask: list[list[float]] = []
    logp: list[list[float]] = []
    for view in views:
        before, after = prompt - len(view.prompt_ids), response - len(view.response_ids)
        ids.append([*[pad] * before, *view.prompt_ids, *view.response_ids, *[pad] * after])
        attention.append([*[0] * before, *[1] * (prompt + response - before - after), *[0] * after])
        mask.append([*map(float, view.response_mask), *[0.0] * after])
        logp.append([*view.response_logprobs, *[0.0] * after])
    return Batch(
        torch.tensor(ids, device=device),
        torch.tensor(attention, device=device),
        torch.tensor(mask, device=device),
        torch.tensor(logp, device=device),
    )
