"""Sessions that replay recorded answers from the run file, and record new answers durably.

All calls of a run to its models and its retriever go through here, so every paid answer is recorded.
"""

import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar, cast

from pydantic import TypeAdapter

from questwell.agents.session import Sessions
from questwell.errors import LLMError, RetrievalError
from questwell.llm.adapting import Adapting
from questwell.llm.client import LLM, Completion, Request, TellsCallsApart, ToolCall
from questwell.recipes.runs.budget import Budget, Stopped
from questwell.recipes.runs.spans import NoSpans, Spans
from questwell.retrieval.rerankers.reranked import Reranked
from questwell.retrieval.retriever import DocumentPage, Retriever, reader_of, search_and_reckon
from questwell.store.passage_refs import Json
from questwell.store.reader import RunReader
from questwell.store.records import Call, CallKey, CallKind, Earlier, Failure
from questwell.text.unicode import without_surrogates
from questwell.types.corpus import Hit
from questwell.types.game import Place
from questwell.types.trajectory import Role

_COMPLETION = TypeAdapter(Completion)
_HITS: TypeAdapter[tuple[Hit, ...]] = TypeAdapter(tuple[Hit, ...])
_PAGE: TypeAdapter[DocumentPage | None] = TypeAdapter(DocumentPage | None)
_FOUND: TypeAdapter[tuple[Hit, ...] | None] = TypeAdapter(tuple[Hit, ...] | None)
_REQUEST = TypeAdapter(Request)
_A = TypeVar("_A")


class Kept(Protocol):
    """Read access to what a run has recorded; `RunReader` implements it."""

    def answers(self, seed: str) -> Mapping[CallKey, Json]:
        """See `RunReader.answers`."""
        ...

    def adapted(self) -> Mapping[str, tuple[str, ...]]:
        """See `RunReader.adapted`."""
        ...


class Keeping(Protocol):
    """Write access to recorded calls, direct or through another process. Each `await` returns once data is on disk."""

    @property
    def read(self) -> Kept:
        """Return what is recorded."""
        ...

    async def record(self, call: Call) -> None:
        """See `RunStore.record`."""
        ...

    async def record_failure(self, failure: Failure) -> None:
        """See `RunStore.record_failure`."""
        ...

    async def adapted(self, place: str, changes: Sequence[str]) -> None:
        """See `RunStore.adapted`."""
        ...


@dataclass(slots=True)
class Recorder:
    """Shared state of a run's sessions."""

    store: Keeping
    llms: Mapping[Role, LLM]
    retriever: Retriever
    budget: Budget
    earlier: RunReader | None = None
    """Another run file whose recorded answers are reused too: older versions stored these calls there."""
    spans: Spans = field(default_factory=NoSpans)
    """Where calls that are made are traced."""
    made: int = 0
    """Number of model calls made by this invocation."""
    replayed: int = 0
    """Number of model calls answered from the run file."""
    _adapted: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], init=False)
    _adapting: dict[int, Adapting] = field(default_factory=dict[int, Adapting], init=False)
    """Models that adapt their requests, by identity. Checking this per call would take a tenth of a recorded call."""

    def __post_init__(self) -> None:
        """Pass recorded endpoint adaptations to the models, so that no endpoint refuses the same request again."""
        known = {**(self.earlier.adapted() if self.earlier is not None else {}), **self.store.read.adapted()}
        self._adapting = {id(llm): llm for llm in self.llms.values() if isinstance(llm, Adapting)}
        for llm in self._adapting.values():
            if llm.place in known:
                llm.manners.remember(known[llm.place])
                self._adapted[llm.place] = llm.manners.changes

    async def keep_adapted(self, llm: LLM) -> None:
        """Record what the model's client learned about its endpoint since the last call."""
        adapting = self._adapting.get(id(llm))
        if adapting is not None and self._adapted.get(adapting.place, ()) != (now := adapting.manners.changes):
            self._adapted[adapting.place] = now
            await self.store.adapted(adapting.place, now)

    def sessions(self, seed: str) -> Sessions:
        """Return a function that opens the sessions of one play of `seed`; loads the answers of its earlier plays."""
        before = self.earlier.answers(seed) if self.earlier is not None else {}
        play = _PlayedBefore({**before, **self.store.read.answers(seed)})

        def session(place: Place) -> RecordedSession:
            if place.seed != seed:
                raise ValueError(f"the sessions of {seed!r} were requested for {place!r}")
            return RecordedSession(self, play, place)

        return session


