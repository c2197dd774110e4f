"""What `TorchPolicy` samples with: its calls, the state of a decoding step on the device, a recorded step."""

# torch and transformers are typed in part only; what comes out of this file is typed by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from questwell.errors import ConfigError
from questwell.llm.codec import ChatCodec
from questwell.llm.policy import TokenOutput

_TAIL = 24
"""Newest tokens that are searched for a stop text: more than any stop has letters."""
Forward = Callable[[slice | Tensor, Tensor, Tensor, int, Tensor | None], Tensor]
"""Logits after the newest token of each row: of (rows, token ids, positions, span, last)."""


@dataclass(slots=True)
class Call:
    """A call for one message that is being sampled."""

    request_id: str
    prompt: list[int]
    most: int
    temperature: float
    stop: tuple[str, ...]
    uniforms: Tensor
    """[most]: a number in [0, 1) for each token that may be sampled."""
    done: asyncio.Future[TokenOutput]
    ids: list[int] = field(default_factory=list[int])
    logprobs: list[float] = field(default_factory=list[float])
    stopped: bool = False
    cached: int = 0
    """Number of tokens of the prompt that need not be read again."""


def stops_of(model: nn.Module) -> frozenset[int]:
    """Ids at which the model's generation config stops."""
    found = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    if found is None:
        return frozenset()
    return frozenset(cast(list[int], found if isinstance(found, list) else [found]))


def sliding_window(model: PreTrainedModel) -> int | None:
    """The window of the model's sliding layers; None when it has none."""
    config: Any = model.config.get_text_config()
    kinds: set[str] = set(getattr(config, "layer_types", None) or ())
    if unknown := kinds - {"full_attention", "sliding_attention"}:
        raise ConfigError(
            f"layers of {', '.join(sorted(unknown))} cannot be sampled from here: serve the model by vLLM"
        )
    return int(config.sliding_window) if "sliding_attention" in kinds else None


@dataclass(frozen=True, slots=True)
class DecodingState:
    """The state of B calls on the device; it advances with each token."""

    tokens: Tensor
    """[B]: the newest token of each."""
    positions: Tensor
    """[B]: position of that token in the dialogue."""
    drawn: Tensor
    """[B]: number of tokens sampled so far."""
    uniforms: Tensor
    """[B, most]: a number in [0, 1) for each token."""
    temperature: Tensor
    """[B]: 1 where greedy."""
    greedy: Tensor
    """[B]."""

    @classmethod
    def of(cls, calls: Sequence[Call], device: torch.device) -> "DecodingState":
        """The state of the calls at this moment."""
        return cls(
            torch.tensor([call.ids[-1] if call.ids else 0 for call in calls], device=device),
            torch.tensor([len(call.prompt) + len(call.ids) - 1 for call in calls], device=device),
            torch.tensor([len(call.ids) for call in calls], device=device),
            nn.utils.rnn.pad_sequence([call.uniforms for call in calls], batch_first=True).to(device),
            torch.tensor([call.temperature or 1.0 for call in calls], device=device),
            torch.tensor([call.temperature == 0 for call in calls], device=device),
        )

    def choose(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """(the next token of each call, its log-probability), both [B], from [B, V].

        By inversion: the first token at which the cumulative probability passes the call's own uniform number.
        """
        logprobs = (logits.float() / self.temperature[:, None]).log_softmax(-1)  # [B, V]
        cumulative = logprobs.exp().cumsum(-1, dtype=torch.float64)  # [B, V]
        uniforms = self.uniforms.gather(1, self.drawn[:, None])  # [B, 1]
        drawn = torch.searchsorted(cumulative, uniforms * cumulative[:, -1:], right=True)[:, 0]
        chosen = torch.where(self.greedy, logprobs.argmax(-1), drawn.clamp(max=logits.shape[-1] - 1))
        self.tokens.copy_(chosen)
        self.positions.add_(1)
        self.drawn.add_(1)
        return chosen, logprobs.gather(-1, chosen[:, None])[:, 0]


class RecordedStep:
    """A decoding step of so many rows, recorded on the GPU: a replay launches its kernels at once."""

    def __init__(self, forward: Forward, lengths: Sequence[int], span: int, device: torch.device) -> None:
        rows = slice(0, len(lengths))
        self._tokens = torch.zeros(len(lengths), dtype=torch.long, device=device)
        self._positions = torch.tensor(lengths, device=device)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            forward(rows, self._tokens[:, None], self._positions[:, None], span, None)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._logits = forward(rows, self._tokens[:, None], self._positions[:, None], span, None)

    def replay(self, state: DecodingState, lengths: Sequence[int]) -> Tensor:
        """Logits [rows, V]; the rows that are not sampled from write behind their `lengths`, where nobody reads."""
        count = len(state.tokens)
        self._tokens[:count] = state.tokens
        self._positions[:count] = state.positions
        if lengths:
            self._positions[count:] = torch.tensor(lengths, device=self._positions.device)
        self._graph.replay()
        return self._logits


class StopTexts:
    """Detects when the newest token of a call completes one of its stop texts."""

    def __init__(self, codec: ChatCodec) -> None:
        """Decode with `codec`."""
        self._codec = codec
        self._completing: dict[tuple[int, tuple[str, ...]], tuple[str, ...]] = {}
        """By token and stop texts: those that the token may complete."""

    def complete(self, call: Call) -> bool:
        """Whether the newest token completes a stop text; the tail is decoded only where that can be."""
        possible = self._completing.get((call.ids[-1], call.stop))
        if possible is None:
            # A token that completes a text holds its last letter, unless it is a part of a letter or loses its spaces.
            said = self._codec.decode(call.ids[-1:])
            possible = tuple(word for word in call.stop if word[-1] in said or not "!" <= word[-1] <= "~")
            self._completing[call.ids[-1], call.stop] = possible
        if not possible:
            return False
        tail = self._codec.decode(call.ids[-_TAIL:])
        return any(word in tail for word in possible)


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Tokens that both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
