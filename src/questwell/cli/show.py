"""`questwell show`: shows how a seed was played, from the seed passage to the verdict."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from questwell.cli import screen
from questwell.cli.kinds import show_of
from questwell.cli.numbers import count, counted
from questwell.cli.text import folded, one_line, quoted, read_what, visible
from questwell.recipes.reports import story as recipe
from questwell.recipes.reports.certified import certificate_lines
from questwell.recipes.reports.status import tokens
from questwell.recipes.reports.story import AttemptStory, RoundStory, SearchStory, Story, TurnStory
from questwell.recipes.reports.summary import why
from questwell.store.records import Play, PlayStatus
from questwell.text.money import dollars
from questwell.types.game import Label, Outcome

_MOST_SEARCHES = 10
"""Number of searches shown per agent, without --full."""
_THOUGHT = 160
"""Maximum characters shown of a thought, without --full."""
_LABEL_STYLE = {Label.RIGHT: "green", Label.WRONG: "red", Label.UNSCORED: "yellow", Label.ERRORED: "yellow"}


def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run; it may still be running.")],
    item: Annotated[
        str | None,
        typer.Argument(
            metavar="ITEM",
            help="Seed (s00000007, 7, first), step of train or selfplay (12, 12/3), or question of evaluate (q00007).",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Also show every thought and the passages that were read.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show how an item was made, accepted or rejected; without ITEM, list all of them.

    For train and selfplay it shows the steps and what was played in one, for gates the results for each question.
    """
    show_of(run, item, full=full, json=json)


def show_play(run: Path, item: str | None, *, full: bool, json: bool) -> None:
    """Print `questwell show` for a run with plays: one line per seed, or the whole story of one."""
    if item is None:
        plays = recipe.each_listed(run)
        if json:
            screen.print_json_list(Play, plays)
        else:
            print_listing(screen.out(), plays)
        return
    story = recipe.story(run, item)
    if json:
        screen.print_json(Story, story)
    else:
        print_story(screen.out(), story, full=full)


def print_listing(console: Console, plays: Iterable[Play]) -> None:
    """Print one line per seed, accepted ones first."""
    some = False
    for play in plays:
        some = True
        state = play.reason.value if play.reason else play.status.value
        pair = f"{one_line(play.question)} -> {one_line(play.answer or '')}" if play.question else one_line(play.detail)
        line = Text.assemble(f"{play.seed_id}  ", (f"{state:<12}", _style_of(play)), f"  {pair}")
        console.print(line, soft_wrap=True)
    if not some:
        console.print("The run has no seeds yet.")


def print_story(console: Console, story: Story, *, full: bool = False) -> None:
    """Print a whole play."""
    seed, play = story.seed, story.play
    target = "any number of" if seed.target is None else str(seed.target)
    _heading(console, story.id)
    _summary(console, story)
    kind = f", a question of kind {seed.kind.value}" if seed.kind else ""
    _field(console, "Wanted", f"{target} search steps, an answer of type {seed.answer_type.value}{kind}")
    _field(console, "Seed passage", f"{seed.passage.title} [{seed.passage.id}]")
    _block(console, seed.passage.text)
    for round_ in story.rounds:
        print_round(console, round_, full=full)
    if story.draft is not None:
        _heading(console, "Proposal that could not be tried")
        _course(console, story.draft.searches, story.draft.turns, full=full)
        _field(console, "Ended", story.draft.stop.value)
        _block(console, story.draft.last_words if full else folded(story.draft.last_words))
    if story.certificate is not None:
        _heading(console, "Certificate")
        for name, value in certificate_lines(story.certificate):
            _field(console, name, value)
    _heading(console, "Outcome")
    _summary(console, story)
    if play.status is PlayStatus.PENDING:
        _block(console, "This play has not finished yet; it is shown in full when it has.")
    cost = f"{story.usage.calls:,} model calls, {count(tokens(story.usage))} tokens, {dollars(story.usage.cost_usd)}"
    _field(console, "Took", f"{cost}; agents: {', '.join(story.styles) or 'none'}")


def _summary(console: Console, story: Story) -> None:
    """Print the outcome and its reason; printed first, and again at the end where a terminal stops."""
    play = story.play
    line = play.status.value if play.reason is None else f"{play.status.value}: {play.reason.value}"
    because = why(story)
    console.print(Text.assemble((line.upper(), _style_of(play)), f" ({because})" if because else ""), soft_wrap=True)
    if play.detail:
        _block(console, play.detail)
    if play.question:
        _field(console, "Question", play.question, style="bold")
        _field(console, "Answer", play.answer or "", style="bold")


