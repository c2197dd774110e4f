"""Token-in/token-out models as an `LLM`: what is trained is what was sampled.

A `Policy` continues token ids. `PolicyClient` makes an `LLM` of one, so that the agents' usual loop can play it. A
message that the model wrote keeps its ids (`Message.token_ids`) and is never encoded again; each opening and each
observation is encoded once, on its own. So every prompt is the previous prompt with ids appended.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

from questwell.errors import ConfigError, ContextOverflow, LLMUnavailable
from questwell.llm.client import Completion, FinishReason, Request
from questwell.llm.codec import ChatCodec


class SamplingParams(TypedDict, total=False):
    """Sampling parameters; the keys have the names that vLLM and verl use."""

    max_tokens: int
    temperature: float
    """Sampling temperature; 0 takes the most likely token each time."""
    stop: list[str]
    """Texts that end the message; the token that completes one of them is kept."""
    include_stop_str_in_output: bool
    """Always true: otherwise vLLM would drop the stop text."""
    seed: int
    """Fixes the sampling of this call."""
    logprobs: bool


@dataclass(frozen=True, slots=True)
class TokenOutput:
    """The tokens that a policy sampled for one call. verl's type of this name has the same fields."""

    token_ids: Sequence[int]
    """Sampled token ids, including the end-of-sequence token if it was sampled."""
    log_probs: Sequence[float] | None = None
    """Natural log-probability of each token under the sampling distribution (after temperature)."""
    stop_reason: str | None = None
    """`stop`, `length`, `completed` (one of these two), or `aborted`; None if the engine does not report it."""


class Policy(Protocol):
    """A model that continues token ids: verl's server manager, or `TorchPolicy` in this process."""

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> TokenOutput:
        """A sampled continuation of `prompt_ids`.

        Args:
            request_id: the same for all calls of one rollout, so that an engine can keep its cache of the prefix.
            prompt_ids: token ids of the whole dialogue so far.
            sampling_params: parameters with the keys of `SamplingParams`.
        """
        ...


class PolicyClient:
    """Connects one rollout to a policy. Implements `LLM`; it is cheap, so create one per rollout.

    Its completions have `prompt_ids`, `token_ids` and `logprobs`, from which the loop builds the `TokenView`.
    """

    def __init__(
        self,
        policy: Policy,
        codec: ChatCodec,
        *,
        name: str = "policy",
        context_tokens: int = 32_768,
        request_id: str | None = None,
        sampling: Mapping[str, Any] | None = None,
    ) -> None:
        """Sample from `policy`.

        Args:
            policy: the model that samples.
            codec: encodes dialogues as token ids.
            name: name of the model to record.
            context_tokens: maximum tokens of prompt and answer together; a longer dialogue raises `ContextOverflow`.
            request_id: id of the rollout; None for a new id.
            sampling: sampling parameters, such as top_p, that override those of every request.
        """
        self._policy = policy
        self._codec = codec
        self._name = name
        self._context_tokens = context_tokens
        self._request_id = request_id or uuid.uuid4().hex
        self._sampling = dict(sampling or {})

    @property
    def name(self) -> str:
        """Name of the model, as it is recorded."""
        return self._name

    @property
    def priced(self) -> bool:
        """True: sampling from a policy costs nothing."""
        return True

    async def complete(self, request: Request) -> Completion:
        """The policy's answer.

        Raises:
            ConfigError: the request asks for function calls or a schema, which a policy does not support.
            ContextOverflow: the dialogue fills the context.
            LLMUnavailable: the engine aborted the call, or returned no tokens or no log-probabilities.
        """
        if request.tools or request.schema:
            raise ConfigError("a policy writes only plain text: use --protocol tags and no schema")
        prompt = self._prompt(request)
        room = self._context_tokens - len(prompt)
        if room < 1:
            raise ContextOverflow(f"the dialogue has {len(prompt)} tokens, the context only {self._context_tokens}")
        most = min(room, request.max_tokens)
        started = time.perf_counter()
        output = await self._policy.generate(
            self._request_id, prompt_ids=list(prompt), sampling_params=self._params(request, most)
        )
        if output.stop_reason == "aborted":
            raise LLMUnavailable("the engine aborted the call")
        return self._completion(prompt, output, request.stop, most, time.perf_counter() - started)

    async def aclose(self) -> None:
        """Release nothing: the policy belongs to the caller."""

    def _prompt(self, request: Request) -> tuple[int, ...]:
        if request.prompt is not None:
            return tuple(self._codec.message(request.prompt, ends=False))
        return self._codec.encode(request.messages)

    def _params(self, request: Request, most: int) -> dict[str, Any]:
        params = SamplingParams(
            max_tokens=most,
            temperature=request.temperature,
            stop=list(request.stop),
            include_stop_str_in_output=True,
            logprobs=True,
        )
        if request.seed is not None:
            params["seed"] = request.seed
        return {**params, **self._sampling}

    def _completion(
        self, prompt: tuple[int, ...], output: TokenOutput, stop: tuple[str, ...], most: int, latency_s: float
    ) -> Completion:
        ids = tuple(output.token_ids)[:most]
        if output.log_probs is None or len(output.log_probs) < len(ids):
            raise LLMUnavailable("the engine did not return a log-probability for each token: turn logprobs on")
        if not ids:
            raise LLMUnavailable("the engine returned no token")
        length, text, stopped = self._until(ids, stop)
        stopped = stopped or ids[length - 1] in self._codec.ends
        return Completion(
            text=text,
            model=self._name,
            finish=FinishReason.STOP if stopped else FinishReason.LENGTH,
            prompt_tokens=len(prompt),
            completion_tokens=length,
            cost_usd=0.0,
            latency_s=latency_s,
            prompt_ids=prompt,
            token_ids=ids[:length],
            logprobs=tuple(float(value) for value in output.log_probs[:length]),
        )

    def _until(self, ids: tuple[int, ...], stop: tuple[str, ...]) -> tuple[int, str, bool]:
        """(number of tokens up to the end of the first stop text, the text before it, whether there is a stop text).

        The engine should have stopped there. If it did not, the rest is not part of the message.
        """
        text = self._codec.decode(ids)
        if not any(word in text for word in stop):
            return len(ids), text, False
        low, high = 1, len(ids)  # search for the shortest beginning that contains a stop text
        while low < high:
            middle = (low + high) // 2
            if any(word in self._codec.decode(ids[:middle]) for word in stop):
                high = middle
            else:
                low = middle + 1
        text = self._codec.decode(ids[:low])
        return low, text[: min(at for word in stop if (at := text.find(word)) >= 0)], True
