"""`questwell doctor`: checks whether a run would work on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from questwell.cli import screen
from questwell.cli.codes import ExitCode
from questwell.cli.index import index_progress
from questwell.cli.text import visible
from questwell.recipes import doctor as recipe
from questwell.recipes.machine import Check, Health
from questwell.text.lists import comma_parts

_SIGN = {Health.OK: "ok     ", Health.ABSENT: "-      ", Health.WARNING: "warning", Health.FAILED: "FAILED "}


def doctor(
    corpus: Annotated[str | None, typer.Option(help="Fetch and index this corpus, then run one search.")] = None,
    llm: Annotated[str | None, typer.Option(help="Call this model once.")] = None,
    retriever: Annotated[
        str | None,
        typer.Option(
            help="Run one search with this retriever: http://HOST:8000, mcp:URL, opensearch:URL/INDEX, "
            "qdrant:URL/COLLECTION, google, tavily, brave, ..."
        ),
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(help="Embedding model for queries to a Qdrant collection; by default minilm.")
    ] = None,
    retriever_key_env: Annotated[
        str | None,
        typer.Option(help="Environment variable with the search server's key; by default QUESTWELL_RETRIEVER_KEY."),
    ] = None,
    retriever_headers: Annotated[
        str | None,
        typer.Option(help="Extra headers for the search server: NAME=VALUE,NAME=VALUE; $NAME is a variable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Check that a run can be written to this folder.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="Check this folder of prompt files and their placeholders.")
    ] = None,
    extras: Annotated[
        str | None,
        typer.Option(
            "--extras", metavar="LIST", help="Fail unless these extras are installed, separated by commas: train,dense."
        ),
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Fail unless torch sees a GPU.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Check this machine, and try out a corpus, a model and a retriever; for each failure, say how to fix it.

    Extras, GPUs and prompts are always listed. What is missing fails only if you asked for it.
    """
    search = {"embedder": embedder, "retriever_key_env": retriever_key_env, "retriever_headers": retriever_headers}
    given = {key: value for key, value in search.items() if value is not None}
    with index_progress(corpus or "") as on_progress:
        local = recipe.Local(out, tuple(comma_parts(extras or "")), gpu, prompts)
        checks = recipe.doctor(corpus, llm, on_progress, retriever, given, local)
    if json:
        screen.print_json(list[Check], checks)
    else:
        console = screen.out()
        for check in checks:
            console.print(f"{_SIGN[check.health]} {check.name}: {visible(check.found)}", soft_wrap=True)
            if check.advice:
                console.print(f"        -> {visible(check.advice)}", soft_wrap=True)
        if any(check.takes for check in checks):
            console.print(takes_table(checks))
        if corpus is None or llm is None:
            console.print("Add --corpus and --llm to check these as well.")
    if any(check.health is Health.FAILED for check in checks):
        raise typer.Exit(ExitCode.ERROR)


def takes_table(checks: Sequence[Check]) -> Table:
    """Return a table of how the endpoint handles each part of each role's request."""
    table = Table(title="What the endpoint accepts", title_justify="left", box=None, pad_edge=False)
    rows = [check for check in checks if check.takes]
    for name in ("role", *rows[0].takes):
        table.add_column(name, overflow="fold")
    for check in rows:
        table.add_row(check.name, *map(visible, check.takes.values()))
    return table
