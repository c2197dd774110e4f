"""`questwell evaluate`: measures a model on benchmarks."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from questwell.cli import screen
from questwell.cli.assembly import ConfigFile, Out, PrintConfig, Resume, assemble, folder_of, limit_flag, print_config
from questwell.cli.ending import CODES, print_unfinished
from questwell.cli.flags import config_flags
from questwell.cli.index import index_progress as watching_index
from questwell.cli.numbers import count
from questwell.cli.scores import print_evaluation
from questwell.cli.text import one_line
from questwell.errors import ConfigError
from questwell.recipes.evaluate import loop as recipe
from questwell.recipes.evaluate import rescore as again
from questwell.recipes.evaluate import shards
from questwell.recipes.evaluate.config import EvalConfig, RescoreConfig
from questwell.recipes.evaluate.preview import EvalPreview, eval_preview
from questwell.recipes.reports.scores import Evaluation, evaluation
from questwell.recipes.reports.status import tokens
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.text.money import dollars

_PANELS = {
    "corpus": "What is searched",
    "key_env": "Endpoints",
    "max_cost": "Limits",
    "judge": "Judge and speed",
    "llm": "The system",
    "benchmarks": "The questions",
    "attempts": "Attempts",
}
_LINE_EVERY_S = 10.0


@config_flags(EvalConfig, _PANELS)
def evaluate(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="Same as --benchmarks: FILE or NAME=FILE.", show_default=False),
    ] = None,
    out: Out = None,
    resume: Resume = False,
    rescore: Annotated[
        Path | None,
        typer.Option(
            "--rescore", help="Judge the answers of this finished run again with --judge, without new attempts."
        ),
    ] = None,
    config_file: ConfigFile = None,
    print_only: PrintConfig = False,
    limit: Annotated[int | None, limit_flag("attempts")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done and exit, without calling a model.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON at the end.")] = False,
    **given: object,
) -> None:
    """Measure a model on benchmarks with the agents that generate uses. Reports EM, F1 and a judge's scores.

    You can stop it at any time and continue with --resume.
    """
    values = assemble("evaluate", given, config_file, benchmarks=files or None)
    if print_only:
        print_config("evaluate", recipe.configure(out if resume else None, values, resume=resume))
        return
    on_progress = _Lines(screen.err())
    if rescore is not None:
        if out is not None or resume or limit is not None or dry_run:
            raise ConfigError("--rescore writes into its own run: leave out --out, --resume, --limit and --dry-run")
        report, folder = again.run(rescore, resolve(RescoreConfig, values), on_progress), rescore
    elif dry_run:
        config = resolve(EvalConfig, values)
        with watching_index(config.corpus) as index:
            _print_preview(eval_preview(config, index), json=json)
        return
    else:
        folder = folder_of(out)
        config = recipe.configure(folder, values, resume=resume)
        with watching_index(config.corpus) as index:
            caller = Caller(resume=resume, limit=limit, on_progress=on_progress, index_progress=index)
            report = shards.run(config, folder, caller)
    found = evaluation(folder)
    if json:
        screen.print_json(Evaluation, found, ended=report)
    else:
        console = screen.out()
        print_evaluation(console, found)
        print_unfinished(console, report)
    raise typer.Exit(CODES[report.ending])


def _print_preview(found: EvalPreview, *, json: bool) -> None:
    if json:
        screen.print_json(EvalPreview, found)
        return
    console = screen.out()
    for one in found.benchmarks:
        skipped = ", ".join(f"{number:,} {reason}" for reason, number in one.skipped.items())
        left_out = f" (left out: {skipped})" if skipped else ""
        console.print(f"{one.benchmark}: {one.asked:,} of {one.found:,} questions{left_out}", soft_wrap=True)
    for name, value in found.fingerprint.items():
        console.print(f"{name.capitalize()}: {one_line(value)}", soft_wrap=True)
    console.print(f"Mode: {found.mode.value}, {found.style}")
    console.print(f"Attempts: {found.attempts:,}; model calls: at most {found.most_calls:,}; most need far fewer")


class _Lines:
    """Prints a progress line to standard error every ten seconds, and at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._at = time.monotonic()
        self._told: tuple[int, bool] | None = None

    def __call__(self, progress: recipe.EvalProgress) -> None:
        now = (progress.done, progress.stopping)
        due = time.monotonic() - self._at >= _LINE_EVERY_S or progress.done == progress.total or progress.stopping
        if now == self._told or not due:
            return
        self._told, self._at = now, time.monotonic()
        left = "" if progress.left_s is None else f", about {progress.left_s / 60:.0f} min left"
        self._console.print(
            f"attempts {progress.done:,}/{progress.total:,}, right {progress.right:,} of {progress.scored:,}, "
            f"{count(tokens(progress.spent))} tokens, {dollars(progress.spent.cost_usd)}{left}"
            + (" (stopping: calls in flight end and are kept)" if progress.stopping else ""),
            soft_wrap=True,
        )
