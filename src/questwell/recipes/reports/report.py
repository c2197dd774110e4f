"""Implements `questwell status --report`: writes the paper's tables and charts of one or more runs to a folder.

It writes `report.md` for reading, `report.json` with every figure, and the charts. All figures come from the run files,
except for one search per too easy question in the run's own index.
"""

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from questwell.agents.prompts import Prompts
from questwell.errors import StoreError
from questwell.evaluation.failures import Easy, Unsolved, why_easy, why_unsolved
from questwell.evaluation.statistics import Proportion, wilson
from questwell.llm.connect import connect
from questwell.recipes.corpus.index import open_ready
from questwell.recipes.generate.playing import PlayConfig, played_with
from questwell.recipes.reports import charts
from questwell.recipes.reports.browse import cost_per_item, overview
from questwell.recipes.reports.coverage import Coverage, coverage
from questwell.recipes.reports.funnel import Funnel
from questwell.recipes.reports.intrinsic import Cell
from questwell.recipes.reports.labels import LabelConfig, Labels, label
from questwell.recipes.reports.status import status, tokens
from questwell.recipes.runs.agents import is_embedded
from questwell.recipes.runs.description import config_of, info_of
from questwell.retrieval.retriever import Retriever
from questwell.store.reader import RunReader
from questwell.store.records import Play, PlayStatus
from questwell.types.game import Outcome, Round
from questwell.types.trajectory import Role


@dataclass(frozen=True, slots=True)
class Kinds:
    """Shares of the reasons why questions failed; several may apply to one question."""

    round: int
    too_easy: Mapping[str, Proportion]
    """Share of each reason among the too easy questions."""
    unsolved: Mapping[str, Proportion]
    """Share of each reason among the unsolved questions."""


@dataclass(frozen=True, slots=True)
class Items:
    """Accepted items, in the order of seeds."""

    targets: list[int | None]
    """Requested search steps."""
    difficulties: list[int]
    tokens: list[int | None]
    """Tokens of the whole play, including rejected rounds."""
    costs_usd: list[float | None]


@dataclass(frozen=True, slots=True)
class System:
    """One run of the report."""

    name: str
    """The run's folder, and its variant or command."""
    run_id: str
    variant: str
    funnel: Funnel
    intrinsic: Sequence[Cell]
    kinds: Sequence[Kinds]
    searched: bool
    """Whether the index was available for searching the questions; otherwise `too specific` was not checked."""
    items: Items
    coverage: Coverage
    """Coverage of the accepted items."""
    spent_over_time: tuple[str, Sequence[tuple[float, float]]]
    """Pair of (unit, points), where a point is (hours since the start, spending per accepted item so far)."""
    labels: Labels | None = None
    """Labels by a model; None if no model was used."""


async def report(folders: Sequence[Path], out: Path, label_by: LabelConfig | None = None) -> list[System]:
    """Write the report of the runs in `folders` to `out`; replaces an existing report.

    Raises:
        StoreError: a run cannot be read, or `out` cannot be written.
    """
    systems = [replace(await _system(one), labels=await _labels(one, out, label_by)) for one in folders]
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, chart in _charts(systems).items():
            (out / name).write_text(chart, encoding="utf-8")
        (out / "report.md").write_text(_markdown(systems), encoding="utf-8")
        (out / "report.json").write_text(
            json.dumps([asdict(one) for one in systems], indent=1) + "\n", encoding="utf-8"
        )
    except OSError as error:
        raise StoreError(f"the report {str(out)!r} cannot be written: {error}") from error
    return systems


