"""`OpenAIClient`: any OpenAI-compatible endpoint (vLLM, SGLang, llama.cpp, Ollama, OpenAI, Gemini, ...) as an `LLM`.

We use aiohttp (`http/connections.py`) and not the openai SDK: in a trial with 256 calls in flight the SDK added 1.0 ms
of CPU per call, and its reply types would hide malformed replies that `replies.py` classifies. The cost of our own call
is in `benchmarks/results/overhead.json`. The only retry layer is in `Endpoint.post`.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

import httpx2
from pydantic import JsonValue

from questwell.errors import ContextOverflow, LLMError, LLMFiltered, LLMRefused, MalformedReply
from questwell.http.retrying import Failure
from questwell.llm.adapting import Manners
from questwell.llm.batches import Batches
from questwell.llm.changes import Body
from questwell.llm.chat_form import message_bodies, tool_body
from questwell.llm.client import Completion, FinishReason, Request
from questwell.llm.context_room import room_in
from questwell.llm.endpoint import Address, Answered, Endpoint, EndpointOptions
from questwell.llm.limiter import Limiter
from questwell.llm.outcomes import Refusal, Spent, caps_of, is_struck, silently_cut, tokens_written, told_cut
from questwell.llm.prices import BatchPricing, ListPrice, Pricing, Usage
from questwell.llm.refusals import PROXY_GAVE_UP, read_error
from questwell.llm.replies import Reply

_LOG = logging.getLogger("questwell")

LEAST_ROOM = 64
"""Minimum tokens left for an answer at which a call refused as too long is repeated with a lower cap."""
_MOST_CHANGES = 12
"""Maximum number of changes to one request before we give up."""


@dataclass(frozen=True, slots=True)
class OpenAIOptions(EndpointOptions):
    """How to call an endpoint; the defaults suit most endpoints."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """Name of the request field that caps the answer. None: `max_completion_tokens` at api.openai.com, whose newer
    models refuse `max_tokens`, and `max_tokens` elsewhere."""
    omit: frozenset[str] = frozenset()
    """Body fields that are never sent. Fields that the endpoint refuses by name are left out automatically."""
    extra: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """More body fields, such as `{"chat_template_kwargs": {"enable_thinking": false}}`; never dropped automatically."""
    reasoning_effort: str | None = None
    """How much the model should think, in the endpoint's words: none, minimal, low, medium or high."""
    max_tokens: int | None = None
    """Maximum tokens of every answer; replaces the maximum in each request."""
    temperature: float | None = None
    """Sampling temperature of every call; replaces the temperature in each request."""
    stream: bool = False
    """Whether to ask for a stream; needed behind proxies that close a connection after a silent minute."""
    token_view: bool = False
    """Whether to ask for token ids and log-probabilities (vLLM, SGLang and llama.cpp return them)."""


