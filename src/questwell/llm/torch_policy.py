"""`TorchPolicy`: a Hugging Face causal language model in this process as a `Policy`. Needs torch; imported lazily.

Continuous batching: a call joins the others as soon as a row is free, and leaves when its message ends. The keys and
values of a dialogue stay in its row while it searches, so its next turn reads only new tokens. A call's seed fixes
what it samples; that does not depend on the other calls in its steps.
"""

# torch and transformers are only partly typed; what this file returns is typed by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from questwell.errors import LLMUnavailable
from questwell.llm.codec import ChatCodec
from questwell.llm.decoding import Call, DecodingState, RecordedStep, StopTexts, common_length, sliding_window, stops_of
from questwell.llm.policy import TokenOutput
from questwell.llm.row_cache import RowCache, attention_mask, sliding_mask

_PREFILL_TOKENS = {"cpu": 2048, "cuda": 16_384}
"""Maximum number of prompt tokens in one pass, padding included."""
_PATIENCE = {"cpu": 0, "cuda": 4}
"""Number of steps that a finished call waits for others: a GPU reads several prompts as fast as one."""


class TorchPolicy:
    """Samples from a model in this process. Implements `Policy`; belongs to one event loop at a time."""

    def __init__(self, model: nn.Module, codec: ChatCodec, *, rows: int = 64, graphs: bool = True) -> None:
        """Sample from `model`, a causal language model, with the weights that it has at each call.

        Args:
            model: the model; its weights may change between calls, but not during a call.
            codec: encodes dialogues and knows the tokens that end a message.
            rows: number of dialogues sampled at the same time; twice as many keep their rows while they search.
            graphs: whether to record a step once and replay it (CUDA graphs); only on a GPU.

        Raises:
            ConfigError: a layer of the model has a state other than keys and values.
        """
        self.model = model
        self.sampled = 0
        """Number of tokens sampled so far."""
        self.read = 0
        """Number of prompt tokens that the model has read so far."""
        self.steps = 0
        """Number of decoding steps so far."""
        self._end = codec.end
        self._ends = codec.ends | stops_of(model)
        self._stops = StopTexts(codec)
        self._most_rows = rows
        self._waiting: list[Call] = []
        self._active: list[Call] = []
        """The calls that are being sampled; call i is in row i of the cache."""
        self._cache = RowCache()
        self._weights = -1
        self._window = sliding_window(cast(PreTrainedModel, model))
        self._state: DecodingState | None = None
        self._serving: asyncio.Task[None] | None = None
        self._unseeded = torch.Generator().manual_seed(0)
        self._clock = 0
        self._graphs: dict[tuple[int, int, int], RecordedStep] = {}
        self._records = graphs

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> TokenOutput:
        """A sampled continuation. It ends with the token that completes a stop text, or with end-of-sequence.

        Raises:
            ValueError: the parameters would change the distribution, and the log-probabilities would be wrong.
        """
        if {"top_p", "top_k", "min_p", "repetition_penalty"} & sampling_params.keys():
            raise ValueError("a policy samples from the whole distribution: only temperature may be set")
        most = int(sampling_params["max_tokens"])
        seed = sampling_params.get("seed")
        generator = self._unseeded if seed is None else torch.Generator().manual_seed(int(seed))
        call = Call(
            request_id=request_id,
            prompt=prompt_ids,
            most=most,
            temperature=float(sampling_params.get("temperature", 1.0)),
            stop=tuple(sampling_params.get("stop") or ()),
            uniforms=torch.rand(most, generator=generator, dtype=torch.float64),
            done=asyncio.get_running_loop().create_future(),
        )
        self._waiting.append(call)
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return await call.done

    def forget(self) -> None:
        """Free the memory of the cache, unless a recorded step needs it."""
        if self._graphs:
            self._cache.forget()
        else:
            self._cache = RowCache()

    async def _serve(self) -> None:
        """Sample for all calls until there are no more."""
        try:
            while self._waiting or self._active:
                await self._gather()
                free = self._most_rows - len(self._active)
                arrivals, self._waiting = self._waiting[:free], self._waiting[free:]
                try:
                    finished = await asyncio.to_thread(self._work, arrivals)
                except BaseException as error:  # every error goes to the callers, who raise it
                    failed, self._active = [*self._active, *arrivals], []
                    self._cache, self._state, self._graphs = RowCache(), None, {}
                    for call in failed:
                        if not call.done.done():
                            call.done.set_exception(error)
                    if not isinstance(error, Exception):
                        raise
                    continue
                for call in finished:
                    if not call.done.done():  # its rollout may have been cancelled
                        reason = "stop" if call.stopped else "length"
                        call.done.set_result(TokenOutput(call.ids, call.logprobs, reason))
        finally:
            self._serving = None

    async def _gather(self) -> None:
        """Wait for rollouts that are about to call, until a turn of the event loop brings no new call."""
        before = -1
        while before < len(self._waiting) < self._most_rows - len(self._active):
            before = len(self._waiting)
            for _ in range(8):  # a rollout needs a few turns of the event loop from a search to its next call
                await asyncio.sleep(0)

    def _work(self, arrivals: list[Call]) -> list[Call]:
        """Admit `arrivals`, then step until a call has finished or others wait; returns the finished calls."""
        device = self._device
        with torch.no_grad(), torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            return self._work_on(arrivals)

    def _work_on(self, arrivals: list[Call]) -> list[Call]:
        training = self.model.training
        self.model.eval()
        try:
            self._note_weights()
            self._drop([at for at, call in enumerate(self._active) if call.done.done()])  # its rollout was cancelled
            self._admit(arrivals)
            finished = self._drop_ended()
            patience = _PATIENCE.get(self._device.type, 0)
            while self._active:
                if finished and patience <= 0:
                    break
                if finished or (self._waiting and len(self._active) < self._most_rows):
                    if patience <= 0:
                        break
                    patience -= 1
                self._step()
                finished += self._drop_ended()
            return finished
        finally:
            self.model.train(training)

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _note_weights(self) -> None:
        """Drop what was computed with other weights; torch counts every in-place change of a tensor."""
        now = sum(weight._version for weight in self.model.parameters())  # pyright: ignore[reportPrivateUsage]
        if now != self._weights:
            self._weights = now
            self._cache.forget()

    def _admit(self, arrivals: Sequence[Call]) -> None:
        """Read the new part of each prompt in `arrivals` and sample the first token of each call."""
        if not arrivals:
            return
        # Attempts at one question have the same opening: it is read once and copied to the others.
        openings = {tuple(row.opening) for row in self._cache.rows if row.ids}
        first: list[Call] = []
        alike: list[Call] = []
        for call in arrivals:
            opening = tuple(call.prompt)
            (alike if opening in openings else first).append(call)
            openings.add(opening)
        for wave in (first, alike):
            start = len(self._active)
            for call in wave:
                self._seat(call)
            self._read(range(start, len(self._active)))
        self._state = None

    def _seat(self, call: Call) -> None:
        """Assign the next row to `call`, with the part of its dialogue that is already in the cache."""
        place, cache = len(self._active), self._cache
        cache.reserve(min(2 * self._most_rows, max(len(cache.rows), place + 1)), len(call.prompt) + 1)
        continued = [
            (len(row.ids), row.owner == call.request_id, at)
            for at, row in enumerate(cache.rows[place:], place)
            if row.ids and row.ids == call.prompt[: len(row.ids)]
        ]
        cache.swap(max(continued)[2] if continued else self._free_row(place), place)
        row = cache.rows[place]
        if continued:
            row.ids = row.ids[: len(call.prompt) - 1]  # the newest token is always read, to get the logits after it
        else:
            row.opening = list(call.prompt)
            alike = (at for at, other in enumerate(cache.rows) if at != place and other.opening == row.opening)
            if (source := next(alike, None)) is not None:
                known = min(common_length(cache.rows[source].ids, call.prompt), len(call.prompt) - 1)
                cache.share(source, place, known)
        self._clock += 1
        row.owner, row.used = call.request_id, self._clock
        call.cached = len(row.ids)
        self._active.append(call)

    def _free_row(self, place: int) -> int:
        """A row at or after `place` to use: an empty one, a new one, or the one that was used longest ago."""
        rows = self._cache.rows
        free = next((at for at in range(place, len(rows)) if not rows[at].ids), None)
        if free is None and len(rows) < 2 * self._most_rows:
            free = len(rows)
            self._cache.reserve(min(2 * self._most_rows, max(8, 2 * len(rows))), self._cache.capacity)
        if free is None:
            free = min(range(place, len(rows)), key=lambda at: rows[at].used)
        rows[free].ids, rows[free].opening = [], []
        return free

    def _read(self, places: Sequence[int]) -> None:
        """Run the new tokens of the prompts at `places` through the model, grouped by similar length."""

        def fresh(at: int) -> int:
            return len(self._active[at].prompt) - self._active[at].cached

        most = _PREFILL_TOKENS.get(self._device.type, 2048)
        together: list[int] = []
        for at in sorted(places, key=fresh):
            padded, real = fresh(at) * (len(together) + 1), fresh(at) + sum(map(fresh, together))
            if together and (padded > most or padded > 1.3 * real):
                self._read_together(together)
                together = []
            together.append(at)
        if together:
            self._read_together(together)

    def _read_together(self, places: Sequence[int]) -> None:
        device, calls = self._device, [self._active[at] for at in places]
        fresh = [call.prompt[call.cached :] for call in calls]
        width = max(map(len, fresh))
        ids = torch.tensor([new + [0] * (width - len(new)) for new in fresh], device=device)  # [rows, width]
        starts = torch.tensor([call.cached for call in calls], device=device)
        positions = starts[:, None] + torch.arange(width, device=device)  # [rows, width]
        span = max(call.cached for call in calls) + width
        self._cache.reserve(len(self._cache.rows), span)
        last = torch.tensor([len(new) - 1 for new in fresh], device=device)
        logits = self._forward(torch.tensor(places, device=device), ids, positions, span, last)
        for at, call in zip(places, calls, strict=True):
            self._cache.rows[at].ids = list(call.prompt)
        self._choose(DecodingState.of(calls, device), calls, logits)
        self.read += sum(map(len, fresh))

    def _forward(self, rows: slice | Tensor, ids: Tensor, positions: Tensor, span: int, last: Tensor | None) -> Tensor:
        """Logits [rows, V] after the token at `last` [rows] in each row of `ids` [rows, width]; None if width is 1."""
        self._cache.aim(rows, positions, span)
        dtype = next(self.model.parameters()).dtype
        mask: Any = attention_mask(positions, span, dtype)
        if self._window is not None:
            mask = {"full_attention": mask, "sliding_attention": sliding_mask(positions, span, dtype, self._window)}
        keep: Any = 1
        if last is not None:
            keep = torch.arange(int(last.min()), ids.shape[1], device=ids.device)
        logits = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=keep,
        ).logits
        if last is None:
            return logits[:, -1]
        return logits[torch.arange(len(last), device=ids.device), last - last.min()]

    def _step(self) -> None:
        """Sample one token for every active call."""
        count, device = len(self._active), self._device
        if self._state is None:
            self._state = DecodingState.of(self._active, device)
        state, rows = self._state, self._cache.rows
        span = max(len(row.ids) for row in rows[:count]) + 1
        self._cache.reserve(len(rows), span)
        if device.type == "cuda" and self._records:
            logits = self._replay(state, span)
        else:
            logits = self._forward(slice(0, count), state.tokens[:, None], state.positions[:, None], span, None)
        for row, call in zip(rows, self._active, strict=False):
            row.ids.append(call.ids[-1])
        self._choose(state, self._active, logits)
        self.steps += 1

    def _replay(self, state: DecodingState, span: int) -> Tensor:
        """Logits of a step by `_forward` that is recorded once per (number of rows, span) and then replayed."""
        count = len(self._active)
        rows = next((size for size in (8, 16, 32) if size >= count), self._most_rows)
        rows = min(max(rows, count), 2 * self._most_rows)
        span = -(-span // 512) * 512
        cache = self._cache
        cache.reserve(rows, max(span, 1 + max(len(row.ids) for row in cache.rows)))
        lengths = [len(row.ids) for row in cache.rows[:rows]]  # rows that wait are written after their end
        key = rows, span, cache.version
        if key not in self._graphs:
            self._graphs = {old: graph for old, graph in self._graphs.items() if old[2] == key[2]}
            self._graphs[key] = RecordedStep(self._forward, lengths, span, state.tokens.device)
        return self._graphs[key].replay(state, lengths[count:])[:count]

    def _choose(self, state: DecodingState, calls: Sequence[Call], logits: Tensor) -> None:
        chosen, logprobs = state.choose(logits)
        if not bool(logprobs.isfinite().all()):
            raise LLMUnavailable("the model's log-probabilities are not finite: its weights or its cache are damaged")
        for call, token, logprob in zip(calls, chosen.tolist(), logprobs.tolist(), strict=True):
            call.ids.append(token)
            call.logprobs.append(logprob)
        self.sampled += len(calls)

    def _drop_ended(self) -> list[Call]:
        return self._drop([at for at, call in enumerate(self._active) if self._ended(call)])

    def _drop(self, places: Sequence[int]) -> list[Call]:
        """Remove the calls at `places` from the active rows. Their dialogues stay in the cache, after those rows."""
        dropped: list[Call] = []
        for at in reversed(places):
            last = len(self._active) - 1
            self._cache.swap(at, last)
            self._active[at], self._active[last] = self._active[last], self._active[at]
            dropped.append(self._active.pop())
        if dropped:
            self._state = None
        return dropped

    def _ended(self, call: Call) -> bool:
        call.stopped = call.ids[-1] in self._ends or self._stops.complete(call)
        return call.stopped or len(call.ids) >= call.most