def _charts(systems: Sequence[System]) -> dict[str, str]:
    """Return the charts by file name. Dollars and tokens never share an axis."""
    wanted = [(one.name, Counter(one.items.targets), Counter(one.items.difficulties)) for one in systems]
    drawn = {
        "pass_rate.svg": charts.pass_rates([(one.name, one.intrinsic) for one in systems], alone=True),
        "funnel.svg": charts.funnel([(one.name, one.funnel) for one in systems], alone=True),
        "difficulty.svg": charts.difficulty(wanted, alone=True),
    }
    paid = [(one.name, _known(one.items.costs_usd)) for one in systems]
    if any(sum(values) for _, values in paid):
        drawn["cost.svg"] = charts.spent(paid, "US dollars", alone=True)
    for number, one in enumerate(systems):
        unit, course = one.spent_over_time
        if course:
            title = f"Spent per accepted item so far: {one.name}"
            drawn[f"cost_over_time{_number(number)}.svg"] = charts.over_time(title, unit, course, alone=True)
        if one.coverage.topics:
            drawn[f"topics{_number(number)}.svg"] = charts.topics(one.name, one.coverage, alone=True)
        if one.labels is not None:
            drawn[f"strategies{_number(number)}.svg"] = charts.strategies(one.labels.strategies, alone=True)
    if any(one.coverage.most_used for one in systems):
        drawn["documents.svg"] = charts.documents([(one.name, one.coverage) for one in systems], alone=True)
    drawn["tokens.svg"] = charts.spent([(one.name, _known(one.items.tokens)) for one in systems], "tokens", alone=True)
    return drawn


def _number(system: int) -> str:
    return f"_{system + 1}" if system else ""


def _known(values: Sequence[float | None]) -> list[float]:
    return [float(value) for value in values if value is not None]


async def _system(folder: Path) -> System:
    stands = status(folder)
    found = _Read()
    with RunReader(folder) as run, run.snapshot():
        config = played_with(info := info_of(run))
        given = config_of(info).get("variant") if info.kind == "generate" else None
        variant = str(given or info.kind)
        index = _index(config)
        try:
            for play in run.each_play():
                await found.add(run, play, index, config.top_k)
        finally:
            if index is not None:
                await index.aclose()
    return System(
        name=f"{folder.resolve().name} ({variant})",
        run_id=stands.info.run_id,
        variant=variant,
        funnel=stands.funnel,
        intrinsic=stands.intrinsic,
        kinds=[one.kinds(number) for number, one in enumerate(found.failed)],
        searched=index is not None,
        items=found.items,
        coverage=coverage(folder, most=2_000),
        spent_over_time=cost_per_item(overview(folder)),
    )


@dataclass(slots=True)
class _Failed:
    """Failed questions of one round, counted."""

    easy: int = 0
    unsolved: int = 0
    whys: Counter[Easy] = field(default_factory=Counter[Easy])
    wrongs: Counter[Unsolved] = field(default_factory=Counter[Unsolved])

    def kinds(self, number: int) -> Kinds:
        """Return the shares of the reasons, for round `number`."""
        return Kinds(
            number,
            {kind.value: wilson(self.whys[kind], self.easy) for kind in Easy} if self.easy else {},
            {kind.value: wilson(self.wrongs[kind], self.unsolved) for kind in Unsolved} if self.unsolved else {},
        )


class _Read:
    """Counts plays; only one is in memory."""

    def __init__(self) -> None:
        self.failed: list[_Failed] = []
        """By round."""
        self.items = Items([], [], [], [])

    async def add(self, run: RunReader, play: Play, index: Retriever | None, top_k: int) -> None:
        """Count a play, if it has ended."""
        outcome = run.outcome(play.index)
        if outcome is None:
            return
        for number, played in enumerate(outcome.rounds):
            if number == len(self.failed):
                self.failed.append(_Failed())
            await self._count(self.failed[number], played, index, top_k)
        if play.status is PlayStatus.ACCEPTED:
            usage = run.usage_of(play.seed_id)
            self.items.targets.append(play.target)
            self.items.difficulties.append(outcome.rounds[-1].verdict.difficulty or 0)
            self.items.tokens.append(tokens(usage))
            self.items.costs_usd.append(usage.cost_usd)

    async def _count(self, failed: _Failed, played: Round, index: Retriever | None, top_k: int) -> None:
        match played.verdict.outcome:
            case Outcome.TOO_EASY:
                hits = () if index is None else await index.search(played.proposal.question, top_k)
                failed.easy += 1
                failed.whys.update(why_easy(played, hits))
            case Outcome.UNSOLVED:
                failed.unsolved += 1
                failed.wrongs[why_unsolved(played)] += 1
            case _:
                pass


