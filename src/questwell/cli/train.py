"""`questwell train`: trains a search agent by reinforcement learning."""

from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.cli.assembly import ConfigFile, PrintConfig, Resume, assemble, configured, limit_flag
from questwell.cli.ending import CODES, print_unfinished
from questwell.cli.flags import config_flags
from questwell.cli.index import index_progress as watching_index
from questwell.cli.previews import print_chosen, print_train
from questwell.cli.verl import ENGINE, GPUS, NODES, VERL, Engine, run_by_verl
from questwell.recipes.runs.caller import Caller
from questwell.recipes.train import loop as recipe
from questwell.recipes.train import preview as dry
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.loop import TrainReport
from questwell.recipes.train.verl import verl_run, write
from questwell.training.engines.verl.launch import VerlRun

_PANELS = {
    "corpus": "Search",
    "key_env": "Endpoint of the judge",
    "max_cost": "Limits of the judge's cost",
    "data": "Data and model",
    "algorithm": "Algorithm",
    "reward": "Attempts and rewards",
    "learning_rate": "The update",
    "lora_rank": "Memory and speed",
    "warm_start_steps": "Warm start",
    "held_out": "Held-out evaluation",
    "save_every": "Checkpoints, logs and alarms",
}
_SHOWN = ("reward", "accuracy", "searches", "format_errors", "kl", "entropy")


@config_flags(TrainConfig, _PANELS)
def train(
    source: Annotated[str | None, typer.Argument(metavar="DATA", help="Same as --data.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")] = Path("runs/train"),
    resume: Resume = False,
    config_file: ConfigFile = None,
    print_only: PrintConfig = False,
    limit: Annotated[int | None, limit_flag("steps")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what the training would take (steps, tokens, memory), and exit.")
    ] = False,
    engine: ENGINE = Engine.LOCAL,
    nodes: NODES = 1,
    gpus: GPUS = 8,
    verl: VERL = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    **given: object,
) -> None:
    """Train a search agent on questions with answers, by PPO, GRPO or REINFORCE, in one process or under torchrun."""
    values = assemble("train", given, config_file, data=source)
    config = configured("train", recipe.configure, out, values, resume=resume, print_only=print_only)
    if not resume:
        print_chosen(config)
    if engine is Engine.VERL:
        run = verl_run(config, out, nodes=nodes, gpus=gpus, more=verl or ())
        run_by_verl(run, lambda: _write(run, config), dry_run=dry_run)
        return
    if dry_run:
        print_train(dry.preview(config), json=json)
        return
    with watching_index(config.corpus or config.retriever) as index:
        caller = Caller(resume=resume, limit=limit, on_progress=_line, index_progress=index)
        report = recipe.run(config, out, caller, _warm_start_line)
    if recipe.is_first():
        _print_report(report, out, json=json)
    raise typer.Exit(CODES[report.ending])


def _write(run: VerlRun, config: TrainConfig) -> None:
    with watching_index(config.corpus or config.retriever) as index:
        write(run, config, index)


def _line(metrics: recipe.Metrics, steps: int) -> None:
    """Print a line about a step to standard error."""
    if recipe.is_first() and "held_out_reward" in metrics:
        told = ", ".join(f"{name} {metrics[f'held_out_{name}']:.3g}" for name in ("reward", "accuracy", "searches"))
        lost = f", {metrics['held_out_dropped']:.0f} not judged" if metrics["held_out_dropped"] else ""
        screen.err().print(f"held out, after step {metrics['step']:.0f}: {told}{lost}", soft_wrap=True)
    elif recipe.is_first():
        told = ", ".join(f"{name} {metrics[name]:.3g}" for name in _SHOWN if name in metrics)
        pace = f"{metrics['rollout_tokens_per_s']:,.0f} tokens/s played, {metrics['update_tokens_per_s']:,.0f} learnt"
        screen.err().print(f"step {metrics['step']:.0f} of {steps}: {told}; {pace}", soft_wrap=True)


def _warm_start_line(step: int, loss: float) -> None:
    if step % 20 == 0:
        screen.err().print(f"warm start, step {step}: loss {loss:.3g}", soft_wrap=True)


def _print_report(report: TrainReport, out: Path, *, json: bool) -> None:
    if json:
        screen.print_json(TrainReport, report, ended=report)
        return
    console = screen.out()
    print_unfinished(console, report)
    console.print(f"Steps: {report.step}    Metrics: {out / 'metrics.jsonl'}    Charts: {out / 'charts.png'}")
    if report.model is not None:
        console.print(f"Policy: {report.model} (a Hugging Face folder; also --llm {report.model})", soft_wrap=True)
    if report.best_step is not None:
        where = report.best or "the policy before training"
        console.print(f"Best on the held-out questions: step {report.best_step}, {where}", soft_wrap=True)
