"""Opens what every run needs, in a fixed order: run file, budget, recorder, workers.

Limits that cannot be enforced are refused before the file is opened. The run is compared with its saved
description before any model or retriever is called.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from questwell.llm.client import LLM
from questwell.recipes.runs.batching import batched
from questwell.recipes.runs.budget import Budget, SpendingLimits, refuse_unknown_prices
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.spans import NoSpans, Spans
from questwell.recipes.runs.spending import SpendingConfig
from questwell.recipes.runs.workers import Patience, Workers
from questwell.retrieval.retriever import Retriever
from questwell.store.reader import RunReader
from questwell.store.records import Asked
from questwell.store.run import RunStore
from questwell.types.trajectory import Role

_S = TypeVar("_S", bound=SpendingConfig)


@contextmanager
def run_file(opened: Run[_S], llms: Iterable[LLM], retriever: Retriever | None = None) -> Generator[RunStore]:
    """Open the run's file for writing.

    Raises:
        ConfigError: a cost limit is set, but the price of a model or of a search is unknown.
    """
    refuse_unknown_prices(opened.config.limits(), llms, retriever)
    with RunStore(opened.folder, opened.lock) as store:
        yield store


async def begin(
    opened: Run[_S],
    store: RunStore,
    fingerprint: Mapping[str, str],
    changes: Sequence[str] = (),
    questions: Sequence[Asked] = (),
) -> None:
    """Save the description, questions and prices of a new run, or check that a resumed run still matches them.

    See `Run.compare` for the arguments; `questions` are those of an evaluation.

    Raises:
        ConfigChanged: something differs; the message lists all differences.
    """
    await store.begin(opened.compare(fingerprint, changes), questions)
    if (price := opened.config.price) is not None:
        await store.price(price.input_usd, price.output_usd)


class Invocation:
    """The budget, sessions and workers of one invocation."""

    def __init__(
        self,
        store: RunStore,
        llms: Mapping[Role, LLM],
        retriever: Retriever,
        limits: SpendingLimits,
        earlier: RunReader | None = None,
        spans: Spans | None = None,
        *,
        batches: Path | None = None,
    ) -> None:
        """Continue from what the run in `store` has spent so far.

        Args:
            store: the run file.
            llms: the model of each role.
            retriever: the retriever that agents search with.
            limits: spending limits of the whole run.
            earlier: another run file whose recorded answers are reused too.
            spans: where pieces and calls are traced.
            batches: folder that notes the batches in which calls go out; None sends each call by itself.

        Raises:
            ConfigError: batches are requested, but a model is not at an endpoint.
        """
        self._spans = spans or NoSpans()
        self.budget = Budget(limits, store.read.usage())
        asked = llms if batches is None else batched(llms, batches, self.budget)
        self.recorder = Recorder(store, asked, retriever, self.budget, earlier=earlier, spans=self._spans)

    def workers(self, patience: Patience, pieces: str, go_on: str) -> Workers:
        """Return the workers that process the pieces; see `Workers` for the arguments."""
        return Workers(self.budget, patience, pieces, go_on, self._spans)
