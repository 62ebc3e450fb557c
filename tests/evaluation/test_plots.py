"""Axes, thinning and shapes of the report's plots, with cases whose answer is known."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchor_hub.evaluation.report.plots import histogram, line_plot, short, thinned, ticks, training_series


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(0, 1, [0, 0.25, 0.5, 0.75, 1]), (0, 100, [0, 25, 50, 75, 100]), (-1, 1, [-1, -0.5, 0, 0.5, 1]), (3, 3, [3])],
)
def test_ticks_are_round(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(wanted)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_lie_inside(low: float, span: float) -> None:
    high = low + span
    found = ticks(low, high)
    slack = 1e-6 * span + 1e-9 * abs(high)
    assert len(found) <= 9 and all(low - slack - 1e-9 * abs(low) <= x <= high + slack for x in found)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(0, "0"), (0.25, "0.25"), (12000, "12k"), (1.5e6, "1.5M"), (-3e-5, "-3e-05"), (2e9, "2G"), (1e300, "1e+300")],
)
def test_short_numbers(value: float, wanted: str) -> None:
    assert short(value) == wanted


def test_thinning_keeps_means_and_the_end() -> None:
    points = [(float(n), float(n)) for n in range(1001)]
    kept = thinned(points, 101)
    assert len(kept) == 101 and kept[0] == (4.5, 4.5) and kept[-1] == (1000.0, 1000.0)
    assert thinned(points[:50], 101) == points[:50]


def test_series_leave_out_what_is_no_number() -> None:
    lines = [
        {"images": 32, "losses": {"a": 2.0, "b": math.nan}, "images_per_second": "fast"},
        {"images": 16, "losses": {"a": 1.0}},
        {"losses": {"a": 9.0}},
        {"images": 48, "losses": None},
    ]
    assert training_series(lines) == {"a": [(16.0, 1.0), (32.0, 2.0)]}


def test_a_line_runs_from_corner_to_corner() -> None:
    svg = ElementTree.fromstring(line_plot([(0, 0), (10, 1)], title="t<"))
    assert svg.get("aria-label") == "t<"
    path = next(item.get("d") or "" for item in svg.iter() if item.get("class") == "line")
    x0, y0, x1, y1 = map(float, re.findall(r"[\d.]+", path))
    assert x0 == 46 and x1 == 312 and y0 > y1  # rising values go up
    assert len([item for item in svg.iter() if item.get("class") == "hover"]) == 2


def test_one_point_is_drawn() -> None:
    ElementTree.fromstring(line_plot([(5, 5)], title="one"))


def test_a_histogram_counts() -> None:
    svg = ElementTree.fromstring(histogram([0.0, 0.0, 0.0, 1.0], title="h"))
    bars = [item for item in svg.iter() if item.get("class") == "bar"]
    heights = [float(item.get("height") or 0) for item in bars]
    assert len(bars) == 2 and heights[0] == pytest.approx(3 * heights[1], rel=0.01)
    assert "median 0" in "".join(svg.itertext())
    ElementTree.fromstring(histogram([2.0, 2.0], title="equal"))


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=50))
def test_any_finite_values_are_drawn(values: list[float]) -> None:
    for plot in (histogram(values, title="h"), line_plot(list(enumerate(values)), title="l")):
        assert "nan" not in plot and "inf" not in plot
        ElementTree.fromstring(plot)
