"""`python docs/make/pictures.py`: the pictures of docs/concepts, each as a file in docs/images.

Verdicts, difficulties and intervals in them are computed by the code that a run uses.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from drawing import Drawing

from questwell.games.verdict import Criteria, StepTarget, decide, is_decisive
from questwell.scoring.intervals import wilson
from questwell.types.game import Attempt, Judgement, Label, Outcome, Verdict
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn

IMAGES = Path(__file__).parent.parent / "images"
TARGET = 3
"""S of the examples."""
Tried = tuple[Label, int]
"""How an attempt ended, and its searches."""


def sage() -> Drawing:
    """Propose, attempt, verdict, feedback."""
    drawn = Drawing("SAGE: a proposer writes a question, a solver tries it, feedback goes back", 820, 270)
    drawn.box(20, 90, 130, 64, ["seed passage", "target: S searches"])
    drawn.box(200, 90, 140, 64, ["proposer", "searches, then writes"])
    drawn.box(390, 90, 150, 64, ["solver × K", "sees the question only"])
    drawn.box(585, 90, 90, 64, ["judge", "right?"])
    drawn.box(710, 40, 100, 52, ["item"], "good")
    drawn.box(710, 152, 100, 52, ["rejected", "one reason"], "bad")
    drawn.arrow([(150, 122), (197, 122)])
    drawn.arrow([(340, 122), (387, 122)])
    drawn.arrow([(540, 122), (582, 122)])
    drawn.arrow([(675, 112), (760, 112), (760, 95)])
    drawn.arrow([(675, 132), (760, 132), (760, 149)])
    drawn.arrow([(630, 154), (630, 225), (270, 225), (270, 157)], "back")
    drawn.text(450, 216, "feedback: why it was too easy, or where it got lost", "small", "middle")
    drawn.text(450, 246, "up to --rounds times", "small faint", "middle")
    drawn.text(340, 62, "question, answer, evidence", "small faint", "middle")
    drawn.line(364, 70, 364, 116, "line dash")
    return drawn


def ssp() -> Drawing:
    """One policy in two roles."""
    drawn = Drawing("Search self-play: one policy proposes, answers, and learns from both", 820, 310)
    drawn.box(20, 118, 100, 60, ["answer", "given"])
    drawn.box(165, 108, 150, 80, ["as proposer", "searches backwards,", "writes a question"])
    drawn.box(365, 108, 150, 80, ["verification", "answer readable from", "what was found?"])
    drawn.box(570, 108, 150, 80, ["as solver × n", "searches,", "answers"])
    drawn.box(315, 20, 250, 44, ["one policy"], "good")
    drawn.arrow([(120, 148), (162, 148)])
    drawn.arrow([(315, 148), (362, 148)])
    drawn.arrow([(515, 148), (567, 148)])
    drawn.arrow([(315, 42), (240, 42), (240, 105)])
    drawn.arrow([(565, 42), (645, 42), (645, 105)])
    drawn.arrow([(645, 188), (645, 262), (780, 262), (780, 30), (568, 30)], "back")
    drawn.arrow([(240, 188), (240, 285), (800, 285), (800, 22), (568, 22)], "back")
    drawn.text(632, 252, "learns to be right", "small", "end")
    drawn.text(252, 277, "learns to write what the solver misses", "small")
    drawn.arrow([(440, 188), (440, 222)])
    drawn.text(440, 240, "no: the question does not count", "small faint", "middle")
    return drawn


def difficulty() -> Drawing:
    """The easiest right attempt decides."""
    tried = [(Label.RIGHT, 5), (Label.RIGHT, 4), (Label.WRONG, 2), (Label.RIGHT, 3)]
    verdict = verdict_of(tried)
    drawn = Drawing("Difficulty is the fewest searches of a right attempt", 720, 290)
    left, step, top = 130, 90, 60
    at = left + step * TARGET
    drawn.line(at, 40, at, 232, "line dash")
    drawn.text(at + 8, 42, f"target S = {TARGET}", "small")
    for row, (label, searches) in enumerate(tried):
        y = top + 20 + 42 * row
        drawn.text(20, y + 5, f"attempt {row + 1}", "small")
        drawn.line(left, y, left + step * searches - 10, y, "line")
        drawn.dot(left + step * searches, y, label.value)
        drawn.text(left + step * 5 + 20, y + 5, f"{label.value}, {searches} searches", "small faint")
    drawn.text(
        left,
        262,
        f"difficulty {verdict.difficulty}: the easiest right attempt took {verdict.difficulty} searches.",
        "bold",
    )
    drawn.text(left, 281, "The wrong attempt says nothing about difficulty.", "small faint")
    return drawn


EXAMPLES: Sequence[tuple[Sequence[Tried], str]] = (
    ([(Label.RIGHT, 3), (Label.WRONG, 4), (Label.RIGHT, 5), (Label.WRONG, 2)], "right, never in fewer than S"),
    (
        [(Label.WRONG, 3), (Label.RIGHT, 1), (Label.RIGHT, 4), (Label.RIGHT, 3)],
        "right in fewer than S: the rest need not run",
    ),
    ([(Label.WRONG, 3), (Label.WRONG, 4), (Label.WRONG, 5), (Label.WRONG, 4)], "nobody was right"),
    (
        [(Label.RIGHT, 4), (Label.UNSCORED, 3), (Label.RIGHT, 4), (Label.RIGHT, 3)],
        "the judge could not say: it may have been easy",
    ),
    (
        [(Label.RIGHT, 3), (Label.ERRORED, 0), (Label.RIGHT, 4), (Label.RIGHT, 3)],
        "a call failed: played again by a resume",
    ),
)


def verdicts() -> Drawing:
    """Attempts on the left, what they come to on the right."""
    drawn = Drawing("How attempts become a verdict", 820, 60 + 52 * len(EXAMPLES) + 40)
    drawn.text(20, 32, f"K = 4 attempts, S = {TARGET}", "bold")
    for row, (tried, why) in enumerate(EXAMPLES):
        y = 70 + 52 * row
        stopped = stopped_after(tried)
        for at, (label, searches) in enumerate(tried):
            drawn.dot(40 + 62 * at, y, label.value if at < stopped else "skipped", 11)
            if at < stopped and label is not Label.ERRORED:
                drawn.text(56 + 62 * at, y + 5, str(searches), "small faint")
        outcome = verdict_of(tried[:stopped]).outcome
        drawn.arrow([(282, y), (330, y)])
        kind = "good" if outcome is Outcome.PASS else "bad"
        drawn.box(336, y - 18, 110, 36, [outcome.value.replace("_", " ")], kind)
        drawn.text(462, y + 5, why, "small")
    y = 70 + 52 * len(EXAMPLES)
    for at, label in enumerate(("right", "wrong", "unscored", "errored", "skipped")):
        drawn.dot(40 + 120 * at, y, label, 7)
        drawn.text(54 + 120 * at, y + 5, label if label != "skipped" else "not needed", "small faint")
    return drawn


def certificates() -> Drawing:
    """Solve rates with intervals."""
    drawn = Drawing("A solve rate is an interval, and each other way to the answer is tried", 820, 300)
    drawn.text(20, 32, "solve rate, with its 95 % interval", "bold")
    left, wide = 110, 260
    for row, (count, of) in enumerate(((1, 4), (3, 4), (3, 8), (6, 16))):
        found = wilson(count, of)
        assert found.fraction is not None and found.low is not None and found.high is not None
        y = 68 + 42 * row
        drawn.text(20, y + 5, f"{count} of {of}", "small")
        drawn.line(left, y, left + wide, y, "line dash")
        drawn.line(left + wide * found.low, y, left + wide * found.high, y, "back")
        drawn.dot(left + wide * found.fraction, y, "right", 6)
        drawn.text(left + wide * found.low, y + 20, f"{found.low:.2f}", "small faint", "middle")
        drawn.text(left + wide * found.high, y + 20, f"{found.high:.2f}", "small faint", "middle")
    drawn.text(left, 250, "0", "small faint", "middle")
    drawn.text(left + wide, 250, "1", "small faint", "middle")
    drawn.text(20, 284, "Four attempts say little; more say more.", "small faint")
    drawn.text(430, 32, "and other ways to the answer", "bold")
    for row, (name, question) in enumerate(
        (
            ("closed-book", "known without any passage?"),
            ("shortcut", "found by one search?"),
            ("single-document", "one document enough?"),
            ("leave-one-out", "is each document needed?"),
            ("evidence", "does the evidence give the answer?"),
            ("unique", "does another answer fit?"),
        )
    ):
        y = 62 + 36 * row
        drawn.box(430, y - 14, 150, 28, [name])
        drawn.text(592, y + 5, question, "small")
    return drawn


PICTURES: dict[str, Callable[[], Drawing]] = {
    "concept-sage.svg": sage,
    "concept-ssp.svg": ssp,
    "concept-difficulty.svg": difficulty,
    "concept-verdicts.svg": verdicts,
    "concept-certificates.svg": certificates,
}
"""Each picture by the name of its file."""


def attempts(tried: Sequence[Tried]) -> list[Attempt]:
    """Attempts that ended so."""
    return [
        Attempt(
            at,
            Trajectory(Role.SOLVER, Style.FREE, tuple(_turns(searches)), StopReason.FINISHED),
            Judgement(label, "llm"),
        )
        for at, (label, searches) in enumerate(tried)
    ]


def _turns(searches: int) -> Iterator[Turn]:
    for at in range(searches):
        yield Turn("", query=f"query {at}")


def verdict_of(tried: Sequence[Tried]) -> Verdict:
    """What a run makes of them."""
    return decide(attempts(tried), Criteria(4, TARGET, StepTarget()))


def stopped_after(tried: Sequence[Tried]) -> int:
    """How many of them a run plays."""
    made = attempts(tried)
    criteria = Criteria(4, TARGET, StepTarget())
    return next((at for at in range(1, len(made)) if is_decisive(made[:at], criteria)), len(made))


def main() -> None:
    """Write each picture."""
    for name, draw in PICTURES.items():
        (IMAGES / name).write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
