"""`questwell serve`: serves a corpus as a search server, with Search-R1's protocol or MCP."""

from typing import Annotated

import typer

from questwell.cli import screen
from questwell.cli.assembly import ConfigFile, Corpus, PrintConfig, assemble, print_config
from questwell.cli.flags import config_flags
from questwell.cli.index import index_progress
from questwell.cli.text import visible
from questwell.recipes.corpus import serve as recipe
from questwell.recipes.runs.config import resolve


@config_flags(recipe.ServeConfig, {"corpus": "Corpus", "host": "Server"})
def serve(
    source: Corpus = None,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Serve MCP clients: tools to search and to read documents.")
    ] = False,
    transport: Annotated[
        str,
        typer.Option(
            metavar="stdio|http", help="How MCP clients connect: stdio, or http (under /mcp, next to /retrieve)."
        ),
    ] = "stdio",
    config_file: ConfigFile = None,
    print_only: PrintConfig = False,
    **given: object,
) -> None:
    """Serve the passages of a corpus over HTTP (POST /retrieve, /docs/{id}, /metrics), or to MCP clients with --mcp.

    Stop it with Ctrl-C or SIGTERM; requests in flight are answered first.
    """
    config = resolve(recipe.ServeConfig, assemble("serve", given, config_file, corpus=source))
    if print_only:
        print_config("serve", config)
        return
    over = recipe.transport(transport) if mcp else "http"
    with index_progress(config.corpus) as on_progress:
        opening = recipe.prepare(config, on_progress)
    console = screen.err()  # standard output is used by MCP
    if over == "stdio":
        console.print(f"MCP over stdio: {visible(config.corpus)}", soft_wrap=True)
        recipe.serve_mcp_stdio(config, opening)
        return

    def listening(port: int) -> None:
        where = f"http://{recipe.reached_at(config.host)}:{port}"
        console.print(
            f"Serving {visible(config.corpus)} at {where}/retrieve{f' and {where}/mcp' if mcp else ''} "
            f"({config.processes} processes)",
            soft_wrap=True,
        )
        if not recipe.is_local(config.host):
            console.print(
                "Other machines can reach this server"
                + (" and need no token: everyone can read the corpus." if config.anyone else "; they need the token.")
                + " What is sent is not encrypted: across networks put a proxy with TLS in front.",
                style="yellow",
                soft_wrap=True,
            )
        console.print(f"Try: questwell generate --retriever {where} ...    End: Ctrl-C", soft_wrap=True)

    recipe.serve_http(config, opening, mcp=mcp, listening=listening)
