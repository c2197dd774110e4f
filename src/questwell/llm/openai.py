"""Any OpenAI-compatible endpoint as an `LLM`: vLLM, SGLang, llama.cpp, Ollama, OpenAI, Gemini, OpenRouter and others.

Speaks HTTP through httpx2 and not through the openai SDK, which in a trial at 256 in flight added 1.0 ms of CPU to the
1.3 ms that httpx2 took for a call, and whose reply types would hide the malformed replies that `replies.py` sorts. What
a call costs here is in `benchmarks/results/overhead.json`.
The one retry layer is in `OpenAIClient.complete`.
"""

import asyncio
import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx2
import stamina
from pydantic import JsonValue

from questwell.errors import ConfigError, LLMError, LLMTimeout, LLMUnavailable
from questwell.llm.client import Completion, Message, Request, Tool
from questwell.llm.connections import Connections
from questwell.llm.limiter import Limiter, Slot
from questwell.llm.prices import ListPrice, Pricing, Usage
from questwell.llm.replies import Failure, Reply, read_error, read_reply

# stamina logs each retry as a warning, which Python prints on the terminal of anyone who has not set up logging.
logging.getLogger("stamina").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class OpenAIOptions:
    """How to treat an endpoint; the defaults suit most."""

    timeout_s: float = 600.0
    """For one try, from sending to the last byte; a reasoning model may well think for minutes."""
    connect_timeout_s: float = 10.0
    max_retries: int = 6
    """Tries after the first, for failures that may pass."""
    backoff_s: float = 0.5
    """Wait before the first retry; doubles each time, with jitter of the same size."""
    max_wait_s: float = 60.0
    """Longest wait between two tries, also where the endpoint's Retry-After asks for more."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """Name of the chat field that caps the answer. None: `max_completion_tokens` at api.openai.com, whose newer models
    refuse the other, and `max_tokens` elsewhere."""
    omit: frozenset[str] = frozenset()
    """Body fields never sent, such as `temperature` and `seed` for models that refuse them."""
    extra: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """More body fields, such as `{"chat_template_kwargs": {"enable_thinking": false}}`."""
    token_view: bool = False
    """Ask for token ids and log-probabilities (vLLM, SGLang, llama.cpp give them)."""


class OpenAIClient:
    """One model at one endpoint. Belongs to one event loop."""

    def __init__(
        self,
        model: str,
        base_url: str,
        api_key: str | None = None,
        *,
        limiter: Limiter | None = None,
        pricing: Pricing | None = None,
        options: OpenAIOptions | None = None,
    ) -> None:
        """A client of `model` at `base_url` (which mostly ends in /v1).

        Args:
            model: as the endpoint names it.
            base_url: what `/chat/completions` and `/completions` are appended to.
            api_key: sent as a bearer token; None where the endpoint wants none.
            limiter: shared with all other clients of the endpoint; None: its own, 64 calls in flight.
            pricing: None: the public list price.
            options: None: the defaults.

        Raises:
            ConfigError: `base_url` is no http address, or `api_key` has characters that no key has.
        """
        _check(base_url, api_key)
        self._model = model
        self._base_url = base_url.rstrip("/")
        self._chat_url = httpx2.URL(f"{self._base_url}/chat/completions")  # parsed once: parsing is 6 % of a call
        self._completion_url = httpx2.URL(f"{self._base_url}/completions")
        self._api_key = api_key
        self._limiter = limiter or Limiter(64)
        self._pricing = pricing or ListPrice(model, base_url)
        self._options = options or OpenAIOptions()
        headers = {"content-type": "application/json", "user-agent": "questwell"}
        if api_key:
            headers["authorization"] = f"Bearer {api_key}"
        self._connections = Connections(headers, self._options.connect_timeout_s)

    @property
    def name(self) -> str:
        """The model, as the endpoint was asked for it."""
        return self._model

    @property
    def priced(self) -> bool:
        """Whether the price is known; the endpoint must still report usage for a call to have a cost."""
        return self._pricing.cost_usd(Usage(1, 1)) is not None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.aclose()

    async def complete(self, request: Request) -> Completion:
        """The model's answer; `latency_s` is that of the try that gave it, without the wait for a slot.

        Raises:
            LLMUnavailable: not reached, or overloaded or broken, after all retries.
            LLMTimeout: no answer within `timeout_s`, after all retries.
            MalformedReply: no completion in what it sent, after all retries.
            LLMRefused: it will never take this request (key, model, parameter, content filter).
            ContextOverflow: the request is longer than the model's context.
        """
        url = self._chat_url if request.prompt is None else self._completion_url
        body = json.dumps(self._body(request)).encode()
        options = self._options
        tries = stamina.retry_context(
            on=self._wait_before_retry,
            attempts=options.max_retries + 1,
            timeout=None,
            wait_initial=options.backoff_s,
            wait_max=options.max_wait_s,
            wait_jitter=options.backoff_s,
        )
        try:
            async for attempt in tries:
                with attempt:
                    return await self._try(url, body)
        except _TryFailedError as failed:
            raise self._error(failed.failure) from failed.__cause__
        raise AssertionError("stamina gives at least one attempt")

    async def _try(self, url: httpx2.URL, body: bytes) -> Completion:
        async with self._limiter.slot() as slot:
            started = time.perf_counter()
            try:
                async with asyncio.timeout(self._options.timeout_s):
                    response = await self._connections.post(url, body)
            except (TimeoutError, httpx2.TimeoutException) as error:
                slot.overloaded()
                raise _TryFailedError(self._timed_out(error)) from error
            except httpx2.RequestError as error:
                raise _TryFailedError(_cut_off(error)) from error
            latency_s = time.perf_counter() - started
            outcome = self._read(response)
            self._tell(slot, outcome)
        if isinstance(outcome, Failure):
            raise _TryFailedError(outcome)
        return self._completion(outcome, latency_s)

    def _read(self, response: httpx2.Response) -> Reply | Failure:
        if response.is_success:
            return read_reply(response.content)
        return read_error(response.status_code, response.content, self._retry_after_s(response.headers))

    def _tell(self, slot: Slot, outcome: Reply | Failure) -> None:
        if isinstance(outcome, Reply):
            slot.succeeded()
        elif outcome.overloaded:
            slot.overloaded(outcome.retry_after_s)

    def _completion(self, reply: Reply, latency_s: float) -> Completion:
        usage = reply.usage
        return Completion(
            text=reply.text,
            model=reply.model or self._model,
            finish=reply.finish,
            tool_calls=reply.tool_calls,
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
            cost_usd=self._pricing.cost_usd(usage) if usage else None,
            latency_s=latency_s,
            prompt_ids=reply.prompt_ids,
            token_ids=reply.token_ids,
            logprobs=reply.logprobs,
        )

    def _body(self, request: Request) -> dict[str, JsonValue]:
        options = self._options
        body: dict[str, JsonValue] = {"model": self._model, "temperature": request.temperature}
        if request.prompt is not None:
            body["prompt"] = request.prompt
            body["max_tokens"] = request.max_tokens
            if request.schema is not None:  # llama.cpp reads response_format for chat only
                body["json_schema"] = json.loads(request.schema)
        else:
            body["messages"] = [_message(message) for message in request.messages]
            body[options.max_tokens_field or self._default_max_tokens_field()] = request.max_tokens
        if request.stop:
            body["stop"] = list(request.stop)
        if request.seed is not None:
            body["seed"] = request.seed
        if request.schema is not None:
            schema = {"name": "reply", "strict": True, "schema": json.loads(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        if options.token_view:
            body["logprobs"] = 0 if request.prompt is not None else True
            body["return_token_ids"] = True
        body |= options.extra
        return {key: value for key, value in body.items() if key not in options.omit}

    def _default_max_tokens_field(self) -> str:
        host = httpx2.URL(self._base_url).host
        return "max_completion_tokens" if host == "api.openai.com" else "max_tokens"

    def _wait_before_retry(self, error: Exception) -> bool | float:
        """What stamina asks: no retry, its own back-off, or so many seconds."""
        if not isinstance(error, _TryFailedError) or not error.failure.retriable or self._connections.closed:
            return False
        return True if error.failure.retry_after_s is None else error.failure.retry_after_s

    def _retry_after_s(self, headers: httpx2.Headers) -> float | None:
        seconds = retry_after_s(headers.get("retry-after"), datetime.now(UTC))
        return None if seconds is None else min(seconds, self._options.max_wait_s)

    def _timed_out(self, error: Exception) -> Failure:
        if isinstance(error, httpx2.ConnectTimeout):
            what = f"no connection within {self._options.connect_timeout_s:g} s"
            return Failure(LLMUnavailable, what, "check base_url and that the server runs", retriable=True)
        what = f"no answer within {self._options.timeout_s:g} s"
        return Failure(LLMTimeout, what, "raise timeout_s, or lower max_in_flight or max_tokens", retriable=True)

    def _error(self, failure: Failure) -> LLMError:
        after = f" (after {self._options.max_retries} retries)" if failure.retriable else ""
        message = f"{self._model!r} at {_shown(self._base_url)}: {failure.what}{after}; {failure.advice}"
        return failure.kind(message.replace(self._api_key, "***") if self._api_key else message)


class _TryFailedError(Exception):
    """One try failed; never leaves this module."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind.__name__)  # stamina logs it, and a body may quote the key
        self.failure = failure


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks to wait, from seconds or an HTTP date; None when it says neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _cut_off(error: httpx2.RequestError) -> Failure:
    if isinstance(error, httpx2.ConnectError):
        return Failure(
            LLMUnavailable, f"no connection ({error})", "check base_url and that the server runs", retriable=True
        )
    what = f"the connection broke before the whole reply was there ({type(error).__name__}: {error})"
    return Failure(LLMUnavailable, what, "check the server's log", retriable=True)


def _check(base_url: str, api_key: str | None) -> None:
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"base_url {base_url!r} is no address: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError(f"base_url {base_url!r} is no address of the form http://HOST:PORT/v1 or https://...")
    if api_key and not (api_key.isascii() and api_key.isprintable()):
        raise ConfigError(
            f"the API key for {_shown(base_url)} holds a line break or other stray characters; copy it anew"
        )


def _shown(base_url: str) -> str:
    """The address without a password in it."""
    return str(httpx2.URL(base_url).copy_with(userinfo=b""))


def _message(message: Message) -> dict[str, JsonValue]:
    body: dict[str, JsonValue] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def _tool(tool: Tool) -> JsonValue:
    function: dict[str, JsonValue] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": json.loads(tool.parameters),
    }
    return {"type": "function", "function": function}