class OpenAIClient:
    """A client of one model at one endpoint. Belongs to one event loop."""

    def __init__(
        self,
        model: str,
        base_url: str,
        api_key: str | None = None,
        *,
        limiter: Limiter | None = None,
        pricing: Pricing | None = None,
        options: OpenAIOptions | None = None,
        manners: Manners | None = None,
        more: Sequence[Address] = (),
    ) -> None:
        """Use `model` at `base_url`, which usually ends in /v1.

        Args:
            model: the endpoint's name for the model.
            base_url: address to which `/chat/completions` and `/completions` are appended.
            api_key: key to send as a bearer token; None if the endpoint needs none.
            limiter: limiter shared with other clients of the endpoint; None for a new one of 64 calls in flight.
            pricing: price of the model; None for the public list price.
            options: how to call the endpoint; None for the defaults.
            manners: known changes to requests, shared by all clients of this model and endpoint; None for none.
            more: more addresses that serve the same model; calls are spread over all of them.

        Raises:
            ConfigError: `base_url` is not an http address, or `api_key` contains characters that no key contains.
        """
        self._model = model
        self.limiter = limiter or Limiter(64)
        """Limits the calls in flight at the endpoint (at the first address if there are several)."""
        self._options = options or OpenAIOptions()
        self._endpoint = Endpoint(model, base_url, api_key, self.limiter, self._options, more)
        self._shown = self._endpoint.shown
        self._max_tokens_field = self._options.max_tokens_field or _usual_max_tokens_field(self._endpoint.base_url)
        effort = ("reasoning_effort",) if self._options.reasoning_effort else ()
        self.manners = manners or Manners((*self._options.extra, *effort))
        """Changes to requests that this endpoint is known to need for this model."""
        self._pricing = pricing or ListPrice(model, base_url)

    @property
    def name(self) -> str:
        """The model name that is sent to the endpoint."""
        return self._model

    @property
    def place(self) -> str:
        """Model and address (without a password), as they are shown and recorded: `MODEL at URL`."""
        return f"{self._model} at {self._shown}"

    @property
    def address(self) -> str:
        """The endpoint's address without a password."""
        return self._shown

    @property
    def priced(self) -> bool:
        """Whether the price is known; the endpoint must still report usage for a call to have a cost."""
        return self._pricing.cost_usd(Usage(1, 1)) is not None

    def quote(self, usage: Usage) -> float | None:
        """What `usage` would cost in US dollars; None when the price is not known."""
        return self._pricing.cost_usd(usage)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._endpoint.aclose()

    async def complete(self, request: Request) -> Completion:
        """The model's answer. Its `latency_s` is the time of the successful try, without the wait for a slot.

        If a refusal names a parameter, the request is changed and sent again; the change is kept for this model and
        endpoint. The changes are in `adapted`. Tokens and cost of rejected replies are added to those of the answer.

        Raises:
            LLMUnavailable: after all retries the endpoint was not reached, or was overloaded or broken.
            LLMTimeout: after all retries there was no answer within `timeout_s`.
            MalformedReply: after all retries the endpoint's reply contained no completion.
            LLMRefused: the endpoint will never accept this request, because of its key, model or a parameter.
            LLMFiltered: the endpoint's content filter refuses this text.
            ContextOverflow: the request is longer than the model's context.
        """
        spent = Spent(self._pricing)
        try:
            answered = await self._ask(request, spent)
        except LLMError as error:
            error.paid_tokens, error.paid_usd = (spent.prompt_tokens, spent.completion_tokens), spent.cost_usd
            raise
        return self._completion(answered.result, answered.latency_s, spent)

    @property
    def batches(self) -> Batches:
        """A client of the endpoint's batch API; the endpoint may not have one."""
        return Batches(self._endpoint)

    def batch_body(self, request: Request) -> tuple[str, Body]:
        """(path, body) of `request` as one call of a batch."""
        body = {key: value for key, value in self._body(request).items() if key not in ("stream", "stream_options")}
        return f"/v1/{'chat/completions' if request.prompt is None else 'completions'}", body

    def batch_reply(self, request: Request, status: int, content: bytes) -> Completion:
        """A batch's answer to `request`, at the price of batches. After a refusal the next batch sends it changed.

        Raises:
            LLMError: as for `complete`, but without retries.
        """
        body = self.batch_body(request)[1]
        spent, refusal = Spent(BatchPricing(self._pricing)), Refusal()
        try:
            reply = spent.reading(refusal)(content) if 200 <= status < 300 else read_error(status, content)
            if isinstance(reply, Failure):
                if status >= 400:
                    refusal.hear(status, content)
                    self.manners.learn(body, refusal.text, refusal.param)
                raise reply.kind(f"{self._model!r} at {self._shown}: {reply.what}; {reply.advice}")
            reply = told_cut(reply, body)
            self._check_whole(reply, body, spent)
            if is_struck(reply, body):
                self.manners.learn_by_itself("omit stop")
                spent.add(reply.usage)
                raise MalformedReply(f"{self._model!r} at {self._shown}: a stop text ended the reply inside a thought")
        except LLMError as error:
            error.paid_tokens, error.paid_usd = (spent.prompt_tokens, spent.completion_tokens), spent.cost_usd
            raise
        return self._completion(reply, 0.0, spent)

    async def _ask(self, request: Request, spent: Spent) -> Answered[Reply]:
        path = "chat/completions" if request.prompt is None else "completions"
        cap: int | None = None
        for _ in range(_MOST_CHANGES):
            for change in self.manners.news():
                _LOG.warning("%s at %s refuses the request as it is; from now on: %s", self._model, self._shown, change)
            known = self.manners.changes
            body = self._body(request, cap)
            refusal = Refusal()
            try:
                answered = await self._endpoint.post(
                    path, json.dumps(body).encode(), spent.reading(refusal), self._refusing(refusal, body)
                )
            except ContextOverflow:
                room = room_in(refusal.text)
                asked = cap or self._cap(request)
                if room is None or not LEAST_ROOM <= room.left < asked:
                    raise
                if room.left < room.context // 2 or not self.manners.learn_by_itself(f"cap {room.context // 2}"):
                    cap = room.left if room.exact else room.left // 2
                continue
            except LLMError as error:
                final = not isinstance(error, LLMRefused) or isinstance(error, LLMFiltered)
                if refusal.status == PROXY_GAVE_UP and not body.get("stream"):
                    self.manners.learn_by_itself("stream")
                    continue
                if final or not self.manners.learn(body, refusal.text, refusal.param, known):
                    raise
                continue
            reply = told_cut(answered.result, body)
            self._check_whole(reply, body, spent)
            if is_struck(reply, body):  # the next body has no stop, even if another call learnt that
                self.manners.learn_by_itself("omit stop")
                spent.add(reply.usage)
                continue
            return replace(answered, result=reply)
        raise LLMRefused(
            f"{self._model!r} at {self._shown} still refuses the request after {_MOST_CHANGES} changes to it: "
            f"{', '.join(self.manners.changes)}; use --omit to name the fields that it does not accept"
        )

    def _refusing(self, refusal: Refusal, body: Body) -> Callable[[int, bytes, float | None], Failure[LLMError]]:
        def refuse(status: int, content: bytes, wait_s: float | None) -> Failure[LLMError]:
            refusal.hear(status, content)
            failure = read_error(status, content, wait_s)
            if status == PROXY_GAVE_UP and not body.get("stream"):  # it would be cut off again, so ask for a stream
                return replace(failure, retriable=False)
            return failure

        return refuse

    def _cap(self, request: Request) -> int:
        return self._options.max_tokens or request.max_tokens

    def _check_whole(self, reply: Reply, body: Body, spent: Spent) -> None:
        """Raise ContextOverflow if the endpoint silently cut the prompt, or the prompt left no room for an answer."""
        least = silently_cut(reply, body)
        if least is not None and reply.usage is not None:
            cut = (
                f"it read only {reply.usage.prompt_tokens:,} tokens of a prompt of at least {least:,}, without an error"
            )
            advice = "serve a longer context (Ollama: OLLAMA_CONTEXT_LENGTH, or num_ctx in a Modelfile)"
        elif self._is_overflow(reply, body):
            cut = f"the answer was cut off after {tokens_written(reply)} tokens, before it said anything"
            advice = "the prompt fills the context: shorten the prompt, or serve a longer context"
        else:
            return
        spent.add(reply.usage)
        raise ContextOverflow(f"{self._model!r} at {self._shown}: {cut}; {advice}")

    def _is_overflow(self, reply: Reply, body: Body) -> bool:
        """Whether the reply was cut off because the context is full, not because of the cap on the answer.

        A reply with a thought does not count: some servers limit the length of thoughts.
        """
        caps = caps_of(body)
        said = reply.text.strip() or reply.reasoning or reply.tool_calls
        cut = reply.finish is FinishReason.LENGTH and not said
        return cut and bool(caps) and reply.usage is not None and tokens_written(reply) < min(caps)

    def _completion(self, reply: Reply, latency_s: float, spent: Spent) -> Completion:
        spent.add(reply.usage)
        return Completion(
            text=reply.text,
            model=reply.model or self._model,
            finish=reply.finish,
            tool_calls=reply.tool_calls,
            reasoning=reply.reasoning,
            carry=reply.carry,
            adapted=self.manners.changes,
            prompt_tokens=spent.prompt_tokens if reply.usage else None,
            completion_tokens=spent.completion_tokens if reply.usage else None,
            cost_usd=spent.cost_usd if reply.usage else None,
            latency_s=latency_s,
            prompt_ids=reply.prompt_ids,
            token_ids=reply.token_ids,
            logprobs=reply.logprobs,
        )

    def _body(self, request: Request, cap: int | None = None) -> Body:
        options = self._options
        most = cap or self._cap(request)
        temperature = request.temperature if options.temperature is None else options.temperature
        body: Body = {"model": self._model, "temperature": temperature}
        if request.prompt is not None:
            body["prompt"] = request.prompt
            body["max_tokens"] = most
            if request.schema is not None:  # llama.cpp reads response_format only in chat requests
                body["json_schema"] = json.loads(request.schema)
        else:
            back = self.manners.reasoning_field
            body["messages"] = cast(JsonValue, message_bodies(request.messages, back))
            body[self._max_tokens_field] = most
        if request.stop:
            body["stop"] = list(request.stop)
        if request.seed is not None:
            body["seed"] = request.seed
        if request.schema is not None:
            schema = {"name": "reply", "strict": True, "schema": json.loads(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.tools:
            body["tools"] = [tool_body(tool) for tool in request.tools]
        if options.token_view:
            body["logprobs"] = 0 if request.prompt is not None else True
            body["return_token_ids"] = True
        if options.reasoning_effort:
            body["reasoning_effort"] = options.reasoning_effort
        if options.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        body |= options.extra
        return self.manners.adapt({key: value for key, value in body.items() if key not in options.omit})


def _usual_max_tokens_field(base_url: str) -> str:
    return "max_completion_tokens" if httpx2.URL(base_url).host == "api.openai.com" else "max_tokens"
