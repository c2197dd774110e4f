"""Labels a run's traces and failed questions with a model; calls are recorded next to the run and replayed."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from questwell.agents.labeller import Depth, Fault, Labeller, Strategy
from questwell.agents.prompts import Prompts
from questwell.errors import LLMError
from questwell.evaluation.failures import Easy, Unsolved, holding, why_easy, why_unsolved
from questwell.evaluation.statistics import Proportion, wilson
from questwell.llm.batches import MOST_CALLS
from questwell.llm.client import LLM
from questwell.recipes.evaluate.setup import NoRetriever
from questwell.recipes.reports.label_shares import LabelShares, save
from questwell.recipes.runs.agents import Model
from questwell.recipes.runs.description import info_of
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.invocation import Invocation, begin, run_file
from questwell.recipes.runs.opening import Kind, Run
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.spans import open_spans
from questwell.recipes.runs.spending import SpendingConfig
from questwell.recipes.runs.workers import Patience
from questwell.store.reader import RunReader
from questwell.types.game import Accepted, Outcome, Place, Round
from questwell.types.trajectory import Role

LABELLING = 1000
"""Round numbers from here on are labels in the run file, so that they never collide with a judge's calls."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Shares by label; unreadable replies count in `unread` and in no share."""

    strategies: dict[str, Proportion]
    """Shares of right attempts of accepted questions; several labels may apply to one."""
    faults: dict[str, Proportion]
    """Shares of unsolved questions whose answer was found."""
    superficial: dict[str, Proportion]
    """Shares of too easy questions for which nothing else was computed."""
    unread: int
    ended: Report


class LabelConfig(SpendingConfig):
    """Config keys for labelling: the model, how much to label, and spending limits."""

    llm: Model
    """Model that labels."""
    sample: int = Field(default=100, ge=1)
    """Number of traces, and of failed questions of each sort, to label; drawn at random."""
    seed: int = 0
    """Random seed of the draw."""
    concurrency: int = Field(default=16, ge=1)
    """Number of labels asked for at the same time."""
    max_errors: int = Field(default=20, ge=1)
    """Stop after this many failed labels in a row."""
    batch: bool = False
    """Send the calls in batches, at half the list price; they may take a day. Needs an endpoint with a batch API."""


_CALLS = "what it asks is compared call by call: an answered call is not made again"
KIND = Kind("labels", LabelConfig, dict.fromkeys(LabelConfig.model_fields, _CALLS))


async def label(
    folder: Path, config: LabelConfig, llm: LLM, prompts: Prompts, *, structured: bool, go_on: str = ""
) -> Labels:
    """Label traces and failed questions of the run in `folder`, until done or until budget, user or errors stop it.

    The calls are stored in the subfolder `labels`, and do not count as usage of the run.

    Raises:
        ConfigError: a cost limit is set, but the model's price is unknown.
        RunLocked: another process is writing the labels.
        StoreError: the folder contains no run of generate.
    """
    with RunReader(folder) as run, run.snapshot():
        info = info_of(run)
        pieces = _pieces(run, config)
        with Run(KIND, config, folder / "labels", resume=True) as opened, run_file(opened, [llm]) as store:
            await begin(opened, store, {"of run": info.run_id})
            invocation = Invocation(
                store,
                {Role.JUDGE: llm},
                NoRetriever(),
                config.limits(),
                earlier=run,
                batches=opened.folder if config.batch else None,
                spans=open_spans("labels", on=config.spans),
            )
            asked = _Asked(labeller_of(config, prompts, structured=structured), invocation.recorder)
            workers = invocation.workers(
                Patience(MOST_CALLS if config.batch else config.concurrency, config.max_errors), "labels", go_on
            )
            async with workers.running(lambda: None):
                await workers.run(pieces, asked.work)
            found = asked.labels(workers.ending(left=workers.done < len(pieces)))
    save(folder, LabelShares(found.strategies, found.faults, found.superficial, found.unread))
    return found


