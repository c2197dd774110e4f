"""All subcommands, each with a one-line summary and its exit codes."""

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import typer

from questwell.cli.command import VerbCommand

_PLAIN = "Exit codes: 0 done, 1 error, 2 wrong usage."
_RUN = (
    "Exit codes: 0 complete, 1 error, 2 wrong usage, 3 incomplete (continue with --resume), "
    "4 budget reached (continue with --resume and a higher limit)."
)


@dataclass(frozen=True, slots=True)
class Verb:
    """A subcommand; its module is imported only when it is used."""

    summary: str
    """One line for `questwell --help`."""
    codes: str = _PLAIN
    """Exit codes, shown in the last line of its help."""
    passes_on: bool = False
    """Whether unknown flags are passed on to another command."""


VERBS = {
    "demo": Verb("Play a small scripted run: no API key, no model, no download."),
    "doctor": Verb(
        "Check extras, GPU, folders and prompts, and corpus, model and retriever by using them.",
        "Exit codes: 0 all checks passed, 1 a check failed, 2 wrong usage.",
    ),
    "init": Verb("Write a config file that explains every key."),
    "index": Verb("Build, change or measure the index of a corpus."),
    "serve": Verb("Serve the passages of a corpus over HTTP or MCP."),
    "generate": Verb("Generate questions from a corpus.", _RUN),
    "harden": Verb("Rewrite existing questions so that they are harder; the answers stay the same.", _RUN),
    "merge": Verb("Join the shards of a run that was divided among processes or machines."),
    "resume": Verb("Continue a run, whichever command made it.", _RUN, passes_on=True),
    "runs": Verb("List the runs in a folder."),
    "status": Verb("Show a run's progress, why questions were rejected, and what it cost."),
    "show": Verb("Show how an item was made, or list all items of a run."),
    "view": Verb("Browse runs as web pages and review their items."),
    "gates": Verb("Run more checks (gates) on the accepted items of a run.", _RUN),
    "rejudge": Verb("Judge the stored answers of a run again, with another judge.", _RUN),
    "recheck": Verb("Try edited items again, or questions from elsewhere.", _RUN),
    "export": Verb("Write the accepted items of a run to a file."),
    "dataset": Verb("Build a dataset from runs: splits, export formats and a dataset card."),
    "push": Verb("Publish a dataset on the Hugging Face hub, private unless asked."),
    "evaluate": Verb("Measure a model on benchmarks.", _RUN),
    "compare": Verb("Compare evaluation runs on the questions they share."),
    "train": Verb("Train a search agent by reinforcement learning.", _RUN),
    "selfplay": Verb("Train one model both to write questions and to answer them.", _RUN),
}
"""All subcommands, in the order of a new user's first steps."""


def nearest(word: str) -> str:
    """Return ` (did you mean 'x'?)` if a command is similar to `word`; else an empty string."""
    close = difflib.get_close_matches(word, VERBS, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


@cache
def load(name: str) -> Any:  # noqa: ANN401  typer's command is of a private type
    """Import and return a subcommand: the function of its name in the module of its name."""
    module = importlib.import_module(f"questwell.cli.{name}")
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    function = cast(Callable[..., object], getattr(module, name))
    unknown = {"ignore_unknown_options": True, "allow_extra_args": True} if VERBS[name].passes_on else None
    alone.command(name, cls=VerbCommand, epilog=VERBS[name].codes, context_settings=unknown)(function)
    return typer.main.get_command(alone)
