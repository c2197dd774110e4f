"""OpenTelemetry spans for plays, agents, model calls and searches. They never contain the text of any message.

Names follow the GenAI semantic conventions (github.com/open-telemetry/semantic-conventions-genai, in development; read
in November 2026). The user's SDK decides where spans go; without one they are dropped.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from questwell.errors import QuestwellError
from questwell.llm.adapting import Adapting
from questwell.llm.client import LLM, Completion, Request
from questwell.retrieval.extras import optional
from questwell.retrieval.retriever import Found
from questwell.store.records import CallKind
from questwell.types.game import Place
from questwell.version import __version__

OPERATION = "gen_ai.operation.name"
WORKFLOW = "gen_ai.workflow.name"
AGENT = "gen_ai.agent.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
MAX_TOKENS = "gen_ai.request.max_tokens"
TEMPERATURE = "gen_ai.request.temperature"
SEED = "gen_ai.request.seed"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
TOOL = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
ERROR = "error.type"
OWN = "questwell."
"""Prefix of attributes that the conventions do not define."""
PROVIDERS: Mapping[str, str] = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "api.mistral.ai": "mistral_ai",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.x.ai": "x_ai",
    "api.cohere.com": "cohere",
    "api.perplexity.ai": "perplexity",
}
"""Provider names of the conventions, by host. Others are named by host; a local model is `questwell`."""

Told = Callable[[object], None]
"""Receives the result of a call."""


class Spans(Protocol):
    """Traces what a run does."""

    def play(self) -> AbstractContextManager[None]:
        """Trace one piece of the run: a play, a question, or an attempt of an evaluation."""
        ...

    def call(self, place: Place, kind: CallKind, llm: LLM, request: Request | None) -> AbstractContextManager[Told]:
        """Trace a call that is made, not replayed; pass its result to the yielded function."""
        ...


class NoSpans:
    """Traces nothing; the default."""

    def play(self) -> AbstractContextManager[None]:
        """See `Spans`."""
        return nullcontext()

    def call(self, place: Place, kind: CallKind, llm: LLM, request: Request | None) -> AbstractContextManager[Told]:
        """See `Spans`."""
        return nullcontext(_untold)


def open_spans(verb: str, *, on: bool) -> Spans:
    """Return the spans of a run of `verb`; raises ConfigError if they are requested but the extra is not installed."""
    return OpenTelemetrySpans(verb) if on else NoSpans()


@dataclass(slots=True)
class _Agents:
    """The agents of the current play."""

    span: Any
    context: Any
    opened: dict[Place, Any] = field(default_factory=dict[Place, Any])
    until: dict[Place, int] = field(default_factory=dict[Place, int])
    """End of each agent's latest call, in ns. Only the end of the play shows which call was an agent's last."""


_PLAY: ContextVar[_Agents | None] = ContextVar("play", default=None)


class OpenTelemetrySpans:
    """Sends spans to the tracer provider that is configured in this process."""

    def __init__(self, verb: str) -> None:
        """Name the spans after the `verb` of the run."""
        self._otel = optional("opentelemetry.trace", "otel")
        self._tracer = self._otel.get_tracer("questwell", __version__)
        self._name = f"questwell.{verb}"

    @contextmanager
    def play(self) -> Generator[None]:
        """See `Spans`: creates `invoke_workflow`, with one `invoke_agent` below it for each agent that made a call."""
        about = {OPERATION: "invoke_workflow", WORKFLOW: self._name}
        span = self._tracer.start_span(f"invoke_workflow {self._name}", attributes=about)
        agents = _Agents(span, self._otel.set_span_in_context(span))
        token = _PLAY.set(agents)
        try:
            yield
        except QuestwellError as error:
            self._fail(span, error)
            raise
        finally:
            _PLAY.reset(token)
            for place, agent in agents.opened.items():
                agent.end(agents.until.get(place))
            span.end()

    @contextmanager
    def call(self, place: Place, kind: CallKind, llm: LLM, request: Request | None) -> Generator[Told]:
        """See `Spans`: creates `chat` or `text_completion` for a model and `execute_tool` for a retriever."""
        agents = _PLAY.get()
        context = self._otel.set_span_in_context(self._agent(agents, place)) if agents else None
        if request is not None:
            operation = "chat" if request.messages else "text_completion"
            name, span_kind = f"{operation} {llm.name}", self._otel.SpanKind.CLIENT
            about = {OPERATION: operation, **_asked(llm, request)}
        else:
            name, span_kind = f"execute_tool {kind.value}", self._otel.SpanKind.INTERNAL
            about = {OPERATION: "execute_tool", TOOL: kind.value, TOOL_TYPE: "datastore"}
        about |= _where(place)
        span = self._tracer.start_span(name, context, span_kind, attributes=about)
        try:
            yield lambda given: span.set_attributes(_given(given))
        except BaseException as error:
            self._fail(span, error)
            raise
        finally:
            span.end()
            if agents:
                agents.until[place] = time.time_ns()

    def _agent(self, agents: _Agents, place: Place) -> Any:  # noqa: ANN401  the API's span
        if place not in agents.opened:
            agents.span.set_attribute(f"{OWN}seed", place.seed)
            about = {OPERATION: "invoke_agent", AGENT: place.role.value, **_where(place)}
            name = f"invoke_agent {place.role.value}"
            agents.opened[place] = self._tracer.start_span(name, agents.context, attributes=about)
        return agents.opened[place]

    def _fail(self, span: Any, error: BaseException) -> None:  # noqa: ANN401
        """Mark `span` as failed with the error's type. Its message may contain conversation text, so it is left out."""
        span.set_attribute(ERROR, type(error).__name__)
        span.set_status(self._otel.StatusCode.ERROR)


def provider(llm: LLM) -> str:
    """Return the provider of a model, as the conventions name it."""
    if not isinstance(llm, Adapting):
        return "questwell"
    host = urlsplit(llm.place.rpartition(" at ")[2]).hostname or "questwell"
    return PROVIDERS.get(host, host)


def _asked(llm: LLM, request: Request) -> dict[str, Any]:
    about = {PROVIDER: provider(llm), REQUEST_MODEL: llm.name, MAX_TOKENS: request.max_tokens}
    return about | _known({TEMPERATURE: request.temperature, SEED: request.seed})


def _where(place: Place) -> dict[str, Any]:
    return {f"{OWN}seed": place.seed, f"{OWN}round": place.round, f"{OWN}attempt": place.attempt}


def _given(given: object) -> dict[str, Any]:
    match given:
        case Completion():
            about = {RESPONSE_MODEL: given.model, FINISH_REASONS: [given.finish.value]}
            tokens = {INPUT_TOKENS: given.prompt_tokens, OUTPUT_TOKENS: given.completion_tokens}
            return about | _known({**tokens, f"{OWN}cost_usd": given.cost_usd})
        case Found():
            return _known({f"{OWN}hits": len(given.hits), f"{OWN}cost_usd": given.cost_usd})
        case _:
            return {}


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _untold(given: object) -> None:
    """Ignore the result of a call."""
