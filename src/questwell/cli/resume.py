"""`questwell resume`: continues a run, whichever command made it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from questwell.cli.kinds import pages_of
from questwell.errors import ConfigError
from questwell.recipes.runs.description import kind_of


def resume(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
) -> None:
    """Continue a run where it stopped. Nothing that was paid for is paid again.

    You can add flags of the command that made the run, such as a higher --max-cost; they override what the run saved.
    """
    group = context.parent
    assert group is not None
    line = arguments(run, context.args)
    raise typer.Exit(group.command.main(line, standalone_mode=False) or 0)


def arguments(run: Path, more: Sequence[str] = ()) -> list[str]:
    """Return the command line that continues `run`: its command with --resume.

    Raises:
        ConfigError: its command has no --resume.
        StoreError: there is no run, or it was killed before its description was saved.
    """
    if not pages_of(run).resumes:
        raise ConfigError(
            f"{str(run)!r} holds labels: the command that made them goes on when it is given again (questwell status "
            "RUN --report FOLDER --label-llm MODEL), and pays for no label twice"
        )
    return [kind_of(run), "--resume", "--out", str(run), *more]
