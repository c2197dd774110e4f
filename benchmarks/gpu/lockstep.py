"""The sampler that `questwell.llm.torch_policy` replaced, kept to be measured against: batches in lockstep.

Calls that are made at the same time are answered as one batch. What a call samples is fixed by its own seed, and does
not depend on which calls happened to share its batch.
"""

# torch and transformers are typed in part only; what comes out of this file is typed by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

# pyright: basic, reportArgumentType=false, reportPrivateImportUsage=false, reportOperatorIssue=false

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from questwell.llm.codec import ChatCodec
from questwell.llm.policy import TokenOutput

_TAIL = 24
"""Newest tokens that are looked through for a stop text: more than any stop has letters."""


@dataclass(slots=True)
class _Call:
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


class LockstepPolicy:
    """Samples from a model that lives here. Implements `Policy`; belongs to one event loop at a time."""

    def __init__(self, model: nn.Module, codec: ChatCodec, *, batch: int = 64) -> None:
        """Sample from `model`, a causal language model (with an adapter, if need be), as it is at each call.

        Args:
            model: may change between calls, not during one.
            codec: tells where a message ends.
            batch: calls answered together, at most.
        """
        self.model = model
        self.sampled = 0
        """Tokens sampled so far, a count."""
        self._codec = codec
        self._end = codec.end
        self._hopeful: dict[tuple[int, tuple[str, ...]], tuple[str, ...]] = {}
        """Of each token that was met, and texts to stop at: those that it may complete."""
        self._batch = batch
        self._waiting: list[_Call] = []
        self._serving: asyncio.Task[None] | None = None
        self._unseeded = torch.Generator().manual_seed(0)

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> TokenOutput:
        """A sampled continuation; ends with the token that completes a stop text, or with end-of-sequence.

        Raises:
            ValueError: the parameters ask for what would make the log-probabilities those of another distribution.
        """
        if {"top_p", "top_k", "min_p", "repetition_penalty"} & sampling_params.keys():
            raise ValueError("sampling is from the whole distribution: only temperature may be set")
        most = int(sampling_params["max_tokens"])
        seed = sampling_params.get("seed")
        generator = self._unseeded if seed is None else torch.Generator().manual_seed(int(seed))
        call = _Call(
            prompt=prompt_ids,
            most=most,
            temperature=float(sampling_params.get("temperature", 1.0)),
            stop=tuple(sampling_params.get("stop", ())),
            uniforms=torch.rand(most, generator=generator, dtype=torch.float64),
            done=asyncio.get_running_loop().create_future(),
        )
        self._waiting.append(call)
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return await call.done

    async def _serve(self) -> None:
        """Answer what waits, batch by batch, until nothing does."""
        try:
            while self._waiting:
                await self._gather()
                calls, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
                try:
                    await asyncio.to_thread(self._sample, calls)
                except BaseException as error:  # whatever it is, it is the callers': they raise it
                    for call in calls:
                        if not call.done.done():
                            call.done.set_exception(error)
                    if not isinstance(error, Exception):
                        raise
                for call in calls:
                    if not call.done.done():  # its rollout may have been cancelled
                        reason = "stop" if call.stopped else "length"
                        call.done.set_result(TokenOutput(call.ids, call.logprobs, reason))
        finally:
            self._serving = None

    async def _gather(self) -> None:
        """Let the rollouts that are about to call do so: until a turn of the event loop brings no more of them."""
        before = -1
        while before < len(self._waiting) < self._batch:
            before = len(self._waiting)
            for _ in range(8):  # a rollout takes some turns of the loop from a search to its next call
                await asyncio.sleep(0)

    @torch.no_grad()
    def _sample(self, calls: Sequence[_Call]) -> None:
        device = next(self.model.parameters()).device
        training = self.model.training
        self.model.eval()
        width = max(len(call.prompt) for call in calls)
        pad = self._codec.end
        ids = torch.tensor([[pad] * (width - len(call.prompt)) + call.prompt for call in calls], device=device)
        lengths = torch.tensor([len(call.prompt) for call in calls], device=device)
        attention = (torch.arange(width, device=device) >= width - lengths[:, None]).long()
        positions = (attention.cumsum(1) - 1).clamp(min=0)
        cache = DynamicCache(config=cast(PreTrainedModel, self.model).config)
        going = list(calls)
        luck = _Luck.of(calls, device)
        while going:
            output = self.model(
                input_ids=ids,
                attention_mask=attention,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            chosen, logprobs = luck.choose(output.logits[:, -1], len(going[0].ids))
            for call, token, logprob in zip(going, chosen.tolist(), logprobs.tolist(), strict=True):
                call.ids.append(token)
                call.logprobs.append(logprob)
            rows = [row for row, call in enumerate(going) if not self._ended(call)]
            if len(rows) < len(going):
                kept = torch.tensor(rows, device=device, dtype=torch.long)
                going = [going[row] for row in rows]
                if not going:
                    break
                cache.batch_select_indices(kept)
                luck = luck.of_rows(kept)
                chosen, attention, positions = chosen[kept], attention[kept], positions[kept]
            ids = chosen[:, None]
            attention = torch.cat([attention, attention.new_ones(len(going), 1)], dim=1)
            positions = positions[:, -1:] + 1
        self.model.train(training)
        self.sampled += sum(len(call.ids) for call in calls)

    def _ended(self, call: _Call) -> bool:
        call.stopped = call.ids[-1] == self._end or self._completes(call)
        return call.stopped or len(call.ids) >= call.most

    def _completes(self, call: _Call) -> bool:
        """Whether the newest token completes a stop text; the tail is decoded only where that can be."""
        hopeful = self._hopeful.get((call.ids[-1], call.stop))
        if hopeful is None:
            # A token that completes a text holds its last letter, unless it is a part of a letter or loses its spaces.
            said = self._codec.decode(call.ids[-1:])
            hopeful = tuple(word for word in call.stop if word[-1] in said or not "!" <= word[-1] <= "~")
            self._hopeful[call.ids[-1], call.stop] = hopeful
        if not hopeful:
            return False
        tail = self._codec.decode(call.ids[-_TAIL:])
        return any(word in tail for word in hopeful)


@dataclass(frozen=True, slots=True)
class _Luck:
    """What decides the tokens of B calls that are answered together."""

    uniforms: Tensor
    """[B, most]: a number in [0, 1) for each token."""
    heat: Tensor
    """[B]: temperature, 1 where greedy."""
    greedy: Tensor
    """[B]."""

    @classmethod
    def of(cls, calls: Sequence[_Call], device: torch.device) -> "_Luck":
        """As the calls ask for."""
        return cls(
            nn.utils.rnn.pad_sequence([call.uniforms for call in calls], batch_first=True).to(device),
            torch.tensor([call.temperature or 1.0 for call in calls], device=device),
            torch.tensor([call.temperature == 0 for call in calls], device=device),
        )

    def of_rows(self, rows: Tensor) -> "_Luck":
        """Of some of the calls."""
        return _Luck(self.uniforms[rows], self.heat[rows], self.greedy[rows])

    def choose(self, logits: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """(the next token of each call, its log-probability), both [B], from [B, V].

        By inversion: the first token at which the cumulative probability passes the call's own uniform number.
        """
        logprobs = (logits.float() / self.heat[:, None]).log_softmax(-1)
        cumulative = logprobs.exp().cumsum(-1, dtype=torch.float64)
        drawn = torch.searchsorted(cumulative, self.uniforms[:, step, None] * cumulative[:, -1:], right=True)[:, 0]
        chosen = torch.where(self.greedy, logprobs.argmax(-1), drawn.clamp(max=logits.shape[-1] - 1))
        return chosen, logprobs.gather(-1, chosen[:, None])[:, 0]
