"""What a run would do, without doing it: `generate --dry-run`."""

from dataclasses import dataclass
from pathlib import Path

from questwell.agents.reader import MOST_LISTED
from questwell.games.rules import Variant
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.runs.budget import refuse_unknown_prices
from questwell.store.query import begun
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.types.gates import Gate
from questwell.types.trajectory import Role, Style

_REPAIR_CALLS = 2


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do."""

    corpus: str
    passages: int
    snapshot: str
    retriever: str
    """What agents search."""
    models: dict[Role, str]
    styles: dict[Role, Style]
    seeds: int | None
    """Number of seeds to play; None when the number of items decides."""
    items: int | None
    finished: int
    """Number of seeds played already, if the run exists."""
    most_calls_per_seed: int
    """Model calls, an upper bound that few seeds reach."""

    @property
    def most_calls(self) -> int | None:
        """Model calls still to make, an upper bound; None when the number of items decides."""
        return None if self.seeds is None else max(self.seeds - self.finished, 0) * self.most_calls_per_seed


def preview(config: Config, folder: Path, index_progress: IndexProgress | None = None) -> Preview:
    """What `generate` would do with the same arguments. The index is built; no model is called."""
    setup = open_setup(config, index_progress)
    refuse_unknown_prices(config.limits(), setup.llms.values(), setup.retriever)
    return Preview(
        corpus=config.corpus,
        passages=len(setup.library),
        snapshot=setup.library.snapshot,
        retriever=setup.retriever.name,
        models={role: llm.name for role, llm in setup.llms.items()},
        styles=dict(setup.styles),
        seeds=None if config.seeds is None else min(config.seeds, len(setup.library)),
        items=config.items,
        finished=_finished(folder),
        most_calls_per_seed=_most_calls(config, setup.players.judge.asks),
    )


def _most_calls(config: Config, asks: int) -> int:
    rounds = 1 if config.variant is Variant.INITIAL else 1 + config.rounds
    proposal = config.proposer_turns + 1  # and the forced last turn
    proposals = rounds * proposal if config.variant is Variant.RESAMPLE else proposal + (rounds - 1) * _REPAIR_CALLS
    gates = sum(1 + asks * (MOST_LISTED if gate is Gate.UNIQUE else 1) for gate in config.gates or ())
    weak = 0
    if config.weak_mode is not None:
        turns = config.solver_turns if config.weak_mode == "search" else 1
        weak = config.weak_attempts * (turns + asks)
    checked = rounds if config.gate_feedback else 1
    return proposals + rounds * (config.attempts * (config.solver_turns + asks) + weak) + checked * gates


def _finished(folder: Path) -> int:
    if not begun(folder):
        return 0
    with RunReader(folder) as run:
        return sum(play.status is not PlayStatus.PENDING for play in run.plays())
