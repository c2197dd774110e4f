"""Behind `questwell recheck`: K attempts, the judge and the gates on questions that a person edited or somebody wrote.

What comes out is a run in a folder of its own, which `show`, `status`, `view` and `export` read. An interrupted one
goes on where it stopped, and no call is paid twice. The run that is rechecked stays as it is.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from pydantic import model_validator

from questwell.errors import ConfigError, StoreError
from questwell.games.sage import Rules, examine
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate.candidates import Candidate, Candidates, read_candidates
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.playing import PLAY_MAY_CHANGE, PlayConfig, played_with
from questwell.recipes.generate.setup import Setup, open_setup
from questwell.recipes.runs import opening
from questwell.recipes.runs.budget import Budget, refuse_unknown_prices
from questwell.recipes.runs.config import Values, resolve, settle
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.opening import Kind, Run, config_of, info_of
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.workers import Patience, Workers
from questwell.scoring.answers import normalise
from questwell.store.reader import RunReader
from questwell.store.records import WaveSeed
from questwell.store.run import RunStore
from questwell.types.game import Accepted, Reason, Rejected

FOLDER = "recheck"
"""Folder in a run's folder in which its edited items are tried."""
_OF = "recheck of"
_LAST = "last_round_takes_correct"


class RecheckConfig(PlayConfig):
    """Keys of `recheck`: the questions to try, and the models that play."""

    dropped: ClassVar[Collection[str]] = frozenset(Config.model_fields) - {*PlayConfig.model_fields, _LAST}

    source: Path | None = None
    """Questions to try: a run with edited items, or a file of questions (JSONL or parquet)."""
    last_round_takes_correct: bool = False
    """Accept a solved question even if it is too easy, as the paper's released training data does."""

    @model_validator(mode="after")
    def _all_attempts(self) -> Self:
        settle(self, "early_stop", value=False)  # a solve rate is wanted
        return self

    def rules(self) -> Rules:
        """The game's rules for a question that is there already."""
        return Rules(
            attempts=self.attempts,
            early_stop=self.early_stop,
            acceptance=self.acceptance(),
            unscored_is_wrong=self.unscored_is_wrong,
            last_round_takes_correct=self.last_round_takes_correct,
            minimum_difficulty=self.min_difficulty,
            gates=self.gates or (),
        )


MAY_CHANGE: Mapping[str, str] = {
    **PLAY_MAY_CHANGE,
    "source": "the run's id or the file's questions are compared instead, so that it may move",
}
"""Keys that a later call may give another value, and why: they change no result. Any other change is refused."""
KIND = Kind("recheck", RecheckConfig, MAY_CHANGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecheckReport(Report):
    """The result of a recheck."""

    tried: int
    accepted: int
    left: int
    """Number of questions that were not tried yet, or errored."""


def configure(out: Path | None, given: Values, *, resume: bool = False) -> RecheckConfig:
    """The config of a recheck kept in `out`: what is `given`, over that of the run whose items were edited.

    With `resume` it goes over what the recheck that is there has saved. Without it, the same command goes on too.

    Raises:
        ConfigError: a value that cannot be, or nothing is named that could be tried.
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
    """The models and rules of the run in `source`; nothing if it is a file."""
    if not source.is_dir():
        return {}
    with RunReader(source) as run:
        info = info_of(run)
    return {**played_with(info).model_dump(), _LAST: config_of(info).get(_LAST, False)}


def run(
    config: RecheckConfig, out: Path, *, limit: int | None = None, index_progress: IndexProgress | None = None
) -> RecheckReport:
    """`recheck` with the setup that `config` names, from start to end; goes on where an earlier call stopped.

    Args:
        config: from `configure`.
        out: folder of the recheck.
        limit: most questions of this invocation.
        index_progress: whoever watches the index being built.

    Raises:
        BenchmarkError, ConfigError, StoreError: there is nothing to try, or it cannot be read.
        ConfigChanged: `out` was started with something else.
        RunLocked: another process writes `out`.
    """
    assert config.source is not None
    candidates = read_candidates(config.source.expanduser(), config.seed)
    with Run(KIND, config, out, resume=True) as opened:
        setup = open_setup(config, index_progress)
        return opening.work(setup, lambda: _recheck(opened, candidates, setup, limit))


async def _recheck(
    opened: Run[RecheckConfig], candidates: Candidates, setup: Setup, limit: int | None
) -> RecheckReport:
    config, questions = opened.config, candidates.questions
    refuse_unknown_prices(config.limits(), setup.llms.values(), setup.retriever)
    with RunStore(opened.folder, opened.lock) as store:
        drawn = store.read.drawn()
        if drawn > len(questions):
            raise StoreError(f"{str(opened.folder)!r} has more questions than were given now; choose another --out")
        await store.begin(opened.compare({**setup.fingerprint(), _OF: candidates.of}))
        if config.price is not None:
            await store.price(config.price.input_usd, config.price.output_usd)
        await store.add_seeds([WaveSeed(one.seed, 0) for one in questions[drawn:]])
        budget = Budget(config.limits(), store.read.usage())
        recorder = Recorder(store, setup.llms, setup.retriever, budget)
        rules = config.rules()

        async def try_one(one: Candidate) -> str | None:
            found = await examine(one.seed, one.proposal, rules, setup.players, recorder.sessions(one.seed.id))
            key = f"{one.seed.index} {normalise(one.proposal.question)}" if isinstance(found, Accepted) else None
            await store.finish(found, key)
            return found.detail if isinstance(found, Rejected) and found.reason is Reason.ERRORED else None

        def left() -> list[Candidate]:
            waiting = {waiting.seed.index for waiting in store.read.unplayed()}
            return [one for one in questions if one.wanted and one.seed.index in waiting]

        workers = Workers(budget, Patience(config.plays_at_once, config.max_errors, limit), "questions", opened.go_on)
        async with workers.running(lambda: None):
            await workers.run(left(), try_one)
        waiting = len(left())
        ended = workers.ending(left=bool(waiting), errored=waiting, latest=store.read.latest_error() or "")
        wanted = [one for one in questions if one.wanted]
        accepted = sum(isinstance(store.read.outcome(one.seed.index), Accepted) for one in wanted)
        tried = len(wanted) - waiting
        return RecheckReport(ended.ending, ended.message, ended.go_on, tried=tried, accepted=accepted, left=waiting)
