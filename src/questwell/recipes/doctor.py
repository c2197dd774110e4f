"""Implements `questwell doctor`: tests whether a run would work here, and says what to do if not."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from questwell.assets.cache import home
from questwell.errors import ConfigError, IndexMismatch, QuestwellError, RetrievalError
from questwell.llm.client import Message, Request
from questwell.llm.connect import connect
from questwell.llm.weights import EMBEDDED
from questwell.recipes import machine
from questwell.recipes.corpus.index import IndexConfig, open_lexical
from questwell.recipes.corpus.search import SearchConfig, open_elsewhere
from questwell.recipes.machine import Check, Health
from questwell.recipes.runs.agents import is_embedded
from questwell.recipes.runs.caller import IndexProgress
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.rehearsal import Rehearsed, rehearse
from questwell.retrieval.retriever import search_and_reckon
from questwell.text.money import dollars


@dataclass(frozen=True, slots=True)
class Local:
    """What the user asks of this machine. A check fails if something that is asked for is missing."""

    out: Path | None = None
    extras: tuple[str, ...] = ()
    gpu: bool = False
    prompts: Path | None = None


def doctor(
    corpus: str | None,
    llm: str | None,
    index_progress: IndexProgress | None = None,
    retriever: str | None = None,
    search: Mapping[str, object] | None = None,
    local: Local | None = None,
) -> list[Check]:
    """Run all checks: this machine, and the corpus, model and retriever that are named.

    Fetches and indexes the corpus, calls the model once plus once for each role, and searches the retriever once, all
    as a run would. `search` has the config keys that say how the retriever is called.

    Raises:
        ConfigError: an extra is unknown.
    """
    local = local or Local()
    checks = [machine.disk(home()), *machine.extras(local.extras), machine.gpu(asked=local.gpu)]
    checks.append(machine.prompts(local.prompts))
    if local.out is not None:
        checks.append(machine.out(local.out))
    if corpus is not None:
        checks.append(_corpus(corpus, index_progress))
    if llm is not None:
        checks.extend(asyncio.run(_model(llm)))
    if retriever is not None:
        checks.append(
            asyncio.run(_retriever({**(search or {}), "corpus": corpus or "islands", "retriever": retriever}))
        )
    return checks


def _corpus(corpus: str, index_progress: IndexProgress | None) -> Check:
    try:
        index = open_lexical(IndexConfig(corpus=corpus), index_progress)
        hits = index.find(index.passage_at(0).title or index.passage_at(0).text, 1)
    except QuestwellError as error:
        return Check(
            "corpus", Health.FAILED, str(error), "name islands, factbook, foldoc, a file or a folder with --corpus"
        )
    if not hits:
        return Check("corpus", Health.FAILED, "the index finds nothing", f"delete {index.name} and index again")
    return Check("corpus", Health.OK, f"{corpus}: {len(index):,} passages, searchable (snapshot {index.snapshot})")


async def _retriever(keys: Mapping[str, object]) -> Check:
    try:
        found = open_elsewhere(resolve(SearchConfig, keys))
        if found is None:
            raise ConfigError(f"{keys['retriever']} searches the corpus itself: try it by --corpus")
    except QuestwellError as error:
        return Check("retriever", Health.FAILED, str(error), "do what it says; then try again")
    started = time.perf_counter()
    try:
        searched = await search_and_reckon(found, "What is the capital of France?", 3)
    except QuestwellError as error:
        return Check("retriever", Health.FAILED, str(error), _how_to_mend(error))
    finally:
        await found.aclose()
    cost = "its cost is not known" if searched.cost_usd is None else f"it cost {dollars(searched.cost_usd)}"
    said = f"{found.name} gave {len(searched.hits)} hits in {time.perf_counter() - started:.1f} s; {cost}"
    if searched.cost_usd is None:
        return Check("retriever", Health.WARNING, said, "say what a search costs by --price-search, or limit minutes")
    return Check("retriever", Health.OK, said)


def _how_to_mend(error: QuestwellError) -> str:
    if isinstance(error, IndexMismatch):
        return "name the embedder that filled the collection by --embedder; then try again"
    if isinstance(error, RetrievalError):
        return "check address and key; then try again"
    return "do what it says; then try again"  # of the embedder


async def _model(spec: str) -> list[Check]:
    try:
        llm = connect(spec)
    except QuestwellError as error:
        return [Check("model", Health.FAILED, str(error))]
    notes = [] if spec not in EMBEDDED or EMBEDDED[spec].cached() else [f"fetching {EMBEDDED[spec].title} first"]
    try:
        completion = await llm.complete(Request((Message("user", "Reply with the word ok."),), max_tokens=16))
        rehearsed = [] if is_embedded(spec) else await rehearse(llm)
    except QuestwellError as error:
        return [Check("model", Health.FAILED, f"{spec}: {error}", "check address, model name and key; then try again")]
    finally:
        await llm.aclose()
    found = "; ".join([*notes, f"{completion.model} answered {completion.text!r} in {completion.latency_s:.1f} s"])
    checks = [Check("model", Health.OK, found)]
    if completion.prompt_tokens is None or completion.completion_tokens is None:
        advice = "limit a run by --max-minutes, not by --max-tokens or --max-cost"
        checks.append(Check("usage", Health.WARNING, "the endpoint does not say how many tokens a call took", advice))
    elif completion.cost_usd is None:
        advice = "give it by --price-in and --price-out, or costs stay unknown"
        checks.append(Check("price", Health.WARNING, f"the price of {completion.model} is not known", advice))
    else:
        checks.append(Check("price", Health.OK, f"that call cost {dollars(completion.cost_usd)}"))
    return [*checks, *map(_role, rehearsed)]


def _role(tried: Rehearsed) -> Check:
    health, advice = Health.OK, ""
    if not tried.taken:
        health, advice = Health.FAILED, "do what it says; then try again"
    elif not tried.usable:
        health = Health.WARNING
        advice = "no move, verdict or answer was read in it: try the other --protocol, or a larger cap of tokens"
    return Check(tried.role, health, tried.found, advice, tried.takes)
