"""Cache of keys and values of many dialogues, one row each, kept between turns. Needs torch; imported lazily.

Row r contains the tokens 0 to length - 1 of one dialogue at the same places in every layer; what comes after them is
never attended to. The rows that are sampled from come first, so a step reads them as one view, without a copy.
"""

# torch and transformers are only partly typed; what this file returns is typed by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import Cache

_GRAIN = 64
"""Minimum number of tokens by which the capacity grows."""


@dataclass(slots=True)
class Row:
    """The contents of one row of the cache."""

    owner: str = ""
    """Request id of the dialogue that used the row last."""
    opening: list[int] = field(default_factory=list[int])
    """Token ids of the dialogue's first prompt, to share with other attempts at the same question."""
    ids: list[int] = field(default_factory=list[int])
    """Token ids whose keys and values are in the row."""
    used: int = 0
    """Value of a counter when the row was last used; lower is older."""


class RowCache(Cache):
    """The cache that a model writes to. Shapes: R rows, H heads, L tokens, D numbers per head."""

    def __init__(self) -> None:  # pyright: ignore[reportMissingSuperCall]  the layers of `Cache` are not used
        self.layers = []  # `Cache` itself reads this
        self.keys: list[Tensor] = []
        """Keys per layer, [R, H, L, D]."""
        self.values: list[Tensor] = []
        self.rows: list[Row] = []
        self.capacity = 0
        """Number of tokens per row that there is room for: L."""
        self.version = 0
        """Number of reallocations so far; after a change, addresses of tensors are no longer valid."""
        self._rows: slice | Tensor = slice(0, 0)
        self._positions = torch.empty(0, 0)
        self._span = 0

    def aim(self, rows: slice | Tensor, positions: Tensor, span: int) -> None:
        """Make the next pass write `rows` at `positions` [rows, tokens] and read their first `span` tokens.

        A slice of rows is read as a view; other rows are copied first.
        """
        self._rows, self._positions, self._span = rows, positions, span

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Write a layer's new keys and values [rows, H, tokens, D]; returns those to attend to, [rows, H, span, D]."""
        while len(self.keys) <= layer_idx:
            heads = key_states.shape[1]
            for store, like in ((self.keys, key_states), (self.values, value_states)):
                store.append(like.new_zeros(len(self.rows), heads, self.capacity, like.shape[-1]))
        rows = self._rows
        if isinstance(rows, slice):
            rows = torch.arange(rows.start, rows.stop, device=key_states.device)
        read: list[Tensor] = []
        for store, new in ((self.keys[layer_idx], key_states), (self.values[layer_idx], value_states)):
            store[rows[:, None], :, self._positions] = new.transpose(1, 2)
            read.append(store[self._rows, :, : self._span])
        return read[0], read[1]

    def reserve(self, rows: int, tokens: int) -> None:
        """Make room for `rows` dialogues of `tokens` tokens and keep the contents."""
        if rows <= len(self.rows) and tokens <= self.capacity:
            return
        rows, before = max(rows, len(self.rows)), len(self.rows)
        tokens = max(self.capacity, -(-tokens // _GRAIN) * _GRAIN)
        for store in (self.keys, self.values):
            for at, old in enumerate(store):
                grown = old.new_zeros(rows, old.shape[1], tokens, old.shape[3])
                grown[:before, :, : self.capacity] = old
                store[at] = grown
        self.rows += [Row() for _ in range(rows - before)]
        self.capacity = tokens
        self.version += 1

    def swap(self, one: int, other: int) -> None:
        """Exchange two rows."""
        if one == other:
            return
        here, there = self.rows[one], self.rows[other]
        length = max(len(here.ids), len(there.ids))
        for store in (*self.keys, *self.values):
            kept = store[one, :, :length].clone()
            store[one, :, :length] = store[other, :, :length]
            store[other, :, :length] = kept
        self.rows[one], self.rows[other] = there, here

    def share(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of one row to another."""
        for store in (*self.keys, *self.values):
            store[target, :, :length] = store[source, :, :length]
        self.rows[target].ids = self.rows[source].ids[:length]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """0; `Cache` requires this method, but each pass has its own positions, so the model does not need it."""
        return 0

    def forget(self) -> None:
        """Empty all rows, because the weights have changed. The memory is kept."""
        self.rows = [Row() for _ in self.rows]


def attention_mask(positions: Tensor, span: int, dtype: torch.dtype) -> Tensor:
    """Mask [rows, 1, tokens, span] to add to attention scores: a token sees itself and the tokens before it."""
    seen = torch.arange(span, device=positions.device) <= positions[:, None, :, None]
    return torch.zeros_like(seen, dtype=dtype).masked_fill_(~seen, torch.finfo(dtype).min)


def sliding_mask(positions: Tensor, span: int, dtype: torch.dtype, window: int) -> Tensor:
    """Like `attention_mask`, for layers that see only the newest `window` tokens."""
    places = torch.arange(span, device=positions.device)
    seen = (places <= positions[:, None, :, None]) & (places > positions[:, None, :, None] - window)
    return torch.zeros_like(seen, dtype=dtype).masked_fill_(~seen, torch.finfo(dtype).min)
