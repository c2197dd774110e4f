"""Implements `questwell gates`: runs the gates over the questions of a finished run, which stays unchanged.

Calls are recorded in a separate run file, so an interrupted check continues where it stopped.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from questwell.errors import ConfigChanged, ConfigError
from questwell.games.gates import check_all, pair_of
from questwell.llm.batches import MOST_CALLS
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate.gates_config import KIND, MAY_CHANGE, GatesConfig
from questwell.recipes.generate.gates_results import Checked, GateCount, count_gates, keep_results, read_results
from questwell.recipes.generate.playing import PlayConfig, played_with
from questwell.recipes.generate.setup import Setup, open_setup
from questwell.recipes.runs import opening
from questwell.recipes.runs.checking import OnProgress, Pieces, Wanted, accept_gaps, check_apart, wanted
from questwell.recipes.runs.config import Values, resolve
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.invocation import Invocation, begin, run_file
from questwell.recipes.runs.joining import Parts, merge_parts
from questwell.recipes.runs.opening import Run, info_of
from questwell.recipes.runs.processes import folders, work
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.spans import open_spans
from questwell.recipes.runs.workers import Patience
from questwell.store.reader import RunReader
from questwell.store.records import RunInfo
from questwell.types.game import Place
from questwell.types.gates import Gate, GateOutcome
from questwell.types.trajectory import Role

_SEARCHING = (Gate.SHORTCUT, Gate.UNIQUE, Gate.FINDABLE)
_MODELS = ("llm", "proposer_llm", "solver_llm", "judge_llm")
_ALIKE = ("gates", "rejected")
"""Keys that a later call may change, but that must be equal in all parts of a check, which would else leave gaps."""


@dataclass(frozen=True, slots=True)
class GatesReport:
    """Result of running the gates over a run."""

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


def configure(out: Path | None, given: Values, *, resume: bool = False) -> GatesConfig:
    """Return the config of a check in `out`: the values `given`, with `resume` on top of the saved ones.

    Without `resume`, repeating the same command also continues: answered calls are not made again.

    Raises:
        ConfigError: an invalid gate or value, or no run is named.
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
    on_progress: OnProgress = lambda done, of: None,
    index_progress: IndexProgress | None = None,
) -> GatesReport:
    """Run every gate over the accepted items of the run; continues where an earlier call stopped.

    With `shards`, uses that many processes; the results are the same.

    Args:
        config: the config that `configure` returned.
        out: folder of the run file with the calls.
        limit: maximum number of questions in this invocation.
        on_progress: called with (questions checked, all questions).
        index_progress: callbacks for building the index.

    Raises:
        ConfigChanged: `out` was started with another model or other prompts, or the corpus is not that of the run.
        RunLocked: another process writes `out`.
    """
    assert config.of is not None
    with RunReader(config.of) as run:
        with run.snapshot():
            info, questions = info_of(run), wanted(run, config)
        played = _played(config, info)
        with Run(KIND, config, out, resume=True) as opened:
            setup = open_setup(played, index_progress)
            at_once = MOST_CALLS if config.batch else config.concurrency or played.plays_at_once
            check = _Check(opened, setup, run, info, at_once)
            if config.shards is not None:
                asyncio.run(setup.aclose())
                return check.apart(questions, limit, on_progress)
            return opening.work(setup, lambda: check.run(questions, limit, on_progress))


def check_shard(config: GatesConfig, folder: Path, limit: int | None, pipe: Connection) -> None:
    """Run one shard of the check in its own process."""

    def check(tell: OnProgress) -> Report:
        return check_run(config, folder, limit=limit, on_progress=tell).ended

    work(pipe, lambda tell: check(lambda done, of: tell(Pieces(done, of))))


def merge(folder: Path, sources: Sequence[Path]) -> int:
    """Join the checks of `--shard 0/8` to `--shard 7/8` into a new one, and return the number of questions.

    See `merge_parts`.
    """
    merge_parts(_PARTS, folder, sources)
    _keep(folder, sources or folders(folder))
    return len(read_results(folder))


_PARTS = Parts(KIND, [key for key in MAY_CHANGE if key not in _ALIKE], accept_gaps, lambda run: 0)


def _keep(folder: Path, parts: Sequence[Path]) -> None:
    keep_results(folder, [one for part in parts for one in read_results(part).values()])