@dataclass(slots=True)
class _PlayedBefore:
    """Recorded answers of one seed, and the position of this play in them."""

    answers: Mapping[CallKey, Json]
    turns: dict[Place, int] = field(default_factory=dict[Place, int])
    """Number of calls so far by place; it continues if a place is opened twice."""
    requests: dict[Place, Earlier] = field(default_factory=dict[Place, Earlier])
    """The latest model request by place."""


class RecordedSession:
    """A session that stores every answer in the run file before the agent sees it."""

    def __init__(self, recorder: Recorder, play: _PlayedBefore, place: Place) -> None:
        """Open the session; use `Recorder.sessions` instead of this constructor."""
        self._recorder = recorder
        self._play = play
        self._place = place
        self._llm = recorder.llms[place.role]

    @property
    def model(self) -> str:
        """Name of the model behind `complete`."""
        return self._llm.name

    async def complete(self, request: Request) -> Completion:
        """Return the model's answer, from the run file or new and recorded."""
        key = self._key(request.digest())
        text = json.dumps(_REQUEST.dump_python(request, mode="json"), separators=(",", ":"))
        base = self._play.requests.get(self._place)
        if key in self._play.answers:
            self._recorder.replayed += 1
            self._play.requests[self._place] = Earlier(key.digest, text)
            return _COMPLETION.validate_python(self._play.answers[key])

        completion = _storable(await self._make(key, CallKind.LLM, lambda: self._ask(request, key), request))
        self._recorder.budget.add(completion)
        await self._recorder.store.record(
            Call(
                key=key,
                kind=CallKind.LLM,
                request=text,
                response=cast(Json, _COMPLETION.dump_python(completion, mode="json", exclude_defaults=True)),
                model=completion.model,
                prompt_tokens=completion.prompt_tokens,
                completion_tokens=completion.completion_tokens,
                cost_usd=completion.cost_usd,
                latency_s=completion.latency_s,
                base=base,
            )
        )
        self._play.requests[self._place] = Earlier(key.digest, text)
        return completion

    def _ask(self, request: Request, key: CallKey) -> Awaitable[Completion]:
        if isinstance(self._llm, TellsCallsApart):
            place = key.place
            named = f"{place.seed}/{place.round}/{place.role}/{place.attempt}/{key.turn}"
            return self._llm.complete_call(request, named)
        return self._llm.complete(request)

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """Return the retriever's hits, from the run file or new and recorded. Reranking them is a separate call."""
        retriever = self._recorder.retriever
        if not isinstance(retriever, Reranked):
            return await self._search(retriever, query, k)
        hits = await self._search(retriever.inner, query, retriever.candidates(k))
        return await self._rerank(retriever, query, hits, k)

    async def _search(self, retriever: Retriever, query: str, k: int) -> tuple[Hit, ...]:
        text = json.dumps({"retriever": retriever.name, "query": query, "k": k})
        key = self._key(hashlib.sha256(text.encode()).hexdigest())
        if key in self._play.answers:
            return _HITS.validate_python(self._play.answers[key])

        started = time.perf_counter()
        found = await self._make(key, CallKind.SEARCH, lambda: search_and_reckon(retriever, query, k))
        self._recorder.budget.add_search(found.cost_usd)
        answer = cast(Json, _HITS.dump_python(found.hits, mode="json"))
        await self._record(key, CallKind.SEARCH, text, answer, found.cost_usd, time.perf_counter() - started)
        return found.hits

    async def _rerank(self, retriever: Reranked, query: str, hits: tuple[Hit, ...], k: int) -> tuple[Hit, ...]:
        texts = hashlib.sha256(json.dumps([(hit.passage.title, hit.passage.text) for hit in hits]).encode()).hexdigest()
        model = retriever.reranker.name
        of = {"passages": [hit.passage.id for hit in hits], "texts": texts}
        text = json.dumps({"reranker": model, "query": query, **of, "k": k})
        key = self._key(hashlib.sha256(text.encode()).hexdigest())
        if key in self._play.answers:
            return _HITS.validate_python(self._play.answers[key])
        started = time.perf_counter()
        found = await self._make(key, CallKind.RERANK, lambda: retriever.rerank(query, hits, k))
        self._recorder.budget.add_search(found.cost_usd)
        answer = cast(Json, _HITS.dump_python(found.hits, mode="json"))
        await self._record(key, CallKind.RERANK, text, answer, found.cost_usd, time.perf_counter() - started, model)
        return found.hits

    @property
    def _searched(self) -> str:
        """Name of the retriever without its reranker."""
        retriever = self._recorder.retriever
        return retriever.inner.name if isinstance(retriever, Reranked) else retriever.name

    async def read_page(self, document_id: str, page: int) -> DocumentPage | None:
        """Return a page of a document, from the run file or new and recorded. It is free."""
        reader = reader_of(self._recorder.retriever)
        asked = {"open": document_id, "page": page}
        return await self._read(CallKind.OPEN, asked, _PAGE, lambda: reader.read_page(document_id, page))

    async def find_in(self, document_id: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """Return the matching passages of a document, from the run file or new and recorded."""
        reader = reader_of(self._recorder.retriever)
        asked = {"find": document_id, "query": query, "k": k}
        return await self._read(CallKind.FIND, asked, _FOUND, lambda: reader.find_in(document_id, query, k))

    async def _read(
        self, kind: CallKind, asked: Mapping[str, object], adapter: TypeAdapter[_A], call: Callable[[], Awaitable[_A]]
    ) -> _A:
        text = json.dumps({"retriever": self._searched, **asked})
        key = self._key(hashlib.sha256(text.encode()).hexdigest())
        if key in self._play.answers:
            return adapter.validate_python(self._play.answers[key])
        started = time.perf_counter()
        found = await self._make(key, kind, call)
        answer = cast(Json, adapter.dump_python(found, mode="json"))
        await self._record(key, kind, text, answer, 0.0, time.perf_counter() - started)
        return found

    async def _record(
        self,
        key: CallKey,
        kind: CallKind,
        asked: str,
        answer: Json,
        cost_usd: float | None,
        latency_s: float,
        model: str | None = None,
    ) -> None:
        call = Call(
            key=key,
            kind=kind,
            request=asked,
            response=answer,
            model=model or self._searched,
            prompt_tokens=None,
            completion_tokens=None,
            cost_usd=cost_usd,
            latency_s=latency_s,
        )
        await self._recorder.store.record(call)

    def _key(self, digest: str) -> CallKey:
        turn = self._play.turns.get(self._place, 0)
        self._play.turns[self._place] = turn + 1
        return CallKey(self._place, turn, digest)

    async def _make(
        self, key: CallKey, kind: CallKind, call: Callable[[], Awaitable[_A]], request: Request | None = None
    ) -> _A:
        """Make a call if the budget allows it. A failure is recorded and raised, never stored as an answer."""
        self._recorder.budget.check()
        self._recorder.made += kind is CallKind.LLM
        try:
            with self._recorder.spans.call(self._place, kind, self._llm, request) as told:
                made = await call()
                told(made)
        except (LLMError, RetrievalError) as error:
            failure = Failure(key, kind, type(error).__name__, str(error))
            if isinstance(error, LLMError):
                self._recorder.budget.add_rejected(*error.paid_tokens, error.paid_usd)
                failure = replace(
                    failure,
                    prompt_tokens=error.paid_tokens[0],
                    completion_tokens=error.paid_tokens[1],
                    cost_usd=error.paid_usd,
                )
            await self._recorder.store.record_failure(failure)
            await self._recorder.keep_adapted(self._llm)
            if self._recorder.budget.stopping:  # it might have been tried again: the piece is played again, not errored
                raise Stopped("stopped as you asked") from error
            raise
        await self._recorder.keep_adapted(self._llm)
        return made


def _storable(completion: Completion) -> Completion:
    """Return `completion` without lone surrogates: UTF-8 cannot encode them, so a file could not restore them."""
    clean = without_surrogates
    calls = tuple(ToolCall(clean(c.id), clean(c.name), clean(c.arguments), c.carry) for c in completion.tool_calls)
    return replace(
        completion,
        text=clean(completion.text),
        reasoning=clean(completion.reasoning),
        tool_calls=calls,
        model=clean(completion.model),
    )
