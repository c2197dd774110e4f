"""Stores what a second judge said of a run's answers, next to the first judge's labels; one file per judge."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter

from questwell.errors import StoreError
from questwell.evaluation.statistics import Proportion, wilson
from questwell.recipes.runs import files
from questwell.types.certificate import Agreement
from questwell.types.game import Label, Outcome, Verdict
from questwell.types.ids import id_order

FOLDER = "rejudge"
"""Folder in a run's folder. Each further judge has a subfolder for its calls and results, unless --out names one."""
RESULTS = "results.json"
_COUNTED = (Label.RIGHT, Label.WRONG)


@dataclass(frozen=True, slots=True)
class TwiceJudged:
    """One answer with the labels of both judges."""

    attempt: int
    answer: str | None
    before: Label
    """Judgement of the run's own judge."""
    after: Label
    """Judgement of the other judge."""
    reason: str
    """The other judge's reason, or the failure."""


@dataclass(frozen=True, slots=True)
class Rejudged:
    """One question with the verdicts of both judges."""

    id: str
    """Id of the question's seed."""
    accepted: bool
    """Whether the run accepted it."""
    question: str
    answer: str
    answers: tuple[TwiceJudged, ...]
    before: Verdict
    after: Verdict
    """Verdict from the other judge's labels of the same attempts, by the run's own rules."""
    decided: bool
    """Whether the other judge's verdict is final; False if attempts that the early stop skipped could change it."""

    @property
    def changed(self) -> bool:
        """Whether the other judge comes to another outcome."""
        return self.decided and self.before.outcome is not self.after.outcome

    @property
    def errored(self) -> str | None:
        """The failure; None if there was none."""
        return next((one.reason for one in self.answers if one.after is Label.ERRORED), None)


@dataclass(frozen=True)
class Rejudging:
    """All results of one judge for a run."""

    run_id: str
    judge: str
    questions: tuple[Rejudged, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Rejudged]:
        """The results by question."""
        return {one.id: one for one in self.questions}


_RESULTS = TypeAdapter(Rejudging)


@dataclass(frozen=True, slots=True)
class Sums:
    """Agreement of two judges over a run."""

    questions: int
    answers: int
    """Number of answers that both judges scored."""
    agreement: Proportion
    """Share of those answers on which they agree, with its 95 % Wilson interval."""
    only_before: int
    """Number of answers that only the run's own judge called right."""
    only_after: int
    """Number of answers that only the other judge called right."""
    unscored: int
    """Number of answers for which the other judge gave no usable reply."""
    outcomes: dict[str, int]
    """Number of questions by change of verdict, such as `pass -> unsolved`; includes unchanged and undecided ones."""
    kept: int
    """Number of accepted questions that the other judge would also accept."""
    accepted: int
    """Number of accepted questions that were judged again."""


def sums(questions: Sequence[Rejudged]) -> Sums:
    """Count the agreement of the two judges."""
    answers = [one for question in questions for one in question.answers]
    both = [one for one in answers if one.before in _COUNTED and one.after in _COUNTED]
    outcomes: dict[str, int] = {}
    for question in questions:
        after = question.after.outcome.value if question.decided else "undecided"
        name = f"{question.before.outcome.value} -> {after}"
        outcomes[name] = outcomes.get(name, 0) + 1
    accepted = [one for one in questions if one.accepted]
    return Sums(
        questions=len(questions),
        answers=len(both),
        agreement=wilson(sum(one.before is one.after for one in both), len(both)),
        only_before=sum(one.before is Label.RIGHT and one.after is Label.WRONG for one in both),
        only_after=sum(one.before is Label.WRONG and one.after is Label.RIGHT for one in both),
        unscored=sum(one.after is Label.UNSCORED for one in answers),
        outcomes=dict(sorted(outcomes.items(), key=lambda pair: (-pair[1], pair[0]))),
        kept=sum(one.decided and one.after.outcome is Outcome.PASS for one in accepted),
        accepted=len(accepted),
    )


def folder_of(run: Path, judge: str) -> Path:
    """Return the default folder for the results of `judge` about `run`."""
    return run / FOLDER / (re.sub(r"[^\w.-]+", "-", judge).strip("-.")[:80] or "judge")


def keep(out: Path, found: Rejudging) -> None:
    """Save the results; keeps earlier results for other questions."""
    path = out / RESULTS
    known = {one.id: one for one in (read(path).questions if path.is_file() else ())}
    known.update({one.id: one for one in found.questions})
    whole = Rejudging(found.run_id, found.judge, tuple(known[name] for name in sorted(known, key=id_order)))
    files.replace(path, _RESULTS.dump_json(whole))


def read(path: Path) -> Rejudging:
    """Read the results in a file; raises StoreError if it cannot be read."""
    try:
        return _RESULTS.validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"{str(path)!r} cannot be read ({error}); run questwell rejudge again to make it") from None


def judges_of(run: Path) -> list[Rejudging]:
    """Return the results of every further judge in the run's default folder, by name; empty if there are none."""
    return [read(path) for path in sorted((run / FOLDER).glob(f"*/{RESULTS}"))]


@dataclass(frozen=True, slots=True)
class Second:
    """One further judge's labels of the answers to one question."""

    judge: str
    said: Rejudged


def seconds(judges: Iterable[Rejudging], seed: str, question: str, answer: str) -> tuple[Second, ...]:
    """Return each judge's labels for one question, unless the question has changed since."""
    found = ((judge.judge, judge.by_id.get(seed)) for judge in judges)
    return tuple(Second(judge, one) for judge, one in found if one and (one.question, one.answer) == (question, answer))


def agreements(judges: Iterable[Rejudging], seed: str, question: str, answer: str) -> tuple[Agreement, ...]:
    """Return how far each judge agrees about the answers to one question, unless the question has changed since."""
    found: list[Agreement] = []
    for second in seconds(judges, seed, question, answer):
        both = [each for each in second.said.answers if each.before in _COUNTED and each.after in _COUNTED]
        found.append(Agreement(second.judge, sum(each.before is each.after for each in both), len(both)))
    return tuple(found)
