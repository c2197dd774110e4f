"""`questwell demo`: plays a small scripted run in a second, and suggests the next commands."""

from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.cli.show import print_listing, print_story
from questwell.cli.status import print_funnel
from questwell.cli.text import visible
from questwell.recipes.demo.play import play_demo
from questwell.recipes.reports import story
from questwell.recipes.reports.status import status

_BEFORE = """A small run over the built-in corpus "islands".
The messages of proposer and solver were written in advance; everything else is real: searches, verdicts, feedback
and the run file.
"""


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")] = Path("questwell-demo"),
) -> None:
    """Play a small scripted run (no API key, model or download) and show how one of its questions was made."""
    play_demo(out)
    console = screen.out()
    console.print(_BEFORE, soft_wrap=True)
    print_story(console, story.story(out, "first"))
    console.print()
    print_listing(console, story.listing(out))
    console.print()
    print_funnel(console, status(out).funnel)
    console.print()
    for command, what in (
        (f"questwell show {out} 2", "why the third seed gave no question"),
        (f"questwell view {out}", "the same in the browser (extra view)"),
        ("questwell generate --corpus islands --llm mock -n 5 --out mock", "any command, played by a script"),
        ("questwell doctor --corpus YOUR.jsonl --llm openai:MODEL", "will it work with your corpus and model?"),
        ("questwell init", "a config file with every key explained"),
    ):
        console.print(f"  {visible(command):<64} {what}", soft_wrap=True)
