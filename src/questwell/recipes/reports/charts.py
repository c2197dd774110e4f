"""Charts of a generate run. The report and the pages show the same ones."""

from collections import Counter
from collections.abc import Mapping, Sequence

from questwell.evaluation.statistics import Proportion
from questwell.recipes.reports import svg
from questwell.recipes.reports.coverage import Coverage
from questwell.recipes.reports.funnel import Funnel
from questwell.recipes.reports.intrinsic import ALL, Cell
from questwell.recipes.reports.svg import Axis, Bars, Line, Point
from questwell.store.records import PlayCount, PlayStatus

PASSED = "Seeds that passed, by round (cumulative)"


def pass_rates(systems: Sequence[tuple[str, Sequence[Cell]]], *, alone: bool = False) -> str:
    """Chart the proportion of seeds that passed by round, with 95 % intervals, one line per run."""
    drawn: list[Line] = []
    most = 0
    for at, (name, cells) in enumerate(systems):
        points: list[Point] = []
        for cell in cells:
            share = cell.passed
            if cell.target == ALL and share.fraction is not None and share.low is not None and share.high is not None:
                x = cell.round + 0.03 * at
                points.append(Point(x, 100 * share.fraction, 100 * share.low, 100 * share.high))
                most = max(most, cell.round)
        drawn.append(Line(name, points))
    across = Axis("round", low=-0.2, high=most + 0.3, ticks=[(number, str(number)) for number in range(most + 1)])
    return svg.lines(PASSED, across, Axis("percent of seeds", high=100.0), drawn, alone=alone)


def funnel(systems: Sequence[tuple[str, Funnel]], *, alone: bool = False) -> str:
    """Chart what happened to the seeds."""
    reasons = list(dict.fromkeys(reason for _, found in systems for reason in found.rejected))
    names = ["accepted", *(reason.value.replace("_", " ") for reason in reasons)]
    drawn = [
        Bars(name, [found.accepted, *(found.rejected.get(reason, 0) for reason in reasons)]) for name, found in systems
    ]
    return svg.bars("What became of the seeds", "seeds", names, drawn, alone=alone)


def difficulty(
    systems: Sequence[tuple[str, Mapping[int | None, int], Mapping[int, int]]], *, alone: bool = False
) -> str:
    """Chart accepted items by search steps: the targets next to the steps that they need."""
    drawn: list[tuple[str, Counter[int]]] = []
    for name, targets, got in systems:
        prefix = f"{name}: " if len(systems) > 1 else ""
        drawn.append(
            (f"{prefix}wanted", Counter({target: count for target, count in targets.items() if target is not None}))
        )
        drawn.append((f"{prefix}got", Counter(got)))
    seen = [step for _, counts in drawn for step in counts]
    steps = list(range(min(seen), max(seen) + 1)) if seen else []
    return svg.columns(
        "Difficulty of the accepted items: wanted and got",
        "search steps",
        "accepted items",
        [str(step) for step in steps],
        [Bars(name, [counts[step] for step in steps]) for name, counts in drawn],
        alone=alone,
    )


def wanted_and_got(counts: Sequence[PlayCount]) -> tuple[Mapping[int | None, int], Mapping[int, int]]:
    """Return targets and difficulties of the accepted plays, each with its number, from a run's counts."""
    targets: Counter[int | None] = Counter()
    got: Counter[int] = Counter()
    for count in counts:
        if count.final and count.status is PlayStatus.ACCEPTED:
            targets[count.target] += count.plays
            if count.difficulty is not None:
                got[count.difficulty] += count.plays
    return targets, got


def documents(systems: Sequence[tuple[str, Coverage]], *, alone: bool = False) -> str:
    """Chart the documents that most items use, over all runs together."""
    names = list(dict.fromkeys(title for _, found in systems for title, _ in found.most_used))[:20]
    drawn = [Bars(name, [dict(found.most_used).get(title, 0) for title in names]) for name, found in systems]
    return svg.bars("Documents that most items use", "items", names, drawn, alone=alone)


def topics(name: str, found: Coverage, *, alone: bool = False) -> str:
    """Chart items by topic; a topic is named by its most distinctive words."""
    names = [", ".join(topic.words) for topic in found.topics]
    drawn = [Bars(name, [topic.items for topic in found.topics])]
    return svg.bars("Topics, by the words that set them apart", "items", names, drawn, alone=alone)


def strategies(shares: Mapping[str, Proportion], *, alone: bool = False) -> str:
    """Chart how right attempts found the answer: shares with 95 % intervals."""
    known = [(at, share) for at, share in enumerate(shares.values()) if share.fraction is not None]
    points = [
        Point(at, 100 * (share.fraction or 0), 100 * (share.low or 0), 100 * (share.high or 0)) for at, share in known
    ]
    ticks = [(float(at), name.replace("_", " ")) for at, name in enumerate(shares)]
    across = Axis("strategy", low=-0.5, high=len(shares) - 0.5, ticks=ticks)
    title = "Strategies of right attempts"
    return svg.lines(
        title, across, Axis("percent of attempts", high=100.0), [Line(title, points)], joined=False, alone=alone
    )


def spent(systems: Sequence[tuple[str, Sequence[float]]], unit: str, *, alone: bool = False) -> str:
    """Chart the usage per accepted item, rejected rounds included: one point per item, cheapest first."""
    drawn = [
        Line(name, [Point(at, value) for at, value in enumerate(sorted(values), start=1)]) for name, values in systems
    ]
    across = Axis("accepted items, cheapest first", low=None, whole=True)
    return svg.lines(f"What an accepted item took, in {unit}", across, Axis(unit), drawn, alone=alone)


def over_time(title: str, unit: str, hours: Sequence[tuple[float, float]], *, alone: bool = False) -> str:
    """Chart one line over the hours of a run."""
    short = max((x for x, _ in hours), default=0.0) < 2
    line = Line(title, [Point(60 * x if short else x, y) for x, y in hours])
    across = Axis(f"{'minutes' if short else 'hours'} since the start")
    return svg.lines(title, across, Axis(unit), [line], alone=alone)
