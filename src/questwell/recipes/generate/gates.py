"""Behind `questwell gates`: the gates over the questions of a run, after the fact. The run itself stays as it is.

Calls are kept in a run file of their own, so that an interrupted check goes on where it stopped.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, TypeAdapter

from questwell.errors import ConfigChanged, ConfigError, StoreError
from questwell.games.gates import check_all, pair_of
from questwell.llm.batches import MOST_CALLS
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate.playing import played_with
from questwell.recipes.generate.setup import Setup, open_setup
from questwell.recipes.runs import files, opening
from questwell.recipes.runs.agents import MaybeModel
from questwell.recipes.runs.config import Values, nearest, resolve
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.invocation import Invocation, begin, run_file
from questwell.recipes.runs.opening import Kind, Run, info_of
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.spans import open_spans
from questwell.recipes.runs.spending import SPENDING_MAY_CHANGE, SpendingConfig
from questwell.recipes.runs.workers import Patience
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus, RunInfo
from questwell.text.lists import comma_parts
from questwell.types.game import Accepted, Place, Rejected
from questwell.types.gates import Gate, GateOutcome, GateResult
from questwell.types.trajectory import Role


def _names(value: object) -> object:
    """`closed-book,evidence`: gates by name, each once."""
    if not isinstance(value, str):
        return value
    names = list(dict.fromkeys(comma_parts(value)))
    known = [gate.value for gate in Gate]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"there is no gate {unknown[0]!r}{nearest(unknown[0], known)}; there are: {', '.join(known)}")
    return names


class GatesConfig(SpendingConfig):
    """Which gates to run on a run, and how."""

    of: Path | None = None
    """Run whose questions are checked. It is only read, and may still be running."""
    gates: Annotated[tuple[Gate, ...], BeforeValidator(_names), Field(min_length=1)] = tuple(Gate)
    """Gates to run, separated by commas: closed-book, evidence, shortcut, unique, single-document, leave-one-out,
    findable, dated."""
    llm: MaybeModel = None
    """Model that reads and judges; by default the models of the run."""
    rejected: bool = False
    """Also check the last question of each rejected play."""
    any_index: bool = False
    """Search today's index of the corpus even if it differs from the one that the run searched."""
    batch: bool = False
    """Send the calls in batches, which cost half the list price; each call of a gate after the first may take one more
    day. The endpoint must have /batches."""
    concurrency: int | None = Field(default=None, ge=1)
    """Number of questions checked at the same time; by default the run's --concurrency."""
    max_errors: int = Field(default=20, ge=1)
    """Stop after calls failed for this many questions in a row."""


_CALLS = "what it asks is compared call by call: an answered call is not made again"
MAY_CHANGE: Mapping[str, str] = {
    **SPENDING_MAY_CHANGE,
    **dict.fromkeys(("gates", "rejected", "any_index"), _CALLS),
    "of": "the run's id is compared instead, so that its folder may move",
    "llm": "the models' names are compared instead, so that an endpoint may move",
    "batch": "changes speed and price only: an answered call is not made again",
    "concurrency": "changes speed only",
    "max_errors": "a limit of patience",
}
"""Keys that a later call may give another value, and why."""
KIND = Kind("gates", GatesConfig, MAY_CHANGE)
_SEARCHING = (Gate.SHORTCUT, Gate.UNIQUE, Gate.FINDABLE)
_MODELS = ("llm", "proposer_llm", "solver_llm", "judge_llm")


@dataclass(frozen=True, slots=True)
class Checked:
    """One question and what the gates found."""

    id: str
    """Id of the question's seed."""
    accepted: bool
    """Whether the run accepted it."""
    question: str
    answer: str
    results: tuple[GateResult, ...]

    @property
    def stopped(self) -> bool:
        """Whether a gate rejects it."""
        return any(result.outcome is not GateOutcome.PASSED for result in self.results)


FOLDER = "gates"
"""Folder in a run's folder for the gates' calls and results, unless --out names another."""
RESULTS = "results.json"
"""File in that folder with the gates' results by question."""
_CHECKED = TypeAdapter(list[Checked])


