"""Implements `questwell rejudge`: another judge judges the stored answers of a run. Makes no new question or answer.

The judge sees each question of the run with its reference and the answer of each attempt. From its judgements the run's
own rules decide the verdict again. Calls are recorded in a separate run file, so an interrupted rejudging continues
where it stopped; the run itself stays unchanged.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from questwell.errors import ConfigError
from questwell.games.verdict import Criteria, decide, is_decisive
from questwell.llm.batches import MOST_CALLS
from questwell.llm.client import LLM, Completion, Request
from questwell.llm.fingerprint import fingerprints
from questwell.recipes.evaluate.config import EXACT_MATCH, at_once
from questwell.recipes.evaluate.setup import NoRetriever, open_judge
from questwell.recipes.generate.playing import played_with
from questwell.recipes.rejudge.config import KIND, MAY_CHANGE, RejudgeConfig
from questwell.recipes.rejudge.results import RESULTS, Rejudged, Rejudging, Sums, TwiceJudged, keep, read, sums
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
from questwell.scoring.exact import AnswerJudge, ExactJudge
from questwell.store.reader import RunReader
from questwell.store.records import RunInfo
from questwell.types.game import Attempt, Judgement, Place, failed_rollout
from questwell.types.ids import id_order
from questwell.types.trajectory import Role


@dataclass(frozen=True, slots=True)
class RejudgeReport:
    """Result of an invocation."""

    run_id: str
    judge: str
    of: int
    """Number of questions to judge."""
    sums: Sums
    questions: list[Rejudged]
    ended: Report


@dataclass(frozen=True, slots=True)
class _Panel:
    """The second judge and its client."""

    llm: LLM | None
    judge: AnswerJudge
    prompts_hash: str

    @property
    def name(self) -> str:
        return EXACT_MATCH if self.llm is None else self.llm.name

    async def aclose(self) -> None:
        if self.llm is not None:
            await self.llm.aclose()


def configure(out: Path | None, given: Values, *, resume: bool = False) -> RejudgeConfig:
    """Return the config of a rejudging in `out`: the values `given`, with `resume` on top of the saved ones.

    Without `resume`, repeating the same command also continues: answered calls are not made again.

    Raises:
        ConfigError: an invalid value, or no run is named.
    """
    config = opening.configure(KIND, out, given, resume=True) if resume else resolve(RejudgeConfig, given)
    if config.of is None:
        raise ConfigError("say which run's answers are judged again: questwell rejudge RUN --judge MODEL")
    return config


def rejudge(config: RejudgeConfig, out: Path, *, limit: int | None = None, on_progress: OnProgress) -> RejudgeReport:
    """Judge the answers of the run again; continues where an earlier call stopped.

    Args:
        config: the config that `configure` returned.
        out: folder of the run file with the calls.
        limit: maximum number of questions in this invocation.
        on_progress: called with (questions judged, all questions).

    Raises:
        ConfigChanged: `out` was started with another judge, other prompts or another run.
        ConfigError: a cost limit is set, but the judge's price is unknown.
        RunLocked: another process writes `out`.
    """
    assert config.of is not None
    with RunReader(config.of) as run:
        with run.snapshot():
            info, questions = info_of(run), wanted(run, config)
        llm, judge, prompts_hash = open_judge(config)
        panel = _Panel(llm, judge or ExactJudge(), prompts_hash)
        with Run(KIND, config, out, resume=True) as opened:
            invocation = _Invocation(opened, panel, run, info)
            if config.shards is not None:
                asyncio.run(panel.aclose())
                return invocation.apart(questions, limit, on_progress)
            return opening.work(panel, lambda: invocation.run(questions, limit, on_progress))


def judge_shard(config: RejudgeConfig, folder: Path, limit: int | None, pipe: Connection) -> None:
    """Run one shard in its own process."""

    def judge(tell: OnProgress) -> Report:
        return rejudge(config, folder, limit=limit, on_progress=tell).ended

    work(pipe, lambda tell: judge(lambda done, of: tell(Pieces(done, of))))


def merge(folder: Path, sources: Sequence[Path]) -> int:
    """Join the rejudgings of `--shard 0/8` to `--shard 7/8` into a new one, and return the number of questions.

    See `merge_parts`.
    """
    merge_parts(_PARTS, folder, sources)
    _keep(folder, sources or folders(folder))
    return len(read(folder / RESULTS).questions) if (folder / RESULTS).is_file() else 0


_PARTS = Parts(KIND, [key for key in MAY_CHANGE if key != "rejected"], accept_gaps, lambda run: 0)


def _keep(folder: Path, parts: Sequence[Path]) -> None:
    found = [read(part / RESULTS) for part in parts if (part / RESULTS).is_file()]
    if found:
        keep(folder, replace(found[0], questions=tuple(one for each in found for one in each.questions)))


class _Invocation:
    """One invocation of a rejudging."""

    def __init__(self, opened: Run[RejudgeConfig], panel: _Panel, run: RunReader, info: RunInfo) -> None:
        self._opened = opened
        self._panel = panel
        self._run = run
        self._played = played_with(info)
        self._run_id = info.run_id
        self._llms: dict[Role, LLM] = {} if panel.llm is None else {Role.JUDGE: panel.llm}
        weights = fingerprints({role.value: llm for role, llm in self._llms.items()})
        self._fingerprint = {"of run": self._run_id, "judge": panel.name, "prompts": panel.prompts_hash, **weights}

    def apart(self, plays: Sequence[Wanted], limit: int | None, on_progress: OnProgress) -> RejudgeReport:
        """Judge the last question of each of `plays` in several processes."""
        opened = self._opened
        with run_file(opened, self._llms.values()) as store:
            asyncio.run(begin(opened, store, self._fingerprint))
            ended = check_apart(
                opened,
                store,
                self._at_once(),
                len(plays),
                limit=limit,
                check=judge_shard,
                keep=lambda parts: _keep(opened.folder, parts),
                on_progress=on_progress,
            )
        path = opened.folder / RESULTS
        known = {one.id: one for one in read(path).questions} if path.is_file() else {}
        found = [known[one.id] for one in plays if one.id in known and _same(known[one.id], one)]
        return RejudgeReport(self._run_id, self._panel.name, len(plays), sums(found), found, ended)

    async def run(self, plays: Sequence[Wanted], limit: int | None, on_progress: OnProgress) -> RejudgeReport:
        """Judge the last question of each of `plays`, until done or until budget, user or errors stop it."""
        config, panel, opened = self._opened.config, self._panel, self._opened
        done: dict[str, Rejudged] = {}
        with run_file(opened, self._llms.values()) as store:
            await begin(opened, store, self._fingerprint)
            invocation = Invocation(
                store,
                self._llms,
                NoRetriever(),
                config.limits(),
                batches=opened.folder if config.batch else None,
                spans=open_spans("rejudge", on=config.spans),
            )

            async def one(play: Wanted) -> str | None:
                found = await self._rejudged(play, invocation.recorder)
                done[found.id] = found
                on_progress(len(done), len(plays))
                return found.errored

            patience = Patience(self._at_once(), config.max_errors, limit)
            workers = invocation.workers(patience, "questions", opened.go_on)
            async with workers.running(lambda: on_progress(len(done), len(plays))):
                await workers.run(plays, one)
            ended = workers.ending(left=len(done) < len(plays))
        questions = [done[name] for name in sorted(done, key=id_order)]
        keep(opened.folder, Rejudging(self._run_id, panel.name, tuple(one for one in questions if not one.errored)))
        return RejudgeReport(self._run_id, panel.name, len(plays), sums(questions), questions, ended)

    def _at_once(self) -> int:
        config = self._opened.config
        return MOST_CALLS if config.batch else at_once(config.concurrency, config.judge)

    async def _rejudged(self, play: Wanted, recorder: Recorder) -> Rejudged:
        outcome = self._run.outcome(play.index)
        assert outcome is not None
        seed, last = outcome.seed, outcome.rounds[-1]
        proposal, sessions = last.proposal, recorder.sessions(seed.id)
        references = (proposal.answer, *proposal.aliases)

        async def again(attempt: Attempt) -> Attempt:
            if failed_rollout(attempt.trajectory) is not None:
                return attempt
            if self._panel.llm is None:
                judgement = await self._panel.judge.judge(
                    proposal.question, references, attempt.trajectory.answer, _asks_nobody
                )
                return replace(attempt, judgement=judgement)
            complete = sessions(Place(seed.id, last.index, Role.JUDGE, attempt.index)).complete
            answer = attempt.trajectory.answer
            return replace(
                attempt, judgement=await self._panel.judge.judge(proposal.question, references, answer, complete)
            )

        if self._opened.config.batch:  # all of them in one batch, instead of one batch per day
            asked = await asyncio.gather(*map(again, last.attempts), return_exceptions=True)
            attempts = [_given(one) for one in asked]
        else:
            attempts = [await again(attempt) for attempt in last.attempts]
        played = self._played
        criteria = Criteria(played.attempts, seed.target, played.acceptance(), played.unscored_is_wrong)
        pairs = zip(last.attempts, attempts, strict=True)
        return Rejudged(
            id=seed.id,
            accepted=play.accepted,
            question=proposal.question,
            answer=proposal.answer,
            answers=tuple(_twice(before, after.judgement) for before, after in pairs),
            before=last.verdict,
            after=decide(attempts, criteria),
            decided=len(attempts) == criteria.planned or is_decisive(attempts, criteria),
        )


def _same(known: Rejudged, question: Wanted) -> bool:
    return (known.question, known.answer) == (question.question, question.answer)


def _given(found: Attempt | BaseException) -> Attempt:
    if isinstance(found, BaseException):
        raise found
    return found


def _twice(before: Attempt, after: Judgement) -> TwiceJudged:
    return TwiceJudged(before.index, before.trajectory.answer, before.judgement.label, after.label, after.reason)


async def _asks_nobody(request: Request) -> Completion:
    raise AssertionError(f"an exact match asked a model: {request!r}")
