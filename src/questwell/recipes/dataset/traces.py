"""Implements `questwell export --traces`: exports rollouts of proposer and solvers with rewards and verdicts.

atif       one Agent Trajectory Interchange Format document per line (version 1.7)
sts        one file per trajectory in the hub's Session Trace Simple Format, in a folder
messages   one dialogue per line, with function calls as chat endpoints take them
pairs      a right and a wrong attempt at one question per line, for preference training
"""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import groupby
from pathlib import Path

from questwell.errors import StoreError
from questwell.recipes.dataset.dialogues import Trace, atif, messages, session
from questwell.recipes.runs.description import info_of
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.text.whole import whole
from questwell.types.game import Accepted, Label, Rejected
from questwell.types.trajectory import Role

_REWARD = {Label.RIGHT: 1.0, Label.WRONG: 0.0}
"""Reward of an attempt by its label; errored and unscored attempts have none."""


class Traces(StrEnum):
    """Formats of exported trajectories."""

    ATIF = "atif"
    STS = "sts"
    MESSAGES = "messages"
    PAIRS = "pairs"


def export_traces(folder: Path, out: Path, format_: Traces, *, rejected: bool = False) -> int:
    """Write the trajectories (or pairs) of the run in `folder` to `out`, and return their number.

    Raises:
        StoreError: there are no trajectories, or `out` cannot be written.
    """
    try:
        if format_ is Traces.STS:
            return _sessions(_traces(folder, rejected=rejected), out)
        rows = (
            _pairs(folder, rejected=rejected) if format_ is Traces.PAIRS else _rows(folder, format_, rejected=rejected)
        )
        count = 0
        with whole(out) as path, path.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
            if not count:
                raise StoreError(f"the run in {str(folder)!r} has no trajectories of this kind to export")
        return count
    except OSError as error:
        raise StoreError(f"{str(out)!r} cannot be written: {error}") from error


def _rows(folder: Path, format_: Traces, *, rejected: bool) -> Iterator[Mapping[str, object]]:
    for trace in _traces(folder, rejected=rejected):
        yield atif(trace) if format_ is Traces.ATIF else _dialogue(trace)


def _sessions(traces: Iterator[Trace], out: Path) -> int:
    count = 0
    for trace in traces:
        with whole(out / f"{trace.id}.jsonl") as path:
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in session(trace))
            path.write_text(text, encoding="utf-8", newline="\n")
        count += 1
    if not count:
        raise StoreError("the run has no trajectories of this kind to export")
    return count


def _traces(folder: Path, *, rejected: bool) -> Iterator[Trace]:
    with RunReader(folder) as run:
        name = info_of(run).run_id
        for play in run.each_play():
            if play.status is PlayStatus.PENDING or (play.status is PlayStatus.REJECTED and not rejected):
                continue
            outcome = run.outcome(play.index)
            if outcome is not None:
                state = {"status": play.status.value, "reason": play.reason.value if play.reason else None}
                yield from _of_play(f"{name}-{play.seed_id}", outcome, state)


def _of_play(name: str, outcome: Accepted | Rejected, state: Mapping[str, object]) -> Iterator[Trace]:
    seed = outcome.seed
    wanted = "any number of" if seed.target is None else str(seed.target)
    opening = f"Write a question that needs {wanted} searches, from: {seed.passage.title}\n{seed.passage.text}"
    for played in outcome.rounds:
        pair, verdict = played.proposal, played.verdict
        facts = {
            **state,
            "round": played.index,
            "question": pair.question,
            "answer": pair.answer,
            "outcome": verdict.outcome.value,
            "difficulty": verdict.difficulty,
            "solve_rate": verdict.solve_rate,
        }
        passed = 1.0 if isinstance(outcome, Accepted) and played is outcome.rounds[-1] else 0.0
        yield Trace(f"{name}-r{played.index}-proposer", opening, pair.trajectory, passed, {**facts, "label": None})
        for attempt in played.attempts:
            label = attempt.judgement.label
            yield Trace(
                f"{name}-r{played.index}-a{attempt.index}",
                pair.question,
                attempt.trajectory,
                _REWARD.get(label),
                {**facts, "label": label.value, "judged_by": attempt.judgement.method},
            )
    if isinstance(outcome, Rejected) and outcome.trajectory is not None:
        facts = {**state, "round": len(outcome.rounds), "question": "", "answer": "", "outcome": None}
        facts |= {"difficulty": None, "solve_rate": None}
        yield Trace(f"{name}-draft", opening, outcome.trajectory, 0.0, {**facts, "label": None})


def _dialogue(trace: Trace) -> dict[str, object]:
    trajectory = trace.trajectory
    return {
        "id": trace.id,
        "role": trajectory.role.value,
        "model": trajectory.model,
        "messages": messages(trace),
        "reward": trace.reward,
        "stop": trajectory.stop.value,
        **trace.facts,
    }


def _pairs(folder: Path, *, rejected: bool) -> Iterator[dict[str, object]]:
    """Yield each wrong attempt with a right one at the same question, both in chronological order."""
    scored = (
        trace
        for trace in _traces(folder, rejected=rejected)
        if trace.trajectory.role is Role.SOLVER and trace.reward is not None
    )
    for name, group in groupby(scored, key=lambda trace: trace.id.rpartition("-a")[0]):
        attempts = list(group)
        right = [one for one in attempts if one.reward]
        wrong = [one for one in attempts if not one.reward]
        for number, bad in enumerate(wrong):
            if right:
                good = right[number % len(right)]
                prompt, *chosen = messages(good)
                yield {
                    "id": f"{name}-{number}",
                    "prompt": [prompt],
                    "chosen": chosen,
                    "rejected": messages(bad)[1:],
                    "question": good.facts["question"],
                    "answer": good.facts["answer"],
                }