def labeller_of(config: LabelConfig, prompts: Prompts, *, structured: bool) -> Labeller:
    """Return the labeller, with the options and the token limit of the judge role."""
    given = config.role(Role.JUDGE).max_tokens or config.reader_tokens
    return Labeller(prompts, structured) if given is None else Labeller(prompts, structured, given)


_Piece = tuple[int, str, Round]
"""What is asked (0 strategies, 1 the fault, 2 the depth), the number of the seed, and its round."""
_SOLVER = Unsolved.SOLVER


@dataclass(frozen=True, slots=True)
class _At:
    """The position of a round."""

    seed_id: str
    index: int
    place: int
    """Its position among the play's rounds."""

    def read(self, run: RunReader) -> Round:
        outcome = run.outcome(self.index)
        assert outcome is not None
        return outcome.rounds[self.place]


def _pieces(run: RunReader, config: LabelConfig) -> list[_Piece]:
    """Return what to label. All plays are scanned, one in memory at a time; those drawn are read again."""
    accepted: list[_At] = []
    failed: dict[Outcome, list[_At]] = {Outcome.UNSOLVED: [], Outcome.TOO_EASY: []}
    for play in run.each_play():
        outcome = run.outcome(play.index)
        rounds = outcome.rounds if outcome is not None else ()
        for place, played in enumerate(rounds):
            if played.verdict.outcome in failed:
                failed[played.verdict.outcome].append(_At(play.seed_id, play.index, place))
        if isinstance(outcome, Accepted):
            accepted.append(_At(play.seed_id, play.index, len(rounds) - 1))

    def drawn(found: list[_At]) -> list[tuple[str, Round]]:
        return [(at.seed_id, at.read(run)) for at in _drawn(found, config.sample, config.seed)]

    return [
        *((0, seed, played) for seed, played in drawn(accepted)),
        *((1, seed, played) for seed, played in drawn(failed[Outcome.UNSOLVED]) if why_unsolved(played) is _SOLVER),
        *((2, seed, played) for seed, played in drawn(failed[Outcome.TOO_EASY]) if Easy.OTHER in why_easy(played, ())),
    ]


class _Asked:
    """Collects the labels."""

    def __init__(self, labeller: Labeller, recorder: Recorder) -> None:
        self._labeller = labeller
        self._recorder = recorder
        self._strategies: list[frozenset[Strategy] | None] = []
        self._faults: list[Fault | None] = []
        self._depths: list[Depth | None] = []

    async def work(self, piece: _Piece) -> str | None:
        """Ask for one label; returns why it failed, or None."""
        kind, seed_id, played = piece
        place = Place(seed_id, LABELLING + kind, Role.JUDGE, played.index)
        line = self._recorder.sessions(seed_id)(place)
        labeller, proposal = self._labeller, played.proposal
        try:
            if kind == 0:
                right = next(attempt for attempt in played.attempts if attempt.right)
                self._strategies.append(await labeller.strategies(proposal.question, right.trajectory, line))
            elif kind == 1:
                answers = [a.trajectory.answer for a in played.attempts if a.trajectory.answer is not None]
                self._faults.append(await labeller.fault(proposal, holding(played), answers, line))
            else:
                self._depths.append(await labeller.depth(proposal, line))
        except LLMError as error:
            return str(error)
        return None

    def labels(self, ended: Report) -> Labels:
        """Return the collected labels as shares."""
        read = [found for found in self._strategies if found is not None]
        return Labels(
            strategies={one.value: wilson(sum(one in found for found in read), len(read)) for one in Strategy},
            faults=_shares(Fault, self._faults),
            superficial=_shares(Depth, self._depths),
            unread=self._strategies.count(None) + self._faults.count(None) + self._depths.count(None),
            ended=ended,
        )


def _drawn(found: list[_At], sample: int, seed: int) -> list[_At]:
    if len(found) <= sample:
        return found
    return [found[at] for at in sorted(random.Random(seed).sample(range(len(found)), sample))]


def _shares(labels: type[Fault] | type[Depth], found: Sequence[Fault | Depth | None]) -> dict[str, Proportion]:
    counts = Counter(one for one in found if one is not None)
    return {one.value: wilson(counts[one], counts.total()) for one in labels}
