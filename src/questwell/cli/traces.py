"""Output of `questwell show` for an evaluation: all questions, or one with its attempts."""

from pathlib import Path

from rich.console import Console

from questwell.cli import screen
from questwell.cli.numbers import counted
from questwell.cli.text import one_line, quoted, read_what
from questwell.llm.speech import spoken, thoughts
from questwell.recipes.reports import traces as recipe
from questwell.recipes.reports.traces import Listed, Trace
from questwell.types.trajectory import Turn


def show_evaluation(run: Path, item: str | None, *, full: bool, json: bool) -> None:
    """Print all questions, or one in full. `full` has no effect, since one is always shown in full."""
    if item is None:
        listed = recipe.listing(run)
        if json:
            screen.print_json(list[Listed], listed)
        else:
            _print_listing(screen.out(), listed)
        return
    found = recipe.trace(run, item)
    if json:
        screen.print_json(Trace, found)
    else:
        _print_trace(screen.out(), found)


def _print_listing(console: Console, listed: list[Listed]) -> None:
    for one in listed:
        said = ", ".join(
            f"{label or 'not judged'} {quoted(trial.answer or '(no answer)', 40)}"
            for trial, label in zip(one.trials, one.labels, strict=True)
        )
        console.print(
            f"{one.id}  {one_line(one.question.question)} -> {one_line(one.question.answers[0], 40)}: "
            f"{said or 'not tried yet'}",
            soft_wrap=True,
        )


def _print_trace(console: Console, found: Trace) -> None:
    question = found.question
    group = f", {one_line(question.group)}" if question.group else ""
    console.print(f"{found.id}  {question.benchmark} {one_line(question.id)}{group}", soft_wrap=True)
    console.print(f"Question: {one_line(question.question, 1000)}", soft_wrap=True)
    console.print(f"Answers: {' | '.join(one_line(answer) for answer in question.answers)}", soft_wrap=True)
    for attempt in found.attempts:
        tried = attempt.trajectory
        console.print(
            f"Attempt {attempt.index}: {tried.stop.value}, {counted(tried.searches, 'search', 'searches')}",
            soft_wrap=True,
        )
        for turn in tried.turns:
            _print_turn(console, turn)
        console.print(f"  answer: {one_line(tried.answer or '(none)', 400)}", soft_wrap=True)
        if tried.error:
            console.print(f"  error: {one_line(tried.error, 400)}", soft_wrap=True)
        for judge, judgement in attempt.judgements.items():
            reason = f": {one_line(judgement.reason, 200)}" if judgement.reason else ""
            console.print(
                f"  {one_line(judge)}: {judgement.label.value} ({one_line(judgement.method)}){reason}", soft_wrap=True
            )


def _print_turn(console: Console, turn: Turn) -> None:
    if thought := thoughts(turn.reasoning, turn.text):
        console.print(f"  thought: {one_line(thought, 400)}", soft_wrap=True)
    if said := spoken(turn.text):
        console.print(f"  wrote: {one_line(said, 400)}", soft_wrap=True)
    if turn.query is not None:
        titles = ", ".join(f"{one_line(hit.passage.title, 40)} [{one_line(hit.passage.id, 40)}]" for hit in turn.hits)
        console.print(f"  searched {quoted(turn.query, 200)}: {titles or 'nothing was found'}", soft_wrap=True)
    if (reading := turn.reading) is not None:
        found = counted(len(turn.hits), "passage")
        console.print(f"  {read_what(reading)}: {found}", soft_wrap=True)
