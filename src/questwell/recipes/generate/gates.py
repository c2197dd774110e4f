"""Behind `questwell gates`: the gates over the questions of a run, after the fact. The run itself stays as it is.

Calls are kept in a run file of their own, so that an interrupted check goes on where it stopped.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from questwell.errors import ConfigChanged, ConfigError
from questwell.games.gates import Pair, check_all
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.setup import Setup, open_setup
from questwell.recipes.runs.budget import Budget, Limits
from questwell.recipes.runs.config import RecipeConfig, nearest, resolve_saved
from questwell.recipes.runs.opening import Kind, Run, info_of
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.signals import stopping_on_signals
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus, RunInfo
from questwell.store.run import RunStore
from questwell.types.game import Accepted, Gate, GateOutcome, GateResult, Place, Rejected
from questwell.types.trajectory import Role


class GatesConfig(RecipeConfig):
    """What a check asks can change from call to call: the calls themselves are compared."""


KIND = Kind("gates", GatesConfig, {})
_SEARCHING = (Gate.SHORTCUT, Gate.UNIQUE)
_MODELS = ("llm", "proposer_llm", "solver_llm", "judge_llm")


@dataclass(frozen=True, slots=True)
class Checked:
    """One question and what the gates found."""

    id: str
    """Of its seed."""
    accepted: bool
    """By the run."""
    question: str
    answer: str
    results: tuple[GateResult, ...]

    @property
    def stopped(self) -> bool:
        """Whether a gate does not let it through."""
        return any(result.outcome is not GateOutcome.PASSED for result in self.results)


@dataclass(frozen=True, slots=True)
class GateCount:
    """Of one gate, over all questions."""

    gate: Gate
    outcomes: dict[GateOutcome, int]
    """Counts; they add up to the questions."""
    alone: int
    """Number of questions that this gate stops and no other of those asked for."""


@dataclass(frozen=True, slots=True)
class GatesReport:
    """The gates over a run."""

    run_id: str
    questions: int
    stopped: int
    """Number of questions that at least one gate does not let through."""
    gates: list[GateCount]
    checked: list[Checked]


def parse_gates(text: str) -> tuple[Gate, ...]:
    """`closed-book,evidence`: gates by name.

    Raises:
        ConfigError: there is no such gate.
    """
    found: list[Gate] = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(Gate(name))
        except ValueError:
            known = [gate.value for gate in Gate]
            raise ConfigError(
                f"there is no gate {name!r}{nearest(name, known)}; there are: {', '.join(known)}"
            ) from None
    if not found:
        raise ConfigError(f"name at least one gate: {', '.join(gate.value for gate in Gate)}")
    return tuple(dict.fromkeys(found))


def check_run(
    folder: Path,
    gates: Sequence[Gate],
    out: Path,
    *,
    llm: str | None = None,
    rejected: bool = False,
    any_index: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
    index_progress: IndexProgress | None = None,
) -> GatesReport:
    """Every one of `gates` over the accepted items of the run in `folder`, from start to end.

    Args:
        folder: of the run; it is only read, and may be going on.
        gates: what to ask.
        out: folder of the file in which the calls are kept.
        llm: model of reader and judge, if not those of the run.
        rejected: check the last questions of rejected plays too.
        any_index: search the corpus as it is indexed today, though the run searched another index.
        on_progress: is told of (questions checked, of all).
        index_progress: whoever watches the index being built.

    Raises:
        ConfigChanged: `out` was started with another model or other prompts, or the corpus is not that of the run.
    """
    with RunReader(folder) as run, run.snapshot():
        info = info_of(run)
        wanted = (PlayStatus.ACCEPTED, PlayStatus.REJECTED) if rejected else (PlayStatus.ACCEPTED,)
        outcomes = [run.outcome(play.index) for play in run.plays() if play.status in wanted]
    config = resolve_saved(Config, info, dict.fromkeys(_MODELS, llm) if llm else {})

    async def whole() -> GatesReport:
        setup = open_setup(config, index_progress)
        try:
            found = await _check(
                info, [o for o in outcomes if o and o.rounds], gates, out, setup, on_progress, any_index=any_index
            )
        finally:
            await setup.aclose()
        return _report(info.run_id, gates, found)

    return asyncio.run(whole())


async def _check(
    info: RunInfo,
    outcomes: Sequence[Accepted | Rejected],
    gates: Sequence[Gate],
    out: Path,
    setup: Setup,
    on_progress: Callable[[int, int], None],
    *,
    any_index: bool,
) -> list[Checked]:
    keeper = setup.players.gatekeeper
    assert keeper is not None
    fingerprint = {"of run": info.run_id, **setup.fingerprint()}
    searching = [gate.value for gate in gates if gate in _SEARCHING]
    if searching and not any_index and setup.library.snapshot != info.fingerprint["index snapshot"]:
        raise ConfigChanged(
            f"the index of the run {info.run_id} is not what it was, and {' and '.join(searching)} would search it: "
            "ask the other gates only, or all of them over the index of today with --any-index"
        )
    with Run(KIND, GatesConfig(), out, resume=True) as opened, RunStore(out, opened.lock) as store:
        await store.begin(opened.compare(fingerprint))
        budget = Budget(Limits(), store.read.usage())
        recorder = Recorder(store, setup.llms, setup.library, budget)
        checked: list[Checked] = []
        with stopping_on_signals(budget.stop):
            for outcome in outcomes:
                on_progress(len(checked), len(outcomes))
                seed, last = outcome.seed, outcome.rounds[-1]
                proposal = last.proposal
                references = (proposal.answer, *proposal.aliases)
                derived = proposal.derivation is not None
                pair = Pair(proposal.question, references, proposal.evidence, derived)
                place = Place(seed.id, last.index, Role.SOLVER)
                sessions = recorder.sessions(seed.id)
                results = await check_all(
                    gates, pair, keeper, place, sessions, place.random_seed(seed.random_seed), stop=False
                )
                accepted = isinstance(outcome, Accepted)
                checked.append(Checked(seed.id, accepted, proposal.question, proposal.answer, results))
        on_progress(len(checked), len(outcomes))
        return checked


def _report(run_id: str, gates: Sequence[Gate], checked: list[Checked]) -> GatesReport:
    counts: list[GateCount] = []
    for gate in (gate for gate in Gate if gate in gates):
        own = [next(result for result in one.results if result.gate is gate) for one in checked]
        alone = sum(
            result.outcome is not GateOutcome.PASSED
            and all(other.outcome is GateOutcome.PASSED for other in one.results if other is not result)
            for one, result in zip(checked, own, strict=True)
        )
        counts.append(GateCount(gate, dict(Counter(result.outcome for result in own).most_common()), alone))
    return GatesReport(run_id, len(checked), sum(one.stopped for one in checked), counts, checked)
