"""OpenTelemetry spans: whose children they are, what they say by which names, and what they never say."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import world
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.trace import SpanKind, StatusCode

from questwell.errors import LLMUnavailable
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate.loop import generate
from questwell.recipes.runs import spans as module
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Ending
from questwell.store.reader import RunReader

Traced = Callable[[], list[ReadableSpan]]


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Traced:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace.get_tracer", provider.get_tracer)

    def take() -> list[ReadableSpan]:
        found = list(exporter.get_finished_spans())
        exporter.clear()
        return found

    return take


async def play(library: Path, run: Path, llm: ScriptedLLM | None = None, **keys: Any) -> Ending:
    config = world.config(library, **keys)
    return (await generate(config, run, world.setup(config, llm), Caller(resume=True))).ending


def operation(span: ReadableSpan) -> object:
    return (span.attributes or {})[module.OPERATION]


def test_names_are_those_of_the_semantic_conventions() -> None:
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    ours = {value for value in vars(module).values() if isinstance(value, str) and value.startswith("gen_ai.")}
    assert len(ours) == 14 and ours <= known
    assert error_attributes.ERROR_TYPE == module.ERROR
    providers = {one.value for one in gen_ai_attributes.GenAiProviderNameValues}
    assert set(module.PROVIDERS.values()) <= providers


async def test_off_by_default(library: Path, tmp_path: Path, traced: Traced) -> None:
    await play(library, tmp_path / "run", seeds=2)
    assert traced() == []


async def test_a_span_for_each_play_agent_call_and_search(library: Path, tmp_path: Path, traced: Traced) -> None:
    run = tmp_path / "run"
    await play(library, run, seeds=4, spans=True)
    spans = traced()
    by_id = {span.context.span_id: span for span in spans}

    def above(span: ReadableSpan) -> object:
        return operation(by_id[span.parent.span_id]) if span.parent else None

    with closing(sqlite3.connect(run / "run.sqlite")) as file:
        calls = list(file.execute("SELECT kind, prompt_tokens, completion_tokens FROM calls"))
        places = list(file.execute("SELECT DISTINCT seed, round, role, attempt FROM calls"))
    plays = [span for span in spans if operation(span) == "invoke_workflow"]
    agents = [span for span in spans if operation(span) == "invoke_agent"]
    models = [span for span in spans if operation(span) == "chat"]
    tools = [span for span in spans if operation(span) == "execute_tool"]
    assert len(spans) == len(plays) + len(agents) + len(models) + len(tools)
    assert {span.name for span in plays} == {"invoke_workflow questwell.generate"} and len(plays) == 4
    assert len(agents) == len(places)
    assert len(models) == sum(kind == "llm" for kind, _, _ in calls) > 0
    assert len(tools) == sum(kind == "search" for kind, _, _ in calls) > 0
    assert [*map(above, plays)] == [None] * 4
    assert {*map(above, agents)} == {"invoke_workflow"} and {*map(above, (*models, *tools))} == {"invoke_agent"}
    assert {span.kind for span in models} == {SpanKind.CLIENT} and {span.name for span in tools} == {
        "execute_tool search"
    }
    for span in spans:
        assert span.status.status_code is StatusCode.UNSET
        outer = by_id[span.parent.span_id] if span.parent else span
        assert outer.start_time <= span.start_time <= span.end_time <= outer.end_time
    tokens = sum((span.attributes or {})[module.INPUT_TOKENS] for span in models)
    assert tokens == sum(count or 0 for _, count, _ in calls)
    assert sum((span.attributes or {})[module.OUTPUT_TOKENS] for span in models) == sum(
        count or 0 for _, _, count in calls
    )


async def test_no_span_holds_what_was_said(library: Path, tmp_path: Path, traced: Traced) -> None:
    run = tmp_path / "run"
    await play(library, run, seeds=3, spans=True)
    whole = "\n".join(span.to_json() for span in traced())
    with RunReader(run) as reader:
        plays = list(reader.plays())
    assert plays and not any(one.question and one.question in whole for one in plays)
    allowed = {"questwell.seed", "questwell.round", "questwell.attempt", "questwell.hits", "questwell.cost_usd"}
    await play(library, run, seeds=6, spans=True)
    named = {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}
    assert {name for span in traced() for name in span.attributes or {}} <= allowed | named


async def test_a_replayed_call_has_no_span(library: Path, tmp_path: Path, traced: Traced) -> None:
    run = tmp_path / "run"
    await play(library, run, seeds=3, spans=True)
    traced()
    assert await play(library, run, seeds=3, spans=True) is Ending.COMPLETE
    assert traced() == []


async def test_a_failed_call_says_its_kind_and_not_its_message(library: Path, tmp_path: Path, traced: Traced) -> None:
    def fails(request: Request) -> Completion:
        raise LLMUnavailable("a secret of the endpoint")

    await play(library, tmp_path / "run", ScriptedLLM(fails), seeds=1, spans=True)
    spans = traced()
    (failed,) = [span for span in spans if operation(span) == "chat"]
    assert (failed.attributes or {})[module.ERROR] == "LLMUnavailable"
    assert failed.status.status_code is StatusCode.ERROR
    assert "secret" not in "".join(span.to_json() for span in spans)