@dataclass(frozen=True, slots=True)
class GateCount:
    """The results of one gate over all questions."""

    gate: Gate
    outcomes: dict[GateOutcome, int]
    """Number of questions by outcome; the numbers add up to all questions."""
    alone: int
    """Number of questions that only this gate rejects."""


@dataclass(frozen=True, slots=True)
class GatesReport:
    """The gates over a run."""

    run_id: str
    questions: int
    """Number of checked questions."""
    of: int
    """Number of questions to check."""
    stopped: int
    """Number of questions that at least one gate rejects."""
    gates: list[GateCount]
    checked: list[Checked]
    ended: Report


def results_of(run: Path) -> dict[str, Checked]:
    """What `questwell gates` has found of a run in its default folder, by seed; empty when it was never asked."""
    return read_results(run / FOLDER)


def keep_results(out: Path, checked: Iterable[Checked]) -> None:
    """Keep what was found next to the calls; of the same question, gates that were asked earlier stay."""
    known = read_results(out)
    for one in checked:
        before = known.get(one.id)
        if before is not None and (before.question, before.answer) == (one.question, one.answer):
            now = {result.gate for result in one.results}
            both = (*(result for result in before.results if result.gate not in now), *one.results)
            one = replace(one, results=tuple(sorted(both, key=lambda result: list(Gate).index(result.gate))))
        known[one.id] = one
    if known:
        files.replace(out / RESULTS, _CHECKED.dump_json(list(known.values())))


def read_results(folder: Path) -> dict[str, Checked]:
    """What a check kept in `folder` has found, by seed; empty before its first invocation has ended."""
    path = folder / RESULTS
    if not path.is_file():
        return {}
    try:
        return {one.id: one for one in _CHECKED.validate_json(path.read_bytes())}
    except (OSError, ValueError) as error:
        raise StoreError(f"{str(path)!r} cannot be read ({error}); run questwell gates again to make it") from None


def configure(out: Path | None, given: Values, *, resume: bool = False) -> GatesConfig:
    """The config of a check kept in `out`: what is `given`, with `resume` over what the check that is there has saved.

    Without it, the same command goes on too: what was answered is not asked again.

    Raises:
        ConfigError: a gate or a value that cannot be, or no run is named.
    """
    config = opening.configure(KIND, out, given, resume=True) if resume else resolve(GatesConfig, given)
    if config.of is None:
        raise ConfigError("say which run to check: questwell gates RUN")
    return config


def check_run(
    config: GatesConfig,
    out: Path,
    *,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
    index_progress: IndexProgress | None = None,
) -> GatesReport:
    """Every gate over the accepted items of the run, from start to end; goes on where an earlier call stopped.

    Args:
        config: from `configure`.
        out: folder of the file in which the calls are kept.
        limit: most questions of this invocation.
        on_progress: called with (questions checked, of all).
        index_progress: whoever watches the index being built.

    Raises:
        ConfigChanged: `out` was started with another model or other prompts, or the corpus is not that of the run.
        RunLocked: another process writes `out`.
    """
    assert config.of is not None
    with RunReader(config.of) as run, run.snapshot():
        info = info_of(run)
        wanted = (PlayStatus.ACCEPTED, PlayStatus.REJECTED) if config.rejected else (PlayStatus.ACCEPTED,)
        outcomes = [run.outcome(play.index) for play in run.plays() if play.status in wanted]
    layers: list[Values] = [{"weak_llm": None, "weak": None}]  # gates ask no weak solver
    if config.llm:
        layers.append(dict.fromkeys(_MODELS, config.llm))
    if config.price is not None:
        layers.append({"price_in": config.price_in, "price_out": config.price_out})
    played = played_with(info, *layers)
    with Run(KIND, config, out, resume=True) as opened:
        setup = open_setup(played, index_progress)
        check = _Check(opened, setup, info, MOST_CALLS if config.batch else config.concurrency or played.plays_at_once)
        return opening.work(setup, lambda: check.run([o for o in outcomes if o and o.rounds], limit, on_progress))


