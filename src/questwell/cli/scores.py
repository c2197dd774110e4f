"""Prints an evaluation: the table of scores, unscored attempts, agreement of judges, and usage."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from questwell.cli import screen
from questwell.cli.ledger import print_adapted, print_failures
from questwell.cli.numbers import UNKNOWN, count, percent
from questwell.cli.text import one_line
from questwell.evaluation.scores import Summary
from questwell.evaluation.statistics import Estimate
from questwell.recipes.evaluate.config import EXACT_MATCH
from questwell.recipes.reports.scores import Evaluation, evaluation
from questwell.recipes.reports.status import tokens
from questwell.text.money import dollars


def show_scores(run: Path, *, json: bool) -> None:
    """Print `questwell status` for an evaluation."""
    found = evaluation(run)
    if json:
        screen.print_json(Evaluation, found)
    else:
        print_evaluation(screen.out(), found)


def print_evaluation(console: Console, found: Evaluation) -> None:
    """Print the table of scores, unscored attempts, agreement of judges, and usage."""
    info = found.info
    model, retriever = (one_line(info.fingerprint.get(name, UNKNOWN)) for name in ("model", "retriever"))
    console.print(f"Run {info.run_id}: {model}, retriever {retriever}", soft_wrap=True)
    table = Table(title="Scores in percent, with 95 % intervals", title_justify="left", box=None, pad_edge=False)
    judges = [judge.judge for judge in found.summaries[0].judges if judge.judge != EXACT_MATCH]
    for name in ("questions", "n", "EM", "F1", *map(one_line, judges), "searches", "tokens"):
        table.add_column(name, justify="left" if name == "questions" else "right")
    for row in found.summaries:
        by_judge = {judge.judge: _at_least(judge.accuracy, judge.if_wrong) for judge in row.judges}
        scored = row.exact_match.n
        table.add_row(
            one_line(row.group),
            f"{row.questions:,}" if scored == row.questions else f"{scored:,} of {row.questions:,}",
            _at_least(row.exact_match, row.exact_match_if_wrong),
            percent(row.f1),
            *(by_judge.get(judge, "-") for judge in judges),
            "-" if row.searches.mean is None else f"{row.searches.mean:.1f}",
            count(row.tokens.mean),
        )
    console.print(table)
    _print_attempts(console, found.summaries[0])
    if found.missing:
        console.print(f"Not made yet: {found.missing:,} attempts; the scores are over those that were made")
    for agreed in found.agreements:
        if agreed.agreed is not None:
            chance = "" if agreed.kappa is None else f", kappa {agreed.kappa:.2f}"
            console.print(
                f"{one_line(agreed.first)} and {one_line(agreed.second)}: {100 * agreed.agreed:.0f} % agreement on "
                f"{agreed.answers:,} answers{chance}; right only by the first {agreed.only_first:,}, by the second "
                f"{agreed.only_second:,}",
                soft_wrap=True,
            )
    for name, (asked, full) in found.parts.items():
        console.print(f"{name}: {asked:,} of the {full:,} questions that published results are over", soft_wrap=True)
    total = found.total
    console.print(
        f"Model calls {total.calls:,}, searches {found.searches:,}, tokens {count(tokens(total))}, cost "
        f"{dollars(total.cost_usd)}",
        soft_wrap=True,
    )
    print_failures(console, found.failures, found.failed)
    print_adapted(console, found.adapted)


def _at_least(found: Estimate, least: float | None) -> str:
    """Return a score as text, with its lower bound if errored or unscored attempts are left out of it."""
    text = percent(found)
    if found.mean is None or least is None or least >= found.mean:
        return text
    return f"{text}, at least {100 * least:.1f}"


def _print_attempts(console: Console, everything: Summary) -> None:
    console.print(
        f"Attempts {everything.attempts:,}: {everything.unanswered:,} ended without an answer (wrong), "
        f"{everything.errored:,} errored (not scored)",
        soft_wrap=True,
    )
    for judge in everything.judges:
        text = f"{one_line(judge.judge)}: {judge.right:,} right, {judge.wrong:,} wrong, {judge.unscored:,} unscored, "
        text += f"{judge.errored:,} errored"
        if judge.unscored + judge.errored and judge.if_wrong is not None:
            text += f"; {100 * judge.if_wrong:.1f} % if these were all wrong"
        passes = ", ".join(f"pass@{k} {percent(found)}" for k, found in judge.pass_at.items())
        console.print(text + (f"; {passes}" if passes else ""), soft_wrap=True)
