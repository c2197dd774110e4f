"""Parts of `TorchPolicy`: a call, the state of a decoding step on the device, recorded steps, detection of stops."""

# torch and transformers are only partly typed; what this file returns is typed by hand.
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
"""Number of newest tokens that are searched for a stop text; no stop text has more letters than this."""
Forward = Callable[[slice | Tensor, Tensor, Tensor, int, Tensor | None], Tensor]
"""From (rows, token ids, positions, span, last) to the logits after the newest token of each row."""


@dataclass(slots=True)
class Call:
    """A call whose message is being sampled."""

    request_id: str
    prompt: list[int]
    most: int
    temperature: float
    stop: tuple[str, ...]
    uniforms: Tensor
    """[most]: one number in [0, 1) for each token that may be sampled."""
    done: asyncio.Future[TokenOutput]
    ids: list[int] = field(default_factory=list[int])
    logprobs: list[float] = field(default_factory=list[float])
    stopped: bool = False
    cached: int = 0
    """Number of prompt tokens that are in the cache and need not be read again."""


def stops_of(model: nn.Module) -> frozenset[int]:
    """Ids at which the model's generation config stops."""
    found = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    if found is None:
        return frozenset()
    return frozenset(cast(list[int], found if isinstance(found, list) else [found]))


def sliding_window(model: PreTrainedModel) -> int | None:
    """Number of tokens that the model's sliding-window layers see; None if it has no such layers."""
    config: Any = model.config.get_text_config()
    kinds: set[str] = set(getattr(config, "layer_types", None) or ())
    if unknown := kinds - {"full_attention", "sliding_attention"}:
        raise ConfigError(
            f"layers of {', '.join(sorted(unknown))} cannot be sampled from in this process: serve the model with vLLM"
        )
    return int(config.sliding_window) if "sliding_attention" in kinds else None


@dataclass(frozen=True, slots=True)
class DecodingState:
    """The state of B calls on the device. Each token advances it."""

    tokens: Tensor
    """[B]: newest token of each call."""
    positions: Tensor
    """[B]: position of the newest token in its dialogue."""
    drawn: Tensor
    """[B]: number of tokens sampled so far for each call."""
    uniforms: Tensor
    """[B, most]: one number in [0, 1) for each token that may be sampled."""
    temperature: Tensor
    """[B]: sampling temperature of each call; 1 for greedy calls."""
    greedy: Tensor
    """[B]: whether the call takes the most likely token."""

    @classmethod
    def of(cls, calls: Sequence[Call], device: torch.device) -> "DecodingState":
        """The current state of `calls` as tensors on `device`."""
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

        Sampling by inversion: the first token at which the cumulative probability exceeds the call's uniform number.
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
    """A decoding step recorded as a CUDA graph for a fixed number of rows, so that a replay is one launch."""

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
        """Logits [rows, V]. Rows that are not sampled from write after their `lengths`, where nothing is read."""
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
        """Decode tokens with `codec`."""
        self._codec = codec
        self._completing: dict[tuple[int, tuple[str, ...]], tuple[str, ...]] = {}
        """From (token, stop texts) to those stop texts that the token may complete."""

    def complete(self, call: Call) -> bool:
        """Whether the newest token completes a stop text. Text is decoded only if this token can complete one."""
        possible = self._completing.get((call.ids[-1], call.stop))
        if possible is None:
            # A token that completes a text contains its last letter, unless it is part of a letter or loses its spaces.
            said = self._codec.decode(call.ids[-1:])
            possible = tuple(word for word in call.stop if word[-1] in said or not "!" <= word[-1] <= "~")
            self._completing[call.ids[-1], call.stop] = possible
        if not possible:
            return False
        tail = self._codec.decode(call.ids[-_TAIL:])
        return any(word in tail for word in possible)


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of tokens that `one` and `other` share at their beginning."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
