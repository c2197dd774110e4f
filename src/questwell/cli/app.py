"""The command `questwell`: finds and imports the subcommand, and turns errors into a message and an exit code."""

import errno
import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from questwell.cli.codes import ExitCode
from questwell.cli.verbs import VERBS, load, nearest
from questwell.errors import BudgetReached, ConfigError, QuestwellError
from questwell.version import __version__


class _Verbs(TyperGroup):
    """The subcommands; errors of all of them become a message and an exit code here."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  typer's context
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        if cmd_name not in VERBS:
            ctx.fail(f"There is no command {cmd_name!r}{nearest(cmd_name)}.")
        return load(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in VERBS.items()])

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        try:
            return super().invoke(ctx)
        except QuestwellError as error:
            if ctx.params.get("debug"):
                raise
            _say(str(error))
            raise typer.Exit(exit_code(error)) from None
        except OSError as error:
            if ctx.params.get("debug") or error.errno == errno.EPIPE:  # a closed pipe: typer handles it
                raise
            named = f" {str(error.filename)!r}" if error.filename else ""
            why = error.strerror or error
            _say(f"the system refused{named}: {why}. Check the path, its permissions and the disk")
            raise typer.Exit(ExitCode.ERROR) from None


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"questwell {__version__}")
        raise typer.Exit


@app.callback(epilog="Each command has its own help, with its exit codes: questwell generate --help")
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show errors with their traceback.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Turn a corpus into verified deep-search questions of a chosen difficulty.

    Exit codes: 0 done, 1 error, 2 wrong usage, 3 incomplete (continue with --resume), 4 budget reached (continue with
    --resume and a higher limit).
    """


def main() -> None:
    """Run the command line. Characters that the terminal's encoding lacks are printed as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()


def _say(message: str) -> None:
    from questwell.cli import screen
    from questwell.cli.text import visible

    screen.err().print(visible(f"Error: {message}"), soft_wrap=True)


def exit_code(error: QuestwellError | type[QuestwellError]) -> ExitCode:
    """Return the exit code of a command that ends with this error."""
    kind = error if isinstance(error, type) else type(error)
    if issubclass(kind, ConfigError):
        return ExitCode.USAGE
    return ExitCode.BUDGET if issubclass(kind, BudgetReached) else ExitCode.ERROR
