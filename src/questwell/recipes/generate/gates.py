"""Implements `questwell gates`: runs the gates over the questions of a finished run, which stays unchanged.

Calls are recorded in a separate run file, so an interrupted check continues where it stopped.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from questwell.errors import ConfigChanged
from questwell.games.gates import Gatekeeper, check_all, pair_of
from questwell.llm.batches import MOST_CALLS
from questwell.recipes.generate.gates_config import KIND, MAY_CHANGE, GatesConfig
from questwell.recipes.generate.gates_results import Checked, GateCount, count_gates, keep_results, read_results
from questwell.recipes.generate.playing import PlayConfig, played_with
from questwell.recipes.generate.setup import Setup, open_setup
from questwell.recipes.runs import checking, opening
from questwell.recipes.runs.caller import DEFAULTS, Caller
from questwell.recipes.runs.checking import Checking, Wanted, accept_gaps, check_part, wanted
from questwell.recipes.runs.config import Values
from questwell.recipes.runs.description import info_of
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.joining import Parts, merge_parts
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.processes import folders
from questwell.recipes.runs.recorder import Recorder
from questwell.store.reader import RunReader
from questwell.store.records import RunInfo
from questwell.types.game import Place
from questwell.types.gates import Gate
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
    """Return the config of a check in `out`; see `checking.configure`."""
    return checking.configure(KIND, out, given, resume=resume, usage="say which run to check: questwell gates RUN")


def check_run(config: GatesConfig, out: Path, caller: Caller[[int, int]] = DEFAULTS) -> GatesReport:
    """Run every gate over the accepted items of the run; continues where an earlier call stopped.

    With `shards`, uses that many processes; the results are the same.

    Args:
        config: the config that `configure` returned.
        out: folder of the run file with the calls.
        caller: its progress is (questions checked, all questions).

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
            setup = open_setup(played, caller.index_progress)
            _refuse_another_index(config, setup, info)
            llms = {role: setup.llms[role] for role in (Role.SOLVER, Role.JUDGE)}
            at_once = MOST_CALLS if config.batch else config.concurrency or played.plays_at_once
            fingerprint = {"of run": info.run_id, **setup.fingerprint()}
            checks = Checking(opened, llms, setup.library, fingerprint, at_once, questions, caller)
            if config.shards is None:
                keeper = setup.players.gatekeeper
                assert keeper is not None
                ask = partial(_check, run, config.gates, keeper)
                found, ended = opening.work(setup, lambda: checks.run(ask))
                keep_results(out, found.values())
            else:
                asyncio.run(setup.aclose())
                ended = checks.apart(check_shard, _keep)
                known = read_results(out)
                found = {one.id: asked for one in questions if (asked := _asked(config, known.get(one.id), one))}
    checked = [found[one.id] for one in questions if one.id in found]
    stopped = sum(one.stopped for one in checked)
    counts = count_gates(config.gates, checked)
    return GatesReport(info.run_id, len(checked), len(questions), stopped, counts, checked, ended)


def check_shard(config: GatesConfig, folder: Path, limit: int | None, pipe: Connection) -> None:
    """Run one shard of the check in its own process."""
    check_part(pipe, folder, limit, lambda folder, caller: check_run(config, folder, caller).ended)


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


def _asked(config: GatesConfig, known: Checked | None, question: Wanted) -> Checked | None:
    """Return the results of the requested gates for a question, if all of them are known."""
    if known is None or (known.question, known.answer) != (question.question, question.answer):
        return None
    results = tuple(result for result in known.results if result.gate in config.gates)
    return replace(known, results=results) if len(results) == len(config.gates) else None


def _refuse_another_index(config: GatesConfig, setup: Setup, of: RunInfo) -> None:
    searching = [gate.value for gate in config.gates if gate in _SEARCHING]
    same = setup.library.snapshot == of.fingerprint["index snapshot"]
    if searching and not config.any_index and not same:
        raise ConfigChanged(
            f"the index of the run {of.run_id} is not what it was, and {' and '.join(searching)} would "
            "search it: run only the other gates, or run all of them on today's index with --any-index"
        )


async def _check(
    run: RunReader, gates: Sequence[Gate], keeper: Gatekeeper, question: Wanted, recorder: Recorder
) -> Checked:
    outcome = run.outcome(question.index)
    assert outcome is not None
    seed, last = outcome.seed, outcome.rounds[-1]
    proposal = last.proposal
    place = Place(seed.id, last.index, Role.SOLVER)
    chance = place.random_seed(seed.random_seed)
    results = await check_all(gates, pair_of(proposal), keeper, place, recorder.sessions(seed.id), chance, stop=False)
    return Checked(seed.id, question.accepted, proposal.question, proposal.answer, results)
