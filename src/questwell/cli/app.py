"""The command `questwell`: verbs, exit codes, and errors as one clear message."""

import errno
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from questwell import __version__
from questwell.cli import screen
from questwell.cli.codes import ExitCode
from questwell.cli.compare import compare
from questwell.cli.dataset import dataset
from questwell.cli.doctor import doctor
from questwell.cli.evaluate import evaluate
from questwell.cli.export import export
from questwell.cli.gates import gates
from questwell.cli.generate import generate
from questwell.cli.index import index
from questwell.cli.recheck import recheck
from questwell.cli.selfplay import selfplay
from questwell.cli.serve import serve
from questwell.cli.show import show
from questwell.cli.status import status
from questwell.cli.text import visible
from questwell.cli.train import train
from questwell.cli.view import view
from questwell.errors import BudgetReached, ConfigError, QuestwellError


class _Verbs(TyperGroup):
    """The one place where an error of ours becomes a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  typer's context
        try:
            return super().invoke(ctx)
        except QuestwellError as error:
            if ctx.params.get("debug"):
                raise
            screen.err().print(f"Error: {visible(str(error))}", soft_wrap=True)
            raise typer.Exit(_code(error)) from None
        except OSError as error:
            if ctx.params.get("debug") or error.errno == errno.EPIPE:  # whoever read our output has gone: click knows
                raise
            named = f" {str(error.filename)!r}" if error.filename else ""
            why = error.strerror or error
            said = f"Error: the system refused{named}: {why}. Check the path, its permissions and the disk"
            screen.err().print(visible(said), soft_wrap=True)
            raise typer.Exit(ExitCode.ERROR) from None


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Turn a corpus into verified deep-search questions of a chosen difficulty.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"questwell {__version__}")
        raise typer.Exit


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show errors with their traceback.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Turn a corpus into verified deep-search questions of a chosen difficulty.

    Exit codes: 0 ok, 1 error, 2 usage, 3 partial (go on with --resume), 4 budget reached (go on with --resume).
    """


for _verb in (
    doctor,
    index,
    serve,
    generate,
    status,
    show,
    view,
    gates,
    recheck,
    export,
    dataset,
    evaluate,
    compare,
    train,
    selfplay,
):
    app.command()(_verb)


def main() -> None:
    """Entry point of the command."""
    app()


def _code(error: QuestwellError) -> ExitCode:
    match error:
        case ConfigError():
            return ExitCode.USAGE
        case BudgetReached():
            return ExitCode.BUDGET
        case _:
            return ExitCode.ERROR
