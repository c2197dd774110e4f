"""Output of `status` and `show` for runs of `gates` and for labels by a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from questwell.cli import screen
from questwell.cli.ledger import print_ledger
from questwell.cli.text import one_line
from questwell.errors import ConfigError
from questwell.evaluation.statistics import Proportion
from questwell.recipes.generate.gates_results import Checked, GateCount
from questwell.recipes.reports import checked as recipe
from questwell.recipes.reports.checked import GatesStatus, LabelsStatus
from questwell.recipes.runs.description import config_of
from questwell.types.gates import GateOutcome


def status_gates(run: Path, *, json: bool) -> None:
    """Print `questwell status` for a run of `gates`."""
    found = recipe.gates_status(run)
    if json:
        screen.print_json(GatesStatus, found)
        return
    console, of = screen.out(), config_of(found.info).get("of")
    source = found.info.fingerprint.get("of run", "")
    where = f" in {one_line(str(of), 300)}" if of else ""
    console.print(
        f"Run {found.info.run_id}: gates over the run {source}{where}, started {found.info.created}", soft_wrap=True
    )
    print_counts(console, found.gates)
    console.print(f"{found.stopped:,} of {found.questions:,} questions are rejected by at least one gate.")
    if not found.questions:
        console.print("Results are written when an invocation ends; answered calls are kept at once.")
    print_ledger(console, found.ledger)


def show_gates(run: Path, item: str | None, *, full: bool, json: bool) -> None:
    """Print `questwell show` for a run of `gates`: all questions, or one, with the result of each gate."""
    found = recipe.checked(run, item)
    if json:
        screen.print_json(list[Checked], found)
        return
    console = screen.out()
    for one in found:
        print_question(console, one, most=4_000 if full else 200)
    if not found:
        console.print("No results yet: they are written when an invocation ends.")


def status_labels(run: Path, *, json: bool) -> None:
    """Print `questwell status` for labels by a model."""
    found = recipe.labels_status(run)
    if json:
        screen.print_json(LabelsStatus, found)
        return
    console, config = screen.out(), config_of(found.info)
    console.print(
        f"Run {found.info.run_id}: labels by {one_line(str(config.get('llm')))} of the run "
        f"{found.info.fingerprint.get('of run', '')}, started {found.info.created}",
        soft_wrap=True,
    )
    shares = found.shares
    if shares is None:
        console.print("Shares are counted when the labelling ends; answered calls are kept at once.")
    else:
        _print_shares(console, "right attempts of accepted questions", shares.strategies)
        _print_shares(console, "unsolved though the answer was found", shares.faults)
        _print_shares(console, "too easy, nothing computed", shares.superficial)
        console.print(f"Replies that were not a label: {shares.unread:,}")
    print_ledger(console, found.ledger)


def show_labels(run: Path, item: str | None, *, full: bool, json: bool) -> None:
    """Raise an error that says what to read instead, because labels are not stored per item."""
    raise ConfigError(
        f"labels are shares over a run, not of single items: questwell status {run} prints them, "
        f"questwell show {run.resolve().parent} the items that were labelled"
    )


def print_question(console: Console, one: Checked, most: int = 200) -> None:
    """Print a question with the result of each gate."""
    state = Text("stopped" if one.stopped else "passed ", style="yellow" if one.stopped else "green")
    pair = f"  {one_line(one.question, 300)} -> {one_line(one.answer)}"
    console.print(Text.assemble(f"{one.id}  ", state, pair), soft_wrap=True)
    for result in one.results:
        line = f"    {result.gate.value:<15} {result.outcome.value:<9} {one_line(result.reason, most)}"
        console.print(line, soft_wrap=True)


def print_counts(console: Console, counts: Sequence[GateCount]) -> None:
    """Print how often each gate had each outcome."""
    table = Table(title="Gates", title_justify="left", box=None, pad_edge=False)
    table.add_column("gate")
    for name in (*(outcome.value for outcome in GateOutcome), "stops alone"):
        table.add_column(name, justify="right")
    for row in counts:
        table.add_row(row.gate.value, *(str(row.outcomes.get(outcome, 0)) for outcome in GateOutcome), str(row.alone))
    console.print(table)


def _print_shares(console: Console, of: str, shares: Mapping[str, Proportion]) -> None:
    for name, share in shares.items():
        if share.fraction is not None and share.low is not None and share.high is not None:
            text = f"{100 * share.fraction:.0f} % [{100 * share.low:.0f}, {100 * share.high:.0f}]"
            console.print(f"{of}: {one_line(name)} {text}, {share.count:,} of {share.of:,}", soft_wrap=True)
