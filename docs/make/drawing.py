"""Boxes, arrows and words as SVG text, in light and dark: what the pictures of the concepts are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

STYLE = """
svg { font: 14px system-ui, "DejaVu Sans", sans-serif; color: #1f2430; background: #fff }
.ground { fill: #fff } text { fill: currentColor } .small { font-size: 12px } .faint { opacity: .7 }
.bold { font-weight: 600 } .box { fill: #eef2fb; stroke: #5470c6; stroke-width: 1.5 }
.line { fill: none; stroke: currentColor; stroke-width: 1.5; opacity: .75 } .dash { stroke-dasharray: 5 4 }
.back { fill: none; stroke: #d97706; stroke-width: 2 } .tip { fill: currentColor } .backtip { fill: #d97706 }
.right { fill: #2f9e62; stroke: #2f9e62 } .wrong { fill: none; stroke: #c2417c; stroke-width: 2 }
.unscored { fill: #8a8f98; stroke: #8a8f98 } .errored { fill: #d97706; stroke: #d97706 }
.skipped { fill: none; stroke: #8a8f98; stroke-dasharray: 3 3 }
.good { fill: #e4f5ec; stroke: #2f9e62; stroke-width: 1.5 } .bad { fill: #fbecef; stroke: #c2417c; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  svg { color: #dfe3ea; background: #1e2129 } .ground { fill: #1e2129 }
  .box { fill: #262d42 } .good { fill: #1d3328 } .bad { fill: #3a222b }
}
"""


@dataclass(slots=True)
class Drawing:
    """A picture that grows by what is drawn on it."""

    title: str
    """What a screen reader says."""
    width: int
    height: int
    _parts: list[str] = field(default_factory=list[str])

    def box(self, x: float, y: float, w: float, h: float, lines: Sequence[str], kind: str = "box") -> None:
        """A rounded box with centred lines, the first of them bold."""
        self._parts.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="8"/>')
        top = y + h / 2 - 9 * (len(lines) - 1) + 5
        for at, line in enumerate(lines):
            self.text(x + w / 2, top + 18 * at, line, "bold" if at == 0 else "small faint", "middle")

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        """Words on their base line."""
        self._parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>')

    def arrow(self, points: Sequence[tuple[float, float]], kind: str = "line") -> None:
        """A line through points, with a tip at the last."""
        tip = "backtip" if kind == "back" else "tip"
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        self._parts.append(f'<path class="{kind}" d="M{path}" marker-end="url(#{tip})"/>')

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "line") -> None:
        """A straight line."""
        self._parts.append(f'<path class="{kind}" d="M{x1:g} {y1:g} L{x2:g} {y2:g}"/>')

    def dot(self, x: float, y: float, kind: str, r: float = 8) -> None:
        """A disc."""
        self._parts.append(f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="{r:g}"/>')

    def svg(self) -> str:
        """The file."""
        tips = "".join(
            f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
            f'orient="auto-start-reverse"><path class="{name}" d="M0 0 L10 5 L0 10 z"/></marker>'
            for name in ("tip", "backtip")
        )
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(self.title)}">',
                f"<style>{STYLE}</style>",
                f"<defs>{tips}</defs>",
                f'<rect class="ground" width="{self.width}" height="{self.height}"/>',
                *self._parts,
                "</svg>\n",
            ]
        )
