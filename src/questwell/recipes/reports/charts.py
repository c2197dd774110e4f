"""Pictures of a report as PNG files, drawn with matplotlib (extra train), without a screen."""

# matplotlib ships types that pyright knows in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from questwell.errors import ConfigError
from questwell.recipes.reports.funnel import Funnel
from questwell.recipes.reports.intrinsic import ALL, Cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Pictures:
    """Draws, each picture into its own file."""

    def __init__(self) -> None:
        """Make sure that there is something to draw with.

        Raises:
            ConfigError: the extra is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ConfigError("pictures are drawn with matplotlib: pip install 'questwell[train]'") from None
        self._figure: type[Figure] = Figure

    def pass_rates(self, systems: Sequence[tuple[str, Sequence[Cell]]], path: Path) -> None:
        """Share of seeds that passed by round, with intervals, one line a system."""
        figure, axes = self._new("round", "passed, percent of seeds")
        most = 0
        for at, (name, cells) in enumerate(systems):
            rows = [cell for cell in cells if cell.target == ALL and cell.passed.fraction is not None]
            shift = 0.04 * at
            middle = [100 * (cell.passed.fraction or 0.0) for cell in rows]
            low = [100 * ((cell.passed.fraction or 0.0) - (cell.passed.low or 0.0)) for cell in rows]
            high = [100 * ((cell.passed.high or 0.0) - (cell.passed.fraction or 0.0)) for cell in rows]
            rounds = [cell.round + shift for cell in rows]
            axes.errorbar(rounds, middle, yerr=[low, high], marker="o", capsize=3, label=_plain(name))
            most = max(most, *(cell.round for cell in rows), 0)
        axes.set_xticks(range(most + 1))
        axes.set_ylim(0, 100)
        self._save(figure, axes, path)

    def funnel(self, systems: Sequence[tuple[str, Funnel]], path: Path) -> None:
        """What became of the seeds, one bar a reason."""
        figure, axes = self._new("seeds", "")
        reasons = list(dict.fromkeys(reason for _, found in systems for reason in found.rejected))
        names = ["accepted", *(reason.value for reason in reasons)]
        height = 0.8 / max(1, len(systems))
        for at, (name, found) in enumerate(systems):
            counts = [found.accepted, *(found.rejected.get(reason, 0) for reason in reasons)]
            axes.barh([n + at * height for n in range(len(names))], counts, height=height, label=_plain(name))
        axes.set_yticks([n + 0.4 - height / 2 for n in range(len(names))], names)
        axes.invert_yaxis()
        self._save(figure, axes, path)

    def difficulty(self, systems: Sequence[tuple[str, Sequence[int | None], Sequence[int]]], path: Path) -> None:
        """Accepted items by search steps: what was wanted beside what they need."""
        figure, axes = self._new("search steps", "accepted items")
        width = 0.8 / max(1, 2 * len(systems))
        seen: set[int] = set()
        for at, (name, targets, got) in enumerate(systems):
            wanted = Counter(target for target in targets if target is not None)
            needed = Counter(got)
            for side, (what, counts) in enumerate((("wanted", wanted), ("got", needed))):
                shift = (2 * at + side - len(systems) + 0.5) * width  # the bars of a step stand around it
                axes.bar([step + shift for step in counts], counts.values(), width, label=f"{_plain(name)}: {what}")
                seen |= set(counts)
        if seen:
            axes.set_xticks(range(min(seen), max(seen) + 1))
        axes.yaxis.get_major_locator().set_params(integer=True)
        self._save(figure, axes, path)

    def cost(self, systems: Sequence[tuple[str, Sequence[float], str]], path: Path) -> None:
        """What an accepted item took, its rejected rounds included: one point an item, sorted."""
        figure, axes = self._new("items, cheapest first", " or ".join(dict.fromkeys(unit for _, _, unit in systems)))
        for name, values, _ in systems:
            axes.plot(range(1, len(values) + 1), sorted(values), marker=".", label=_plain(name))
        axes.set_ylim(bottom=0)
        self._save(figure, axes, path)

    def _new(self, across: str, up: str) -> tuple["Figure", Any]:
        figure = self._figure(figsize=(7, 4), layout="constrained")
        axes: Any = figure.subplots()
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        return figure, axes

    def _save(self, figure: "Figure", axes: Any, path: Path) -> None:  # noqa: ANN401  typed in part only
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
        figure.savefig(path, dpi=120, metadata={"Software": None})  # no version in the file: same data, same bytes


def _plain(name: str) -> str:
    """`name` without the sign that starts a formula."""
    return name.replace("$", "")