def _index(config: PlayConfig) -> Retriever | None:
    """Open the run's index if it exists; never builds it."""
    return open_ready(config) if (config.folder / "manifest.json").is_file() else None


async def _labels(folder: Path, out: Path, label_by: LabelConfig | None) -> Labels | None:
    if label_by is None:
        return None
    llm = connect(label_by.llm, label_by.connect_options(Role.JUDGE, label_by.concurrency, label_by.price))
    report_flags = shlex.join(
        ["--report", str(out), "--label-llm", label_by.llm, *(["--batch"] if label_by.batch else [])]
    )
    go_on = f"questwell status {shlex.quote(str(folder))} {report_flags}"
    try:
        return await label(folder, label_by, llm, Prompts(), structured=is_embedded(label_by.llm), go_on=go_on)
    finally:
        await llm.aclose()


def _markdown(systems: Sequence[System]) -> str:
    head = "# Report\n\nShares in percent with 95 % Wilson intervals; rounds are cumulative, as in the paper.\n"
    lines = [head, *_head("system", "target", "round", "seeds", "correct", "pass", "Avg@K on correct", "mean searches")]
    for one in systems:
        for cell in one.intrinsic:
            avg = "-" if cell.avg_at_k is None else f"{100 * cell.avg_at_k:.1f}"
            searches = "-" if cell.mean_searches is None else f"{cell.mean_searches:.1f}"
            shares = (_percent(cell.correct), _percent(cell.passed))
            lines.append(_row(one.name, cell.target, cell.round, cell.seeds, *shares, avg, searches))
    lines += ["", "![pass rate by round](pass_rate.svg)", "", "## Why questions failed", ""]
    lines += ["Several kinds may hold of one question.", "", *_head("system", "round", "failed", "kind", "share")]
    for one in systems:
        for kinds in one.kinds:
            for name, shares in (("too easy", kinds.too_easy), ("unsolved", kinds.unsolved)):
                for kind, share in shares.items():
                    text = "not looked for" if kind == Easy.TOO_SPECIFIC and not one.searched else _percent(share)
                    lines.append(_row(one.name, kinds.round, name, kind, text))
    lines += [line for one in systems if one.labels is not None for line in _labelled(one.name, one.labels)]
    lines += ["", "## Funnel, difficulty, cost", ""]
    for one in systems:
        reasons = ", ".join(f"{number} {reason.value}" for reason, number in one.funnel.rejected.items()) or "none"
        played = f"{one.funnel.candidates} seeds, {one.funnel.accepted} accepted"
        lines.append(f"- {one.name}: {played}; rejected: {reasons}")
    names = ("system", "items", "documents", "evidence from one document", "passages next to each other")
    lines += ["", "## Coverage", "", *_head(*names)]
    for one in systems:
        found = one.coverage
        lines.append(_row(one.name, found.items, found.documents, _percent(found.one_document), _percent(found.near)))
    lines.append("")
    for one in systems:
        if of := len(one.coverage.drawn_for):
            lines += [
                f"{one.name}: {one.coverage.met} of the {of} topics or clusters that seeds came from have an item.",
                "",
            ]
    drawn = [name for name in _charts(systems) if name != "pass_rate.svg"]
    lines += ["", *(line for name in drawn for line in (f"![{name.removesuffix('.svg')}]({name})", ""))]
    return "\n".join(lines)


def _labelled(name: str, labels: Labels) -> list[str]:
    lines = ["", f"## Labels by a model: {name}", "", *_head("of", "label", "share")]
    sorts = (
        ("right attempts of accepted questions", labels.strategies),
        ("unsolved though the answer was found", labels.faults),
        ("too easy, nothing computed", labels.superficial),
    )
    lines += [_row(sort, label, _percent(share)) for sort, shares in sorts for label, share in shares.items()]
    return [*lines, "", f"Replies that were not a label: {labels.unread}."]


def _head(*names: str) -> tuple[str, str]:
    return _row(*names), "|---" * len(names) + "|"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _percent(share: Proportion) -> str:
    if share.fraction is None or share.low is None or share.high is None:
        return "-"
    return f"{100 * share.fraction:.0f} [{100 * share.low:.0f}, {100 * share.high:.0f}] ({share.count}/{share.of})"
