"""`questwell harden`: makes given questions harder."""

from typing import Annotated

import typer

from questwell.cli import screen
from questwell.cli.assembly import ConfigFile, Out, PrintConfig, Resume, assemble, configured, folder_of, limit_flag
from questwell.cli.ending import CODES
from questwell.cli.flags import config_flags
from questwell.cli.generate import print_ending
from questwell.cli.index import index_progress as watching_index
from questwell.cli.live import index_progress
from questwell.cli.status import print_funnel, print_spending
from questwell.recipes.harden import loop as recipe
from questwell.recipes.harden import shards
from questwell.recipes.harden.config import HardenConfig
from questwell.recipes.reports.status import Status, status
from questwell.recipes.runs.caller import Caller

_PANELS = {
    "source": "What to harden",
    "corpus": "Corpus",
    "retriever": "Search",
    "key_env": "Endpoints",
    "max_cost": "Limits",
    "llm": "Models",
    "seed": "The game",
    "proposer_turns": "Agents",
    "concurrency": "Speed",
}


@config_flags(HardenConfig, _PANELS, {"seeds": "-n"})
def harden(
    questions: Annotated[
        str | None, typer.Argument(metavar="FILE|RUN", help="Same as --source.", show_default=False)
    ] = None,
    out: Out = None,
    resume: Resume = False,
    config_file: ConfigFile = None,
    print_only: PrintConfig = False,
    limit: Annotated[int | None, limit_flag("plays")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the status as JSON at the end.")] = False,
    **given: object,
) -> None:
    """Make existing questions harder: each question is rewritten, and its answer stays the same.

    The solver tries each question first. If it is too easy, the proposer searches and rewrites it until it needs
    --steps searches or its solve rate is within --band. A question that no attempt solves is rejected (hard_or_broken).
    """
    values = assemble("harden", given, config_file, source=questions)
    config = configured("harden", recipe.configure, out, values, resume=resume, print_only=print_only)
    out = folder_of(out)
    with watching_index(config.corpus) as index, index_progress() as on_progress:
        report = shards.run(
            config, out, Caller(resume=resume, limit=limit, on_progress=on_progress, index_progress=index)
        )
    stands = status(out)
    if json:
        screen.print_json(Status, stands, ended=report)
    else:
        console = screen.out()
        print_funnel(console, stands.funnel)
        print_spending(console, stands.spending, accepted=stands.funnel.accepted)
        print_ending(console, report, out, accepted=stands.funnel.accepted)
    raise typer.Exit(CODES[report.ending])
