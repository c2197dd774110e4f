"""Output of `show` for self-play runs: the steps, the questions of a step, or one slot in full."""

from collections.abc import Callable
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from questwell.cli import screen
from questwell.cli.text import one_line, visible
from questwell.cli.trained import print_message
from questwell.recipes.selfplay.record import Record, StepRow
from questwell.types.selfplay import Episode
from questwell.types.trajectory import Trajectory

COLUMNS: tuple[tuple[str, Callable[[StepRow], str]], ...] = (
    ("step", lambda row: str(row.step)),
    ("valid", lambda row: _share(row, "valid_rate")),
    ("solver", lambda row: _share(row, "solver_accuracy")),
    ("held out", lambda row: _share(row, "held_out_accuracy")),
    ("proposer reward", lambda row: _number(row, "proposer_reward")),
    ("searches p/s", lambda row: f"{_number(row, 'proposer_searches', 1)}/{_number(row, 'solver_searches', 1)}"),
    ("length", lambda row: _number(row, "question_length", 0)),
    ("KL p/s", lambda row: f"{_number(row, 'proposer_kl', 3)}/{_number(row, 'solver_kl', 3)}"),
    ("entropy p/s", lambda row: f"{_number(row, 'proposer_entropy')}/{_number(row, 'solver_entropy')}"),
    ("pool", lambda row: _number(row, "pool", 0)),
    ("tokens/s", lambda row: f"{row.timing.get('tokens_per_s', 0):,.0f}"),
    ("s", lambda row: f"{row.timing.get('seconds', 0):.0f}"),
)


def show_selfplay(run: Path, item: str | None, *, full: bool, json: bool) -> None:
    """Print `questwell show` for a self-play run: all steps, the questions of one, or one slot (`12/3`).

    `full` changes nothing: a slot is always shown in full.
    """
    record = Record(run)
    console = screen.out()
    if item is None:
        rows = record.rows()
        if json:
            screen.print_json(list[StepRow], rows)
        else:
            print_steps(console, rows)
        return
    step, _, slot = item.partition("/")
    if not step.isdigit() or (slot and not slot.isdigit()):
        raise typer.BadParameter(f"{item!r}: name a step (12) or a slot of it (12/3)", param_hint="ITEM")
    episodes = record.episodes(int(step))
    if slot:
        if int(slot) >= len(episodes):
            raise typer.BadParameter(f"step {step} has {len(episodes)} slots, from 0", param_hint="ITEM")
        episodes = episodes[int(slot) : int(slot) + 1]
    if json:
        screen.print_json(list[Episode], episodes)
    elif slot:
        print_episode(console, episodes[0])
    else:
        for number, episode in enumerate(episodes):
            print_slot(console, number, episode)


def print_steps(console: Console, rows: list[StepRow]) -> None:
    """Print one line per step."""
    if not rows:
        console.print("The run has no steps yet.")
        return
    table = Table(box=None, pad_edge=False)
    for name, _ in COLUMNS:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(show(row) for _, show in COLUMNS))
    console.print(table)
    raised = [(row.step, alarm) for row in rows for alarm in row.alarms]
    for step, alarm in raised[-3:]:
        console.print(f"alarm at step {step}: {alarm}", soft_wrap=True)


def print_slot(console: Console, number: int, episode: Episode) -> None:
    """Print a slot in two lines: the proposal and its outcome."""
    proposed = episode.proposed
    state = "valid" if proposed.valid else (proposed.invalid.value if proposed.invalid else "")
    question = one_line(proposed.question or proposed.detail, 300)
    head = Text.assemble(f"{number:3}  ", (f"{state:<14}", "green" if proposed.valid else "yellow"))
    console.print(Text.assemble(head, f"{question} -> {one_line(proposed.seed.answer)}"), soft_wrap=True)
    console.print(f"     {_paid(episode)}", soft_wrap=True)


def print_episode(console: Console, episode: Episode) -> None:
    """Print a slot in full: proposal, checks, attempts, rewards."""
    proposed, problem = episode.proposed, episode.problem
    seed = proposed.seed
    console.print(f"Answer: {one_line(seed.answer)}, about {seed.hops} searches wanted ({seed.id})", soft_wrap=True)
    if seed.passage is not None:
        console.print(f"Stands in: {one_line(seed.passage.title)} [{one_line(seed.passage.id)}]", soft_wrap=True)
    _rollout(console, "Proposer", proposed.trajectory)
    if proposed.question is not None:
        console.print(Text(f"Question: {visible(proposed.question)}", style="bold"), soft_wrap=True)
    if proposed.verification is not None:
        found = proposed.verification
        console.print(f"Verification: {found.outcome.value}, {one_line(found.reason, 300)}", soft_wrap=True)
    if not proposed.valid and proposed.invalid is not None:
        console.print(f"Invalid: {proposed.invalid.value}, {one_line(proposed.detail, 300)}", soft_wrap=True)
    if episode.filled and problem is not None:
        pair = f"{one_line(problem.question, 300)} -> {one_line(problem.references[0])}"
        console.print(f"Filled from the pool ({problem.id}, step {problem.step}): {pair}", soft_wrap=True)
    for attempt in episode.attempts:
        trajectory = attempt.trajectory
        said = "no answer" if trajectory.answer is None else one_line(trajectory.answer)
        _rollout(console, f"Attempt {attempt.index} ({attempt.judgement.label.value}, {said})", trajectory)
    console.print(_paid(episode), soft_wrap=True)


def _rollout(console: Console, name: str, trajectory: Trajectory) -> None:
    console.print(Text(f"{name}, {trajectory.searches} searches, {trajectory.stop.value}", style="dim"), soft_wrap=True)
    for turn in trajectory.turns:
        print_message(console, turn.reasoning, turn.text)
        if turn.query is not None:
            found = "; ".join(one_line(hit.passage.title or hit.passage.text, 60) for hit in turn.hits) or "nothing"
            console.print(f"      -> {found}", soft_wrap=True)
    if trajectory.error:
        console.print(f"    failed: {one_line(trajectory.error, 300)}", soft_wrap=True)


def _paid(episode: Episode) -> str:
    reward = "not paid" if episode.proposer_reward is None else f"paid {episode.proposer_reward:.2f}"
    if episode.problem is None:
        return f"nothing was attempted; the proposer is {reward}"
    source = "a problem of the pool, " if episode.filled else ""
    return f"{source}{episode.right} of {episode.scored} right; the proposer is {reward}"


def _share(row: StepRow, name: str) -> str:
    value = row.values.get(name)
    return "-" if value is None else f"{100 * value:.0f} %"


def _number(row: StepRow, name: str, digits: int = 2) -> str:
    value = row.values.get(name)
    return "-" if value is None else f"{value:,.{digits}f}"
