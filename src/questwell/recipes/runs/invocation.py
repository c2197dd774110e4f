"""What every verb that works through pieces opens, in the same order: run file, budget, recorder, workers.

What cannot be kept is refused before the file is opened; what the run is is compared before anything is asked.
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
    """The run's file, open for writing.

    Raises:
        ConfigError: a limit of money is asked for, and the price of a model or of a search is not known.
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
    """Save what the run is and asks and what its models cost, or make sure that it is what it was.

    Arguments as `Run.compare`; `questions` are those of an evaluation.

    Raises:
        ConfigChanged: something differs; names all of it.
    """
    await store.begin(opened.compare(fingerprint, changes), questions)
    if (price := opened.config.price) is not None:
        await store.price(price.input_usd, price.output_usd)


class Invocation:
    """What an invocation spends from, asks through and works with."""

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
        """Go on from what the run in `store` has spent.

        Args:
            store: of the run.
            llms: by role.
            retriever: what agents search.
            limits: of the whole run.
            earlier: another run file whose kept answers are served too.
            spans: where pieces and calls are traced.
            batches: folder that notes the batches in which calls go out; None: each call goes out by itself.

        Raises:
            ConfigError: calls are to go out in batches, and a model is at no endpoint.
        """
        self._spans = spans or NoSpans()
        self.budget = Budget(limits, store.read.usage())
        asked = llms if batches is None else batched(llms, batches, self.budget)
        self.recorder = Recorder(store, asked, retriever, self.budget, earlier=earlier, spans=self._spans)

    def workers(self, patience: Patience, pieces: str, go_on: str) -> Workers:
        """Who works through the pieces; arguments as `Workers`."""
        return Workers(self.budget, patience, pieces, go_on, self._spans)
