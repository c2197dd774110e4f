"""`questwell generate`: generates questions from a corpus."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

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
from questwell.cli.flags import config_flags
from questwell.cli.forecast import print_forecast
from questwell.cli.index import index_progress as watching_index
from questwell.cli.live import index_progress
from questwell.cli.status import print_funnel, print_kinds, print_spending
from questwell.cli.text import visible
from questwell.recipes.generate import engines
from questwell.recipes.generate import loop as recipe
from questwell.recipes.generate import preview as dry
from questwell.recipes.generate.config import PRESETS, Config, preset
from questwell.recipes.generate.forecast import forecast, hours
from questwell.recipes.generate.plays import GenerateReport
from questwell.recipes.generate.reading import LONG, SHORT
from questwell.recipes.reports.status import Status, status
from questwell.recipes.runs.caller import Caller
from questwell.store.query import begun
from questwell.text.money import dollars

_UNPRICED = "price unknown (give --price-in and --price-out)"
_PANELS = {
    "corpus": "Corpus",
    "retriever": "Search",
    "key_env": "Endpoints",
    "max_cost": "Limits",
    "llm": "Models",
    "seeds": "What to make",
    "seed": "What to make",
    "attempts": "The game",
    "variant": "The game",
    "proposer_turns": "Agents",
    "concurrency": "Speed",
}


@config_flags(Config, _PANELS, {"seeds": "-n"})
def generate(
    out: Out = None,
    resume: Resume = False,
    preset_name: Annotated[str | None, preset_flag(PRESETS)] = None,
    config_file: ConfigFile = None,
    print_only: PrintConfig = False,
    limit: Annotated[int | None, limit_flag("plays")] = None,
    pilot: Annotated[
        int | None,
        typer.Option(
            "--pilot",
            min=5,
            metavar="N",
            help="Play this many seeds of the run, forecast what the rest will yield and cost, and stop.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print what would be done, and after a pilot what it would cost, without calling a model.",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the status as JSON at the end.")] = False,
    **given: object,
) -> None:
    """Generate questions from a corpus. One agent writes a question, another tries it, and failures are repaired.

    You can stop it at any time (Ctrl-C, even kill -9) and continue with --resume.
    """
    values = assemble("generate", given, config_file, preset(preset_name) if preset_name else None)
    config = configured("generate", recipe.configure, out, values, resume=resume, print_only=print_only)
    if dry_run:
        with watching_index(config.corpus) as index:
            found = dry.preview(config, out, index)
        _print_preview(found, json=json)
        if found.finished and not json:
            print_forecast(screen.out(), found.forecast)
        return
    out = folder_of(out)
    if pilot is not None:
        done = status(out).funnel.candidates if resume and begun(out) else 0
        limit = min(limit or pilot, max(pilot - done, 1))

    with watching_index(config.corpus) as index, index_progress() as on_progress:
        report = engines.run(
            config, out, Caller(resume=resume, limit=limit, on_progress=on_progress, index_progress=index)
        )
    stands = status(out)
    rest = forecast(out) if pilot is not None else None
    made, busy_s = report.progress.calls_made, report.progress.busy_s
    takes = hours(rest, busy_s / made, config.plays_at_once) if rest and made and busy_s is not None else None
    if json:
        also = {"forecast": rest, "hours": takes} if pilot is not None else {}
        screen.print_json(Status, stands, ended=report, also=also)
    else:
        console = screen.out()
        print_funnel(console, stands.funnel)
        print_kinds(console, stands.kinds)
        print_spending(console, stands.spending, accepted=stands.funnel.accepted)
        if pilot is not None:
            print_forecast(console, rest, takes)
        print_ending(console, report, out, accepted=stands.funnel.accepted)
    raise typer.Exit(CODES[report.ending])


def print_ending(console: Console, report: GenerateReport, out: Path, *, accepted: int) -> None:
    """Print why the run is incomplete, if it is, and the next commands."""
    print_unfinished(console, report)
    console.print(f"Read: questwell show {out}    Table: questwell status {out}", soft_wrap=True)
    if accepted:
        console.print(f"Export: questwell export {out} --format jsonl --out items.jsonl", soft_wrap=True)


def _print_preview(found: dry.Preview, *, json: bool) -> None:
    if json:
        screen.print_json(dry.Preview, found)
        return
    console = screen.out()
    console.print(f"Corpus: {visible(found.corpus)}, {found.passages:,} passages (snapshot {found.snapshot})")
    console.print(f"Search: {visible(found.retriever)}", soft_wrap=True)
    for role, model in found.models.items():
        console.print(f"{role.value.capitalize()}: {visible(model)} ({found.styles[role].value})", soft_wrap=True)
    wanted = f"{found.seeds:,} seeds" if found.seeds is not None else "as many seeds as it takes"
    items = f", until {found.items:,} items are accepted" if found.items is not None else ""
    console.print(f"Would play: {wanted}{items}; {found.finished:,} are played already")
    most = f", {found.most_calls:,} in all" if found.most_calls is not None else ""
    console.print(f"Model calls: at most {found.most_calls_per_seed:,} a seed{most}; most seeds need far fewer")
    if found.most_written_per_seed is not None:
        usd = found.most_written_usd_per_seed
        cost = _UNPRICED if usd is None else f"{dollars(usd)} at most"
        console.print(
            f"Written by models: at most {found.most_written_per_seed:,} tokens a seed, {cost}", soft_wrap=True
        )
    if (read := found.reading) is not None:
        cost = _UNPRICED
        if read.least_usd is not None and read.most_usd is not None:
            cost = f"{dollars(read.least_usd)} to {dollars(read.most_usd)}"
        console.print(
            f"Read by models: about {read.least:,} to {read.most:,} tokens a seed, {cost}: from one round with one "
            "decisive attempt, to every round, attempt and turn with long messages. This rests on your prompts, on "
            f"passages of {read.passage_tokens:,} tokens (the mean of {read.sampled} of the corpus, 4 bytes a token), "
            f"and on messages of {SHORT} to {LONG} tokens; a prompt cache makes it cheaper",
            soft_wrap=True,
        )
    if found.forecast is None:
        console.print("Most seeds take a small part of this: --pilot 20 measures it and forecasts the rest")