class _Check:
    """One invocation of a check."""

    def __init__(self, opened: Run[GatesConfig], setup: Setup, of: RunInfo, at_once: int) -> None:
        self._opened = opened
        self._config = opened.config
        self._setup = setup
        self._of = of
        self._at_once = at_once

    async def run(
        self, outcomes: Sequence[Accepted | Rejected], limit: int | None, on_progress: Callable[[int, int], None]
    ) -> GatesReport:
        """Check `outcomes`, as far as budget, user and errors let it."""
        config, setup, opened = self._config, self._setup, self._opened
        self._refuse_another_index()
        fingerprint = {"of run": self._of.run_id, **setup.fingerprint()}
        checked: dict[str, Checked] = {}
        llms = {role: setup.llms[role] for role in (Role.SOLVER, Role.JUDGE)}
        with run_file(opened, setup.llms.values(), setup.library) as store:
            await begin(opened, store, fingerprint)
            invocation = Invocation(
                store,
                llms,
                setup.library,
                config.limits(),
                batches=opened.folder if config.batch else None,
                spans=open_spans("gates", on=config.spans),
            )

            async def check(outcome: Accepted | Rejected) -> str | None:
                found = await self._check(outcome, invocation.recorder)
                checked[found.id] = found
                on_progress(len(checked), len(outcomes))
                return next((one.reason for one in found.results if one.outcome is GateOutcome.ERRORED), None)

            patience = Patience(self._at_once, config.max_errors, limit)
            workers = invocation.workers(patience, "questions", opened.go_on)
            async with workers.running(lambda: on_progress(len(checked), len(outcomes))):
                await workers.run(outcomes, check)
            ended = workers.ending(left=len(checked) < len(outcomes))
        keep_results(opened.folder, checked.values())
        in_order = [checked[outcome.seed.id] for outcome in outcomes if outcome.seed.id in checked]
        return _report(self._of.run_id, config.gates, in_order, len(outcomes), ended)

    def _refuse_another_index(self) -> None:
        searching = [gate.value for gate in self._config.gates if gate in _SEARCHING]
        same = self._setup.library.snapshot == self._of.fingerprint["index snapshot"]
        if searching and not self._config.any_index and not same:
            raise ConfigChanged(
                f"the index of the run {self._of.run_id} is not what it was, and {' and '.join(searching)} would "
                "search it: run only the other gates, or run all of them on today's index with --any-index"
            )

    async def _check(self, outcome: Accepted | Rejected, recorder: Recorder) -> Checked:
        keeper = self._setup.players.gatekeeper
        assert keeper is not None
        seed, last = outcome.seed, outcome.rounds[-1]
        proposal = last.proposal
        pair = pair_of(proposal)
        place = Place(seed.id, last.index, Role.SOLVER)
        chance = place.random_seed(seed.random_seed)
        gates = self._config.gates
        results = await check_all(gates, pair, keeper, place, recorder.sessions(seed.id), chance, stop=False)
        return Checked(seed.id, isinstance(outcome, Accepted), proposal.question, proposal.answer, results)


def count_gates(gates: Sequence[Gate], checked: Sequence[Checked]) -> list[GateCount]:
    """Each of `gates` over the questions that it was asked about."""
    counts: list[GateCount] = []
    for gate in (gate for gate in Gate if gate in gates):
        own = [(one, result) for one in checked for result in one.results if result.gate is gate]
        alone = sum(
            result.outcome is not GateOutcome.PASSED
            and all(other.outcome is GateOutcome.PASSED for other in one.results if other is not result)
            for one, result in own
        )
        counts.append(GateCount(gate, dict(Counter(result.outcome for _, result in own).most_common()), alone))
    return counts


def _report(run_id: str, gates: Sequence[Gate], checked: list[Checked], of: int, ended: Report) -> GatesReport:
    stopped = sum(one.stopped for one in checked)
    return GatesReport(run_id, len(checked), of, stopped, count_gates(gates, checked), checked, ended)
