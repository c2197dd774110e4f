"""Output of `status` and `show` for training runs, and of `status` for self-play."""

from pathlib import Path

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from questwell.cli import screen
from questwell.cli.ledger import print_ledger
from questwell.cli.text import one_line, quoted, visible
from questwell.llm.speech import spoken, thoughts
from questwell.recipes.reports import stepping as recipe
from questwell.recipes.reports.stepping import StepStatus, TrainAttempt
from questwell.recipes.runs.description import config_of

_TRAIN = (
    "reward",
    "accuracy",
    "searches",
    "finished",
    "truncated",
    "dropped",
    "entropy",
    "kl",
    "gradient_norm",
)
"""Metrics of train in table order; metrics that a run does not have are left out."""
_SELFPLAY = (
    "valid_rate",
    "solver_accuracy",
    "held_out_accuracy",
    "proposer_reward",
    "unscored_or_errored",
    "pool",
    "solver_kl",
    "solver_entropy",
)


def status_train(run: Path, *, json: bool) -> None:
    """Print `questwell status` for a run of train."""
    _print_status(recipe.train_status(run), run, ("data", "model", "algorithm"), _TRAIN, json=json)


def status_selfplay(run: Path, *, json: bool) -> None:
    """Print `questwell status` for a self-play run."""
    _print_status(recipe.selfplay_status(run), run, ("model", "corpus", "train"), _SELFPLAY, json=json)


def show_train(run: Path, item: str | None, *, full: bool, json: bool) -> None:
    """Print `questwell show` for a run of train: all steps, the saved attempts of one (`12`), or one (`12/0`)."""
    console = screen.out()
    if item is None:
        rows = recipe.train_rows(run)
        if json:
            screen.print_json(list[dict[str, float]], rows)
        elif rows:
            _print_rows(console, rows)
            console.print(f"The attempts of a step: questwell show {run} {rows[-1]['step']:.0f}", soft_wrap=True)
        else:
            console.print("The run has no steps yet.")
        return
    step, _, place = item.partition("/")
    if not step.isdigit() or (place and not place.isdigit()):
        raise typer.BadParameter(f"{item!r}: name a step (12) or an attempt of it (12/0)", param_hint="ITEM")
    attempts = recipe.train_attempts(run, int(step))
    if place:
        if int(place) >= len(attempts):
            raise typer.BadParameter(f"step {step} has {len(attempts)} saved attempts, from 0", param_hint="ITEM")
        attempts = attempts[int(place) : int(place) + 1]
    if json:
        screen.print_json(list[TrainAttempt], attempts)
        return
    for number, one in enumerate(attempts, start=int(place or 0)):
        _print_attempt(console, number, one, full=full or bool(place))
    if not attempts:
        console.print("No attempt of this step was saved (--show of train says how many are).")


def _print_status(found: StepStatus, run: Path, keys: tuple[str, ...], names: tuple[str, ...], *, json: bool) -> None:
    if json:
        screen.print_json(StepStatus, found)
        return
    console, config = screen.out(), config_of(found.info)
    toy = config.get("data") == "toy"  # which has a model of its own
    about = ", ".join(
        f"{key} {one_line(str(config[key]))}" for key in keys if config.get(key) and not (toy and key == "model")
    )
    console.print(
        f"Run {found.info.run_id} of {found.info.kind}: {about}, started {found.info.created}", soft_wrap=True
    )
    wanted = "" if found.wanted is None else f" of {found.wanted:,}"
    saved = f"checkpoint of step {found.saved:,}" if found.saved else "no checkpoint yet"
    console.print(f"Steps: {found.steps:,}{wanted}; {saved}", soft_wrap=True)
    newest = ", ".join(f"{name} {_figure(found.newest.get(name))}" for name in names if name in found.newest)
    if newest:
        console.print(f"Newest step: {newest}", soft_wrap=True)
    if found.best is not None:
        _print_evaluations(console, found)
    for alarm in found.alarms:
        console.print(f"Alarm: {one_line(alarm, 300)}", soft_wrap=True)
    for ledger in found.ledgers:
        print_ledger(console, ledger)
    if found.model is not None:
        console.print(f"Policy: {found.model} (a Hugging Face folder; also --llm {found.model})", soft_wrap=True)
    console.print(f"Steps one by one: questwell show {run}", soft_wrap=True)


def _print_evaluations(console: Console, found: StepStatus) -> None:
    assert found.best is not None
    table = Table(title="Held-out evaluations", title_justify="left", box=None, pad_edge=False)
    names = ("reward", "accuracy", "searches", "dropped")
    for name in ("step", *names):
        table.add_column(name, justify="right")
    for row in found.evaluations:
        figures = (_figure(row.get(f"held_out_{name}")) for name in names)
        table.add_row(f"{row['step']:.0f}", *figures, style="bold" if row["step"] == found.best["step"] else None)
    console.print(table)
    where = found.best_model or "the policy before training"
    console.print(f"Best, the earliest of equal ones: step {found.best['step']:.0f}, {where}", soft_wrap=True)


def _print_rows(console: Console, rows: list[dict[str, float]]) -> None:
    table = Table(box=None, pad_edge=False)
    names = ["step", *(name for name in _TRAIN if any(name in row for row in rows)), "rollout_s", "update_s"]
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*(f"{row['step']:.0f}" if name == "step" else _figure(row.get(name)) for name in names))
    console.print(table)


def _print_attempt(console: Console, number: int, one: TrainAttempt, *, full: bool) -> None:
    earned = "not trained on" if one.reward is None else f"reward {one.reward:.2f}"
    said = "no answer" if one.answer is None else f"answer {quoted(one.answer)}"
    references = " | ".join(one_line(answer) for answer in one.answers)
    console.print(Text(f"{number:3}  {one_line(one.question, 300)} -> {references}", style="bold"), soft_wrap=True)
    console.print(f"     {said} in {len(one.turns)} messages ({one.stop}), {earned}", soft_wrap=True)
    for wrote, saw in one.turns if full else ():
        print_message(console, "", wrote)
        if saw:
            console.print(f"      -> {one_line(saw, 200)}", soft_wrap=True)


def print_message(console: Console, reasoning: str, text: str) -> None:
    """Print a message of an agent, with its reasoning separate from its text."""
    if thought := thoughts(reasoning, text):
        console.print(Padding(Text(f"thought: {visible(thought)}", style="dim"), (0, 0, 0, 4)))
    console.print(Padding(Text(visible(spoken(text)) or "(nothing)"), (0, 0, 0, 4)))


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
