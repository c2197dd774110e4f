"""`questwell merge`: joins the shards of a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import typer

from questwell.cli import screen
from questwell.cli.assembly import Json
from questwell.cli.checked import status_gates
from questwell.cli.rejudge import status_rejudge
from questwell.cli.scores import print_evaluation
from questwell.cli.status import print_funnel
from questwell.recipes.evaluate.loop import KIND
from questwell.recipes.evaluate.merge import merge as join_evaluation
from questwell.recipes.generate.gates import merge as join_gates
from questwell.recipes.generate.merge import merge as join
from questwell.recipes.generate.recheck import merge as join_rechecks
from questwell.recipes.harden.shards import merge as join_hardened
from questwell.recipes.rejudge.loop import merge as join_rejudging
from questwell.recipes.reports.scores import Evaluation, evaluation
from questwell.recipes.reports.status import Status, status
from questwell.recipes.runs.description import kind_of

EVALUATE = KIND.name
_PLAYED = {"harden": join_hardened, "recheck": join_rechecks}


class _Status(Protocol):
    def __call__(self, run: Path, *, json: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class _Check:
    """A command that checks the questions of a run."""

    join: Callable[[Path, Sequence[Path]], int]
    status: _Status


_CHECKS = {"gates": _Check(join_gates, status_gates), "rejudge": _Check(join_rejudging, status_rejudge)}


def merge(
    out: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the joined run.")],
    shards: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SHARD]...", help="Folders of runs made with --shard, all parts of one run."),
    ] = None,
    json: Json = False,
) -> None:
    """Join runs of generate, harden, recheck, evaluate, gates or rejudge made with --shard. The shards are not changed.

    Without SHARD, update the joined run of --shards after its process was killed.
    """
    sources = shards or []
    kind = kind_of(sources[0] if sources else out)
    if kind in _CHECKS:
        check = _CHECKS[kind]
        joined = check.join(out, sources)
        if not json:
            screen.out().print(f"Joined {joined:,} questions in {out}", soft_wrap=True)
        check.status(out, json=json)
        return
    if kind == EVALUATE:
        questions = join_evaluation(out, sources)
        found = evaluation(out)
        if json:
            screen.print_json(Evaluation, found)
            return
        screen.out().print(f"Joined {questions:,} questions in {out}", soft_wrap=True)
        print_evaluation(screen.out(), found)
        return
    seeds = _PLAYED.get(kind, join)(out, sources)
    stands = status(out)
    if json:
        screen.print_json(Status, stands)
        return
    console = screen.out()
    console.print(f"Joined {seeds:,} seeds in {out}", soft_wrap=True)
    print_funnel(console, stands.funnel)
