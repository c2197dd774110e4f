"""Implements `questwell recheck`: attempts, judge and gates on questions that a person edited or wrote.

The result is a run in its own folder, which `show`, `status`, `view` and `export` can read. An interrupted recheck
continues where it stopped, and no call is paid twice. The rechecked run stays unchanged.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar, Self

from pydantic import model_validator

from questwell.errors import ConfigError, StoreError
from questwell.games.sage import Rules, examine
from questwell.recipes.generate.candidates import Candidates, read_candidates
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.merge import refuse_gaps
from questwell.recipes.generate.playing import PLAY_MAY_CHANGE, PlayConfig, played_with
from questwell.recipes.generate.plays import Plays, question_key
from questwell.recipes.generate.setup import Setup, open_setup
from questwell.recipes.runs import opening
from questwell.recipes.runs.caller import DEFAULTS, Caller
from questwell.recipes.runs.config import Values, resolve, settle
from questwell.recipes.runs.description import config_of, info_of
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.invocation import begin, run_file
from questwell.recipes.runs.joining import Parts, merge_parts
from questwell.recipes.runs.opening import Kind, Run
from questwell.recipes.runs.parts import PartsConfig, play_apart
from questwell.recipes.runs.processes import Watch, work
from questwell.recipes.runs.progress import Progress, Tally, together
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus, WaveSeed
from questwell.types.game import Reason

FOLDER = "recheck"
"""Folder in a run's folder in which its edited items are rechecked."""
_OF = "recheck of"
_LAST = "last_round_takes_correct"


class RecheckConfig(PartsConfig, PlayConfig):
    """Config keys of `recheck`: the questions to try, and the models that play."""

    dropped: ClassVar[Collection[str]] = frozenset(Config.model_fields) - {
        *(*PlayConfig.model_fields, *PartsConfig.model_fields, _LAST)
    }

    source: Path | None = None
    """Questions to try: a run with edited items, or a file of questions (JSONL or parquet)."""
    last_round_takes_correct: bool = False
    """Accept a solved question even if it is too easy, as the paper's released training data does."""

    @model_validator(mode="after")
    def _all_attempts(self) -> Self:
        settle(self, "early_stop", value=False)  # a solve rate is needed
        return self

    def rules(self) -> Rules:
        """The rules of the game for an existing question."""
        return replace(super().rules(), last_round_takes_correct=self.last_round_takes_correct, weak=None)


