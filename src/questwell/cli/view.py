"""`questwell view`: shows runs in the browser, where their items can be reviewed."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.cli.text import visible
from questwell.errors import ConfigError


def view(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Runs of any command, or folders that contain runs.")
    ],
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; any but a loopback address needs --token.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0 picks a free one.")] = 8642,
    token: Annotated[str | None, typer.Option("--token", help="Token that visitors must send.")] = None,
    export: Annotated[
        Path | None, typer.Option("--export", help="Write one generate run to this HTML file, and exit.")
    ] = None,
    item: Annotated[
        list[str] | None, typer.Option("--item", help="With --export: include only this item; may be repeated.")
    ] = None,
    reviewer: Annotated[str | None, typer.Option("--reviewer", help="Name to save reviews under.")] = None,
) -> None:
    """Show runs as web pages, with every thought, passage and verdict, filters, and reviews. Stop it with Ctrl-C."""
    try:
        from questwell.view.export import export_page
        from questwell.view.serve import serve
        from questwell.view.site import Site
    except ImportError as error:
        raise ConfigError(f"the web pages need the extra 'view': pip install 'questwell[view]' ({error})") from error
    console = screen.err()

    def listening(address: str) -> None:
        console.print(f"Open {visible(address)}", soft_wrap=True)
        where = address.split("/")[2].rpartition(":")[2]
        console.print(f"From another machine: ssh -L {where}:127.0.0.1:{where} THIS-MACHINE    End: Ctrl-C")

    if export is not None:
        site = Site(paths, "")
        if len(site.runs) != 1:
            raise ConfigError(f"--export takes one run, and here are {len(site.runs)}: name one")
        written = export_page(site, next(iter(site.runs)), export, item or ())
        left = f"; {written.left_out:,} items did not fit and are left out" if written.left_out else ""
        screen.out().print(f"Wrote {written.items:,} items to {export} ({written.size / 1e6:.1f} MB){left}")
        return
    serve(Site(paths, reviewer or _user()), host=host, port=port, token=token, listening=listening)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return ""