def _played(config: GatesConfig, info: RunInfo) -> PlayConfig:
    """Return the run's models and rules, with the changes that the check makes."""
    layers: list[Values] = [{"weak_llm": None, "weak": None}]  # gates do not use a weak solver
    if config.llm:
        layers.append(dict.fromkeys(_MODELS, config.llm))
    if config.price is not None:
        layers.append({"price_in": config.price_in, "price_out": config.price_out})
    return played_with(info, *layers)


class _Check:
    """One invocation of a check."""

    def __init__(self, opened: Run[GatesConfig], setup: Setup, run: RunReader, of: RunInfo, at_once: int) -> None:
        self._opened = opened
        self._config = opened.config
        self._setup = setup
        self._run = run
        self._of = of
        self._at_once = at_once
        self._fingerprint = {"of run": of.run_id, **setup.fingerprint()}
        self._refuse_another_index()

    async def run(self, questions: Sequence[Wanted], limit: int | None, on_progress: OnProgress) -> GatesReport:
        """Check `questions` until done, or until budget, user or errors stop it."""
        config, setup, opened = self._config, self._setup, self._opened
        checked: dict[str, Checked] = {}
        llms = {role: setup.llms[role] for role in (Role.SOLVER, Role.JUDGE)}
        with run_file(opened, setup.llms.values(), setup.library) as store:
            await begin(opened, store, self._fingerprint)
            invocation = Invocation(
                store,
                llms,
                setup.library,
                config.limits(),
                batches=opened.folder if config.batch else None,
                spans=open_spans("gates", on=config.spans),
            )

            async def check(question: Wanted) -> str | None:
                found = await self._check(question, invocation.recorder)
                checked[found.id] = found
                on_progress(len(checked), len(questions))
                return next((one.reason for one in found.results if one.outcome is GateOutcome.ERRORED), None)

            patience = Patience(self._at_once, config.max_errors, limit)
            workers = invocation.workers(patience, "questions", opened.go_on)
            async with workers.running(lambda: on_progress(len(checked), len(questions))):
                await workers.run(questions, check)
            ended = workers.ending(left=len(checked) < len(questions))
        keep_results(opened.folder, checked.values())
        return self._report([checked[one.id] for one in questions if one.id in checked], len(questions), ended)

    def apart(self, questions: Sequence[Wanted], limit: int | None, on_progress: OnProgress) -> GatesReport:
        """Check `questions` in several processes."""
        opened, setup = self._opened, self._setup
        with run_file(opened, setup.llms.values(), setup.library) as store:
            asyncio.run(begin(opened, store, self._fingerprint))
            ended = check_apart(
                opened,
                store,
                self._at_once,
                len(questions),
                limit=limit,
                check=check_shard,
                keep=lambda parts: _keep(opened.folder, parts),
                on_progress=on_progress,
            )
        known = read_results(opened.folder)
        found = (self._asked(known.get(one.id), one) for one in questions)
        return self._report([one for one in found if one is not None], len(questions), ended)

    def _asked(self, known: Checked | None, question: Wanted) -> Checked | None:
        """Return the results of the requested gates for a question, if all of them are known."""
        if known is None or (known.question, known.answer) != (question.question, question.answer):
            return None
        results = tuple(result for result in known.results if result.gate in self._config.gates)
        return replace(known, results=results) if len(results) == len(self._config.gates) else None

    def _report(self, checked: list[Checked], of: int, ended: Report) -> GatesReport:
        stopped = sum(one.stopped for one in checked)
        counts = count_gates(self._config.gates, checked)
        return GatesReport(self._of.run_id, len(checked), of, stopped, counts, checked, ended)

    def _refuse_another_index(self) -> None:
        searching = [gate.value for gate in self._config.gates if gate in _SEARCHING]
        same = self._setup.library.snapshot == self._of.fingerprint["index snapshot"]
        if searching and not self._config.any_index and not same:
            raise ConfigChanged(
                f"the index of the run {self._of.run_id} is not what it was, and {' and '.join(searching)} would "
                "search it: run only the other gates, or run all of them on today's index with --any-index"
            )

    async def _check(self, question: Wanted, recorder: Recorder) -> Checked:
        keeper, outcome = self._setup.players.gatekeeper, self._run.outcome(question.index)
        assert keeper is not None and outcome is not None
        seed, last = outcome.seed, outcome.rounds[-1]
        proposal = last.proposal
        pair = pair_of(proposal)
        place = Place(seed.id, last.index, Role.SOLVER)
        chance = place.random_seed(seed.random_seed)
        gates = self._config.gates
        results = await check_all(gates, pair, keeper, place, recorder.sessions(seed.id), chance, stop=False)
        return Checked(seed.id, question.accepted, proposal.question, proposal.answer, results)