MAY_CHANGE: Mapping[str, str] = {
    **PLAY_MAY_CHANGE,
    "source": "the run's id or the file's questions are compared instead, so that it may move",
}
"""Keys that a later call may change, with the reason why they change no result. Other changes are refused."""
KIND = Kind("recheck", RecheckConfig, MAY_CHANGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecheckReport(Report):
    """The result of a recheck."""

    tried: int
    accepted: int
    left: int
    """Number of questions that were not tried yet or errored."""


def configure(out: Path | None, given: Values, *, resume: bool = False) -> RecheckConfig:
    """Return the config of a recheck in `out`: the values `given`, on top of those of the run with the edits.

    With `resume`, the values go on top of the saved ones. Without it, repeating the command also continues.

    Raises:
        ConfigError: an invalid value, or no questions are named.
        StoreError: there is no run.
    """
    if resume:
        config = opening.configure(KIND, out, given, resume=True)
        if config.source is None:
            raise ConfigError(
                f"the recheck in {str(out)!r} is of an older version, which did not save what it tries: give its "
                f"command again (questwell recheck RUN|FILE --out {out})"
            )
        return config
    source = given.get("source")
    if source is None:
        raise ConfigError("say what to try again: questwell recheck RUN, or FILE with questions")
    return resolve(RecheckConfig, _played_by(Path(str(source)).expanduser()), given)


def _played_by(source: Path) -> Values:
    """Return the models and rules of the run in `source`; empty if it is a file."""
    if not source.is_dir():
        return {}
    with RunReader(source) as run:
        info = info_of(run)
    return {**played_with(info).model_dump(), _LAST: config_of(info).get(_LAST, False)}


def run(config: RecheckConfig, out: Path, caller: Caller[[Progress]] = DEFAULTS) -> RecheckReport:
    """Run `recheck` from start to end with the setup that `config` names; continues where an earlier call stopped.

    Args:
        config: the config that `configure` returned.
        out: folder of the recheck.
        caller: its limit counts questions.

    Raises:
        BenchmarkError, ConfigError, StoreError: there is nothing to try, or it cannot be read.
        ConfigChanged: `out` was started with other settings.
        RunLocked: another process writes `out`.
    """
    assert config.source is not None
    candidates = read_candidates(config.source.expanduser(), config.seed)
    with Run(KIND, config, out, resume=True) as opened:
        setup = open_setup(config, caller.index_progress)
        if config.shards is not None:
            asyncio.run(setup.aclose())
            return _apart(opened, candidates, setup, caller)
        return opening.work(setup, lambda: _recheck(opened, candidates, setup, caller))


def try_part(config: RecheckConfig, folder: Path, limit: int | None, pipe: Connection) -> None:
    """Run one shard in its own process."""
    work(pipe, lambda tell: run(config, folder, Caller(limit=limit, on_progress=tell)))


def merge(folder: Path, sources: Sequence[Path]) -> int:
    """Join the rechecks of `--shard 0/8` to `--shard 7/8` into a new one, and return the number of questions.

    See `merge_parts`.
    """
    return merge_parts(_PARTS, folder, sources)


_PARTS = Parts(KIND, MAY_CHANGE, refuse_gaps, RunReader.drawn)


def _apart(
    opened: Run[RecheckConfig], candidates: Candidates, setup: Setup, caller: Caller[[Progress]]
) -> RecheckReport:
    """Try the questions in several processes."""

    def tell(watch: Watch[Progress]) -> None:
        caller.on_progress(together(watch.seen, watch.elapsed_s, stopping=watch.stopping))

    with run_file(opened, setup.llms.values(), setup.retriever) as store:
        asyncio.run(begin(opened, store, {**setup.fingerprint(), _OF: candidates.of}))
        at_once = opened.config.plays_at_once
        ended, _ = play_apart(opened, store, at_once, caller.limit, try_part, tell)
        return _report(store.read, {one.seed.index for one in candidates.questions if one.wanted}, ended)


def _report(run: RunReader, wanted: Collection[int], ended: Report) -> RecheckReport:
    plays = [play for play in run.each_play() if play.index in wanted]
    tried = sum(play.status is not PlayStatus.PENDING and play.reason is not Reason.ERRORED for play in plays)
    accepted = sum(play.status is PlayStatus.ACCEPTED for play in plays)
    numbers = {"tried": tried, "accepted": accepted, "left": len(wanted) - tried}
    return RecheckReport(ended.ending, ended.message, ended.go_on, **numbers)


async def _recheck(
    opened: Run[RecheckConfig], candidates: Candidates, setup: Setup, caller: Caller[[Progress]]
) -> RecheckReport:
    config = opened.config
    questions = [one for one in candidates.questions if config.part.holds(one.seed.index)]
    with run_file(opened, setup.llms.values(), setup.retriever) as store:
        drawn = store.read.drawn()
        if drawn > len(questions):
            raise StoreError(f"{str(opened.folder)!r} has more questions than were given now; choose another --out")
        await begin(opened, store, {**setup.fingerprint(), _OF: candidates.of})
        await store.add_seeds([WaveSeed(one.seed, 0) for one in questions[drawn:]])
        rules, wanted = config.rules(), {one.seed.index: one.proposal for one in questions if one.wanted}
        tally = Tally(store.read, len(wanted), None)
        plays = Plays(opened, setup, store, tally, caller, "questions")

        async def try_one(drawn: WaveSeed) -> str | None:
            seed = drawn.seed
            return await plays.play(
                seed,
                lambda sessions: examine(seed, wanted[seed.index], rules, setup.players, sessions),
                key=lambda found: f"{seed.index} {question_key(found)}",  # the same question may be tried twice
            )

        def waiting() -> list[WaveSeed]:
            return [drawn for drawn in store.read.unplayed() if drawn.seed.index in wanted]

        async with plays.workers.running(plays.tell):
            await plays.workers.run(waiting(), try_one)
        return _report(store.read, wanted, plays.ending(len(waiting())))
