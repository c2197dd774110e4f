"""Charts read as their reader would: where the ticks and the grid stand."""

import re

from questwell.recipes.reports import charts, svg
from questwell.recipes.reports.svg import Axis, Bars, Line, Point

TICK = re.compile(r'<text x="[\d.]+" y="([\d.]+)" text-anchor="(middle|end)">([^<]*)</text>')


def ticks(picture: str, anchor: str) -> list[str]:
    return [name for _, at, name in TICK.findall(picture) if at == anchor and name[:1].isdigit()]


def test_items_are_counted_in_whole_numbers() -> None:
    assert ticks(charts.spent([("a", [3.0, 1.0, 2.0])], "tokens"), "middle") == ["1", "2", "3"]


def test_half_steps_are_ticks_where_values_are_no_counts() -> None:
    drawn = [Line("a", [Point(0, 0), Point(1, 1)])]
    assert ticks(svg.lines("t", Axis("hours"), Axis("share"), drawn), "middle") == [
        "0",
        "0.2",
        "0.4",
        "0.6",
        "0.8",
        "1",
    ]


def test_nothing_is_drawn_above_the_last_line_of_the_grid() -> None:
    drawn = [Line("a", [Point(0, 0), Point(1, 29_000)])]
    assert ticks(svg.lines("t", Axis("x"), Axis("tokens"), drawn), "end")[-1] == "30,000"
    assert ticks(svg.columns("t", "x", "items", ["2"], [Bars("a", [7])]), "end")[-1] == "8"


def test_a_stated_end_and_a_round_number_stay() -> None:
    drawn = [Line("a", [Point(0, 0), Point(1, 30)])]
    assert ticks(svg.lines("t", Axis("x"), Axis("percent", high=95.0), drawn), "end")[-1] == "80"
    assert ticks(svg.lines("t", Axis("x"), Axis("tokens"), drawn), "end")[-1] == "30"
