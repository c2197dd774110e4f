"""`questwell merge`: join the shards of a run."""

from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.cli.assembly import Json
from questwell.cli.scores import print_evaluation
from questwell.cli.status import print_funnel
from questwell.recipes.evaluate.loop import KIND
from questwell.recipes.evaluate.merge import merge as join_evaluation
from questwell.recipes.generate.merge import merge as join
from questwell.recipes.reports.scores import Evaluation, evaluation
from questwell.recipes.reports.status import Status, status
from questwell.recipes.runs.opening import kind_of

EVALUATE = KIND.name


def merge(
    out: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the joined run.")],
    shards: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SHARD]...", help="Folders of runs made with --shard, all parts of one run."),
    ] = None,
    json: Json = False,
) -> None:
    """Join runs of generate or evaluate that were made with --shard into one run. The shards are not changed.

    Without SHARD, bring a run made with --shards up to date, after its process was killed.
    """
    sources = shards or []
    if kind_of(sources[0] if sources else out) == EVALUATE:
        questions = join_evaluation(out, sources)
        found = evaluation(out)
        if json:
            screen.print_json(Evaluation, found)
            return
        screen.out().print(f"Joined {questions:,} questions in {out}", soft_wrap=True)
        print_evaluation(screen.out(), found)
        return
    seeds = join(out, sources)
    stands = status(out)
    if json:
        screen.print_json(Status, stands)
        return
    console = screen.out()
    console.print(f"Joined {seeds:,} seeds in {out}", soft_wrap=True)
    print_funnel(console, stands.funnel)