def print_round(console: Console, round_: RoundStory, *, full: bool = False) -> None:
    """Print one question and its outcome."""
    _heading(console, f"Round {round_.index}")
    if round_.feedback is not None:
        _field(console, "Repair", f"{round_.feedback.kind.value}, shown attempt {round_.feedback.attempt}")
        _block(console, round_.feedback.explanation if full else folded(round_.feedback.explanation))
        _field(console, "Changed", " and ".join(round_.changed) or "nothing")
        _block(console, round_.feedback.change if full else folded(round_.feedback.change))
    _course(console, round_.searches, round_.turns, full=full)
    _field(console, "Question", round_.question, style="bold")
    _field(console, "Answer", round_.answer, style="bold")
    for number, step in enumerate(round_.steps, start=1):
        source = f"{step.title} [{step.passage_id}]" if step.passage_id else "no passage named"
        _field(console, f"  step {number}", f"{step.query} -> {step.answer} ({source})")
    if round_.derivation is not None:
        _field(console, "Derived", f"{round_.derivation.operation.value} of {len(round_.derivation.operands)} facts")
        for number, fact in enumerate(round_.derivation.operands, start=1):
            source = f"{fact.title} [{fact.passage_id}]" if fact.passage_id else "no passage named"
            _field(console, f"  fact {number}", f"{fact.span} ({source})")
    for attempt in round_.attempts:
        print_attempt(console, attempt, full=full)
    verdict = round_.verdict
    difficulty = "never solved" if verdict.difficulty is None else f"difficulty {verdict.difficulty}"
    skipped = f", {verdict.skipped} not needed" if verdict.skipped else ""
    _field(
        console,
        "Verdict",
        f"{verdict.outcome.value}: {verdict.right} right of {verdict.scored} scored{skipped}, {difficulty}",
        style="bold",
    )
    if verdict.detail:
        _block(console, verdict.detail)
    for gate in round_.gates:
        _field(console, f"Gate {gate.gate.value}", f"{gate.outcome.value}: {gate.reason}")
    for attempt in round_.weak_attempts:
        print_attempt(console, attempt, full=full, who="Weak attempt")
    if (weak := round_.weak_verdict) is not None:
        stopped = "stopped" if weak.outcome not in (Outcome.PASS, Outcome.UNSOLVED) else "passed"
        _field(console, "Weak solver", f"{stopped}: {weak.right} right of {weak.scored} scored")


def print_attempt(console: Console, attempt: AttemptStory, *, full: bool = False, who: str = "Attempt") -> None:
    """Print one solver rollout."""
    judgement = attempt.judgement
    line = Text.assemble(
        f"{who} {attempt.index}: ",
        (judgement.label.value, _LABEL_STYLE[judgement.label]),
        f" in {counted(len(attempt.searches), 'search', 'searches')}, ",
        "no answer" if attempt.answer is None else f"answer {quoted(attempt.answer)}",
        f" ({attempt.stop.value}; judged by {judgement.method.replace('_', ' ')})",
    )
    console.print(line, soft_wrap=True)
    _course(console, attempt.searches, attempt.turns, full=full)
    if attempt.judge_said:
        console.print(f"    judge: {one_line(attempt.judge_said, 200)}", soft_wrap=True)


def _heading(console: Console, title: str) -> None:
    line = "─" if console.encoding.startswith("utf") else "-"
    console.print(Text(f"{2 * line} {title} {line * (70 - len(title))}", style="bold"))


def _course(console: Console, searches: tuple[SearchStory, ...], turns: tuple[TurnStory, ...], *, full: bool) -> None:
    """Print an agent's searches, at most the first few; with `full`, all messages and passages."""
    if full:
        for turn in turns:
            if turn.thought:
                _block(console, f"thought: {turn.thought}")
            _block(console, turn.text)
            if turn.query is not None:
                console.print(f"    search {quoted(turn.query)}", soft_wrap=True)
            if turn.reading is not None:
                console.print(f"    {read_what(turn.reading)}", soft_wrap=True)
            if turn.told:
                _block(console, f"told: {turn.told}")
            for hit in turn.hits:
                _block(console, f"[{hit.rank}] {hit.passage.title} [{hit.passage.id}]\n{hit.passage.text}")
        return
    for search in searches[:_MOST_SEARCHES]:
        if search.thought:
            console.print(f"    thought {quoted(search.thought, _THOUGHT)}", soft_wrap=True)
        found = "; ".join(one_line(title, 50) for title in search.found) or "nothing"
        console.print(f"    search {quoted(search.query)} -> {found}", soft_wrap=True)
    if len(searches) > _MOST_SEARCHES:
        console.print(f"    and {len(searches) - _MOST_SEARCHES} more searches (--full shows them)", soft_wrap=True)


def _field(console: Console, name: str, value: str, style: str = "") -> None:
    console.print(Text.assemble((f"{name}: ", "dim"), (visible(value), style)), soft_wrap=True)


def _block(console: Console, text: str) -> None:
    if text.strip():
        shown = Text(visible(text.strip()))
        if console.is_terminal:
            console.print(Padding(shown, (0, 0, 0, 4), expand=False))
            return
        for line in shown.split():  # in a pipe lines are not wrapped, for grep and other programs
            console.print(Text.assemble("    ", line), soft_wrap=True)


def _style_of(play: Play) -> str:
    match play.status:
        case PlayStatus.ACCEPTED:
            return "bold green"
        case PlayStatus.REJECTED:
            return "yellow"
        case PlayStatus.PENDING:
            return "dim"
