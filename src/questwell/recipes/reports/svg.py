"""Draws charts as SVG text, for `status --report` and for the web pages.

Each chart has a title and one unit per axis, ticks are whole if the values are, and the legend is above the plot, so
that it covers nothing. Colours are CSS classes; a standalone file includes a style for light and dark mode.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 300
_LEFT, _RIGHT, _BOTTOM = 84, 16, 44
_LINE, _CHAR = 18, 6.4
STYLE = """
svg.chart { font: 12px system-ui, sans-serif; color: #222; background: #fff }
@media (prefers-color-scheme: dark) { svg.chart { color: #ddd; background: #16181c } }
.chart text { fill: currentColor } .chart .title { font-weight: 600; font-size: 13px }
.chart .grid { stroke: currentColor; opacity: .15 } .chart .axis { stroke: currentColor; opacity: .5 }
.chart .l { fill: none; stroke-width: 2 }
.chart .s0 { stroke: #3b76c4; fill: #3b76c4 } .chart .s1 { stroke: #d97706; fill: #d97706 }
.chart .s2 { stroke: #3f9b5f; fill: #3f9b5f } .chart .s3 { stroke: #c2417c; fill: #c2417c }
.chart .s4 { stroke: #8465c4; fill: #8465c4 } .chart .s5 { stroke: #7a8087; fill: #7a8087 }
.chart .l.s0, .chart .l.s1, .chart .l.s2, .chart .l.s3, .chart .l.s4, .chart .l.s5 { fill: none }
"""
"""Style of a chart in its own file; the web pages have the same in their style sheet."""
_COLOURS = 6


@dataclass(frozen=True, slots=True)
class Point:
    """A value with its interval, if it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Points under one name."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Bars:
    """Counts or other values by category, under one name; None means unknown."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Axis:
    """Label, range and ticks of an axis."""

    label: str
    """Text of the label, including the unit."""
    low: float | None = 0.0
    """Lowest value; None starts at the smallest value."""
    high: float | None = None
    ticks: Sequence[tuple[float, str]] | None = None
    """Positions and texts of the ticks; None picks round numbers."""
    whole: bool = False
    """Whether values are counts, which need no tick between two whole numbers."""


def lines(
    title: str, across: Axis, up: Axis, drawn: Sequence[Line], *, joined: bool = True, alone: bool = False
) -> str:
    """Draw lines with intervals, one colour per name; points only if not `joined`."""
    shown = [line for line in drawn if line.points]
    points = [point for line in shown for point in line.points]
    low_x, high_x = _range(across, [point.x for point in points])
    ups = [value for p in points for value in (p.y, p.low, p.high) if value is not None and math.isfinite(value)]
    low_y, high_y = _range(up, ups)
    high_y = high_y if up.high is not None else _next_tick(low_y, high_y, whole=up.whole)
    frame = _Frame(title, [line.name for line in shown], low_x, high_x, low_y, high_y)
    body = frame.axes(across, up)
    for number, line in enumerate(shown):
        colour = f"s{number % _COLOURS}"
        at = [(frame.x(point.x), frame.y(point.y)) for point in line.points]
        if joined and len(at) > 1:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
            body.append(f'<path class="l {colour}" d="{path}"/>')
        for point, (x, y) in zip(line.points, at, strict=True):
            if point.low is not None and point.high is not None:
                low, high = frame.y(point.low), frame.y(point.high)
                body.append(f'<line class="{colour}" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
            if len(at) <= 40:
                name = f"{line.name}: {_number(point.x)}, {_number(point.y)}"
                body.append(f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3">{_tip(name)}</circle>')
    return frame.whole(body, alone=alone)


def columns(
    title: str, across: str, up: str, categories: Sequence[str], drawn: Sequence[Bars], *, alone: bool = False
) -> str:
    """Draw vertical bars; those of one category are next to each other."""
    highest = max((value for bars in drawn for value in bars.values if value is not None), default=0.0)
    frame = _Frame(
        title,
        [bars.name for bars in drawn],
        0.0,
        max(1, len(categories)),
        0.0,
        _next_tick(0.0, highest or 1.0, whole=True),
    )
    ticks = [(at + 0.5, name) for at, name in enumerate(categories)]
    body = frame.axes(Axis(across, ticks=ticks), Axis(up, whole=True))
    width = min(0.8, 0.12 * max(1, len(categories))) / max(1, len(drawn))
    start = 0.5 - width * len(drawn) / 2
    for number, bars in enumerate(drawn):
        for at, value in enumerate(bars.values):
            if value is not None:
                left = frame.x(at + start + number * width)
                top, right = frame.y(value), frame.x(at + start + (number + 1) * width) - 1
                place = f'x="{left:.1f}" y="{top:.1f}" width="{max(right - left, 1):.1f}"'
                tip = _tip(f"{bars.name}, {categories[at]}: {_number(value)}")
                body.append(
                    f'<rect class="s{number % _COLOURS}" {place} height="{max(frame.y(0) - top, 0):.1f}">{tip}</rect>'
                )
    return frame.whole(body, alone=alone)


def bars(title: str, along: str, categories: Sequence[str], drawn: Sequence[Bars], *, alone: bool = False) -> str:
    """Draw horizontal bars with their values next to them, one group per category from top to bottom."""
    each = _LINE * max(1, len(drawn))
    height = (each + 8) * max(1, len(categories)) + 30
    left = min(240.0, 24 + _CHAR * max((len(name) for name in categories), default=0))
    highest = max((value for one in drawn for value in one.values if value is not None), default=0.0) or 1.0
    legend = [one.name for one in drawn] if len(drawn) > 1 else []
    top = _header(legend)
    room = WIDTH - left - 70
    body = _heading(title, legend)
    for row, name in enumerate(categories):
        y = top + row * (each + 8)
        body.append(f'<text x="{left - 8:.0f}" y="{y + each / 2 + 4:.0f}" text-anchor="end">{escape(name)}</text>')
        for number, one in enumerate(drawn):
            value = one.values[row]
            if value is None:
                continue
            length = room * value / highest
            at = y + number * _LINE
            body.append(
                f'<rect class="s{number % _COLOURS}" x="{left:.0f}" y="{at:.0f}" width="{max(length, 1):.1f}" '
                f'height="{_LINE - 4}"/><text x="{left + length + 6:.1f}" y="{at + 11:.0f}">{_number(value)}</text>'
            )
    middle = left + room / 2
    body.append(f'<text x="{middle:.0f}" y="{top + height - 14:.0f}" text-anchor="middle">{escape(along)}</text>')
    return _document(title, top + height, body, alone=alone)


class _Frame:
    """Positions inside the axes, and the parts around them."""

    def __init__(
        self, title: str, names: Sequence[str], low_x: float, high_x: float, low_y: float, high_y: float
    ) -> None:
        self._title = title
        self._legend = list(names) if len(names) > 1 or (names and names[0] != title) else []
        self._top = _header(self._legend)
        self._x = (low_x, high_x if high_x > low_x else low_x + 1)
        self._y = (low_y, high_y if high_y > low_y else low_y + 1)

    def x(self, value: float) -> float:
        """Return the horizontal position of a value."""
        low, high = self._x
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        """Return the vertical position of a value."""
        low, high = self._y
        return self._top + HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM) * (value - low) / (high - low)

    def axes(self, across: Axis, up: Axis) -> list[str]:
        """Draw grid, ticks and labels."""
        bottom, right = self.y(self._y[0]), WIDTH - _RIGHT
        body: list[str] = []
        for value, name in up.ticks or _ticks(*self._y, whole=up.whole):
            y = self.y(value)
            body.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            body.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        for value, name in across.ticks or _ticks(*self._x, whole=across.whole):
            place = f'x="{self.x(value):.1f}" y="{bottom + 16:.1f}"'
            body.append(f'<text {place} text-anchor="middle">{escape(name)}</text>')
        body.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom:.1f}" y2="{bottom:.1f}"/>')
        middle = (_LEFT + right) / 2
        place = f'x="{middle:.0f}" y="{bottom + 36:.0f}"'
        body.append(f'<text {place} text-anchor="middle">{escape(across.label)}</text>')
        y = self._top + (HEIGHT - _BOTTOM) / 2
        place = f'transform="translate(14 {y:.0f}) rotate(-90)"'
        body.append(f'<text {place} text-anchor="middle">{escape(up.label)}</text>')
        return body

    def whole(self, body: Sequence[str], *, alone: bool) -> str:
        """Return the chart as SVG text."""
        return _document(self._title, self._top + HEIGHT, [*_heading(self._title, self._legend), *body], alone=alone)


def _header(legend: Sequence[str]) -> float:
    return 34 + _LINE * len(_rows(legend))


def _rows(legend: Sequence[str]) -> list[list[tuple[int, str]]]:
    """Return the legend's names in lines that fit, each with the number of its colour."""
    rows: list[list[tuple[int, str]]] = []
    used = 0.0
    for number, name in enumerate(legend):
        needed = 28 + _CHAR * len(name)
        if not rows or used + needed > WIDTH - 20:
            rows.append([])
            used = 0.0
        rows[-1].append((number, name))
        used += needed
    return rows


def _heading(title: str, legend: Sequence[str]) -> list[str]:
    body = [f'<text class="title" x="12" y="18">{escape(title)}</text>']
    for row, names in enumerate(_rows(legend)):
        x, y = 12.0, 36 + row * _LINE
        for number, name in names:
            body.append(f'<rect class="s{number % _COLOURS}" x="{x:.0f}" y="{y - 9}" width="10" height="10"/>')
            body.append(f'<text x="{x + 15:.0f}" y="{y}">{escape(name)}</text>')
            x += 28 + _CHAR * len(name)
    return body


def _document(title: str, height: float, body: Sequence[str], *, alone: bool) -> str:
    space = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    style = f"<style>{STYLE}</style>" if alone else ""
    inside = "".join(body)
    return (
        f'<svg class="chart"{space} viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"{style}{inside}</svg>\n"
    )


def _range(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    low = min(values, default=0.0) if axis.low is None else axis.low
    high = max(values, default=1.0) if axis.high is None else axis.high
    return low, high


def _ticks(low: float, high: float, *, whole: bool) -> list[tuple[float, str]]:
    """Return about five round numbers from `low` to `high`; whole numbers if the values are whole."""
    step = _step(low, high, whole=whole)
    first = math.ceil(low / step - 1e-9)
    return [(at * step, _number(at * step)) for at in range(first, math.floor(high / step + 1e-9) + 1)]


def _next_tick(low: float, high: float, *, whole: bool) -> float:
    """Return `high`, or the next round number above it: nothing is drawn above the top line of the grid."""
    if high <= low:
        return high
    step = _step(low, high, whole=whole)
    return step * math.ceil(high / step - 1e-9)


def _step(low: float, high: float, *, whole: bool) -> float:
    rough = (high - low) / 5
    scale = 10 ** math.floor(math.log10(rough))
    step = next(scale * part for part in (1, 2, 5, 10) if scale * part >= rough * 0.999)
    return max(1.0, step) if whole else step


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:.4g}"


def _tip(text: str) -> str:
    return f"<title>{escape(text)}</title>"
