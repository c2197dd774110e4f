"""`questwell selfplay`: trains one policy that both proposes questions and solves them."""

from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from questwell.cli import screen
from questwell.cli.assembly import (
    ConfigFile,
    Out,
    PrintConfig,
    Resume,
    assemble,
    configured,
    folder_of,
    limit_flag,
    preset_flag,
)
from questwell.cli.ending import CODES, print_unfinished
from questwell.cli.episodes import COLUMNS, print_steps
from questwell.cli.flags import config_flags
from questwell.cli.index import index_progress
from questwell.cli.previews import print_chosen, print_selfplay
from questwell.cli.verl import ENGINE, GPUS, NODES, VERL, Engine, run_by_verl
from questwell.recipes.runs.caller import Caller
from questwell.recipes.selfplay import loop as recipe
from questwell.recipes.selfplay import preview as dry
from questwell.recipes.selfplay.config import PRESETS, Config, Order, preset
from questwell.recipes.selfplay.record import Record, StepRow
from questwell.recipes.selfplay.verl import verl_run, write
from questwell.training.engines.verl.launch import VerlRun

_PANELS = {
    "corpus": "Corpus",
    "key_env": "Endpoints",
    "max_cost": "Limits",
    "lora_rank": "Memory and speed",
    "model": "Models",
    "answers": "What to play",
    "min_searches": "The game",
    "train": "Learning",
    "turns": "Agents",
    "eval_every": "Evaluation and checkpoints",
}


@config_flags(Config, _PANELS, {"steps": "-n"})
def selfplay(
    out: Out = None,
    resume: Resume = False,
    preset_name: Annotated[str | None, preset_flag(PRESETS)] = None,
    config_file: ConfigFile = None,
    print_only: PrintConfig = False,
    limit: Annotated[int | None, limit_flag("steps")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what the run would take, or the command for verl, and exit.")
    ] = False,
    engine: ENGINE = Engine.LOCAL,
    nodes: NODES = 1,
    gpus: GPUS = 8,
    verl: VERL = None,
    json: Annotated[bool, typer.Option("--json", help="Print all steps as JSON at the end.")] = False,
    **given: object,
) -> None:
    """Search self-play (SSP): one model writes questions for known answers, answers them, and learns from both.

    You can stop it at any time and continue with --resume. Ctrl-C finishes the current step, unless it needs more
    calls to a server: then the step is played again, and its answered calls are not paid twice.

    To read a step: questwell show RUN 12
    """
    values = assemble("selfplay", given, config_file, preset(preset_name) if preset_name else None)
    config = configured("selfplay", recipe.configure, out, values, resume=resume, print_only=print_only)
    if not resume:
        print_chosen(config)
    if dry_run and engine is Engine.LOCAL:
        print_selfplay(dry.preview(config), json=json)
        return
    out = folder_of(out)
    if engine is Engine.VERL:
        if config.order is not Order.JOINT:
            screen.err().print("verl learns from both roles in one update (order = joint)", soft_wrap=True)
        run = verl_run(config, out, nodes=nodes, gpus=gpus, more=verl or ())
        run_by_verl(run, lambda: _write(run, config), dry_run=dry_run)
        return
    told = _Telling(screen.err())
    with index_progress(config.corpus) as index:
        report = recipe.run(config, out, Caller(resume=resume, limit=limit, on_progress=told, index_progress=index))
    rows = Record(out).rows()
    if json:
        screen.print_json(Steps, Steps(rows), ended=report)
    else:
        console = screen.out()
        print_steps(console, rows)
        print_unfinished(console, report)
        console.print(f"Read: questwell show {out} {report.steps}    Charts: {Record(out).charts}", soft_wrap=True)
    raise typer.Exit(CODES[report.ending])


def _write(run: VerlRun, config: Config) -> None:
    with index_progress(config.corpus) as index:
        write(run, config, index)


@dataclass(frozen=True, slots=True)
class Steps:
    """The JSON output of `--json`."""

    steps: list[StepRow]


class _Telling:
    """Prints one line per step to standard error, under a heading, with alarms below."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._widths = [max(len(name), 9) for name, _ in COLUMNS]
        self._begun = False

    def __call__(self, row: StepRow) -> None:
        if not self._begun:
            self._line([name for name, _ in COLUMNS], style="bold")
            self._begun = True
        self._line([show(row) for _, show in COLUMNS])
        for alarm in row.alarms:
            self._console.print(Text(f"  alarm: {alarm}", style="yellow"), soft_wrap=True)

    def _line(self, cells: list[str], style: str = "") -> None:
        text = "  ".join(cell.rjust(width) for cell, width in zip(cells, self._widths, strict=True))
        self._console.print(Text(text, style=style), soft_wrap=True)
