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

from questwell.games.verdict import Criteria, decide, is_decisive
from questwell.llm.batches import MOST_CALLS
from questwell.llm.client import LLM, Completion, Request
from questwell.llm.fingerprint import fingerprints
from questwell.recipes.evaluate.config import EXACT_MATCH, at_once
from questwell.recipes.evaluate.setup import NoRetriever, open_judge
from questwell.recipes.generate.playing import PlayConfig, played_with
from questwell.recipes.rejudge.config import KIND, MAY_CHANGE, RejudgeConfig
from questwell.recipes.rejudge.results import RESULTS, Rejudged, Rejudging, Sums, TwiceJudged, keep, read, sums
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
from questwell.scoring.exact import AnswerJudge, ExactJudge
from questwell.store.reader import RunReader
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

    @property
    def llms(self) -> dict[Role, LLM]:
        return {} if self.llm is None else {Role.JUDGE: self.llm}

    async def aclose(self) -> None:
        if self.llm is not None:
            await self.llm.aclose()


def configure(out: Path | None, given: Values, *, resume: bool = False) -> RejudgeConfig:
    """Return the config of a rejudging in `out`; see `checking.configure`."""
    usage = "say which run's answers are judged again: questwell rejudge RUN --judge MODEL"
    return checking.configure(KIND, out, given, resume=resume, usage=usage)


def rejudge(config: RejudgeConfig, out: Path, caller: Caller[[int, int]] = DEFAULTS) -> RejudgeReport:
    """Judge the last question of each play again; continues where an earlier call stopped.

    Args:
        config: the config that `configure` returned.
        out: folder of the run file with the calls.
        caller: its progress is (questions judged, all questions).

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
            weights = fingerprints({role.value: llm for role, llm in panel.llms.items()})
            fingerprint = {"of run": info.run_id, "judge": panel.name, "prompts": prompts_hash, **weights}
            together = MOST_CALLS if config.batch else at_once(config.concurrency, config.judge)
            checks = Checking(opened, panel.llms, NoRetriever(), fingerprint, together, questions, caller)
            if config.shards is None:
                again = _Again(panel, run, played_with(info), batch=config.batch)
                found, ended = opening.work(panel, lambda: checks.run(again.judge))
                done = sorted(found.values(), key=lambda one: id_order(one.id))
                keep(out, Rejudging(info.run_id, panel.name, tuple(one for one in done if not one.errored)))
            else:
                asyncio.run(panel.aclose())
                ended = checks.apart(judge_shard, _keep)
                known = {one.id: one for one in read(out / RESULTS).questions} if (out / RESULTS).is_file() else {}
                done = [known[one.id] for one in questions if one.id in known and _same(known[one.id], one)]
    return RejudgeReport(info.run_id, panel.name, len(questions), sums(done), done, ended)


def judge_shard(config: RejudgeConfig, folder: Path, limit: int | None, pipe: Connection) -> None:
    """Run one shard in its own process."""
    check_part(pipe, folder, limit, lambda folder, caller: rejudge(config, folder, caller).ended)


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


@dataclass(frozen=True, slots=True)
class _Again:
    """Judges the answers of a run again."""

    panel: _Panel
    run: RunReader
    played: PlayConfig
    batch: bool

    async def judge(self, play: Wanted, recorder: Recorder) -> Rejudged:
        """Return the last question of a play with the verdicts of both judges."""
        outcome = self.run.outcome(play.index)
        assert outcome is not None
        seed, last = outcome.seed, outcome.rounds[-1]
        proposal, sessions = last.proposal, recorder.sessions(seed.id)
        references = (proposal.answer, *proposal.aliases)

        async def again(attempt: Attempt) -> Attempt:
            if failed_rollout(attempt.trajectory) is not None:
                return attempt
            if self.panel.llm is None:
                judgement = await self.panel.judge.judge(
                    proposal.question, references, attempt.trajectory.answer, _asks_nobody
                )
                return replace(attempt, judgement=judgement)
            complete = sessions(Place(seed.id, last.index, Role.JUDGE, attempt.index)).complete
            answer = attempt.trajectory.answer
            return replace(
                attempt, judgement=await self.panel.judge.judge(proposal.question, references, answer, complete)
            )

        if self.batch:  # all of them in one batch, instead of one batch per day
            asked = await asyncio.gather(*map(again, last.attempts), return_exceptions=True)
            attempts = [_given(one) for one in asked]
        else:
            attempts = [await again(attempt) for attempt in last.attempts]
        played = self.played
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
