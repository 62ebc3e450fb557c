"""Plots as inline SVG: lines over training, histograms of scores. Colours come from the page's style."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from anchor_hub.evaluation.report.contents import number

WIDTH, HEIGHT = 320, 170
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 24
MOST_POINTS, BINS = 400, 24


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers from ``low`` to ``high``, about ``count`` of them; both ends lie inside the range."""
    span = high - low
    if not (span > 0 and math.isfinite(span)):
        return [low]
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def short(value: float) -> str:
    """A number for an axis: ``0``, ``0.25``, ``12k``, ``1.5M``, ``3e-05``."""
    if value == 0:
        return "0"
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if limit <= abs(value) < 1e12:
            return f"{value / limit:.4g}{unit}"
    return f"{value:.4g}"


def thinned(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most ``most`` points: each is the mean of an equally long run of ``points``; the last one stays as it is."""
    if len(points) <= most:
        return list(points)
    size = math.ceil((len(points) - 1) / (most - 1))
    kept = []
    for start in range(0, len(points) - 1, size):
        part = points[start : min(start + size, len(points) - 1)]
        kept.append((sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)))
    return [*kept, points[-1]]


def training_series(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Losses (and speed) of a training log over images seen: ``{name: [(images, value)]}``, finite ones only."""
    series: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        images = number(line.get("images"))
        losses = line.get("losses")
        if images is None or not isinstance(losses, Mapping):
            continue
        for name, value in [*losses.items(), ("images per second", line.get("images_per_second"))]:
            found = number(value)
            if found is not None:
                series.setdefault(str(name), []).append((images, found))
    return {name: sorted(points) for name, points in series.items()}


def line_plot(points: Sequence[tuple[float, float]], *, title: str, x_label: str = "images") -> Markup:
    """A line through ``(x, y)``; ``title`` is read out by screen readers."""
    shown = thinned(points)
    (x_low, x_high), (y_low, y_high) = _span([x for x, _ in points]), _span([y for _, y in points], margin=0.06)
    x_of, y_of = _scales(x_low, x_high, y_low, y_high)
    path = " ".join(f"{'L' if place else 'M'}{x_of(x):.1f} {y_of(y):.1f}" for place, (x, y) in enumerate(shown))
    last_x, last_y = shown[-1]
    dots = "".join(
        f'<circle class="hover" cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="5">'
        f"<title>{escape(short(y))} at {escape(short(x))} {escape(x_label)}</title></circle>"
        for x, y in (shown if len(shown) <= 150 else shown[:: len(shown) // 75])
    )
    body = (
        f'<path class="line" d="{path}"/><circle class="end" cx="{x_of(last_x):.1f}" cy="{y_of(last_y):.1f}" r="3"/>'
        f"{dots}"
    )
    return _frame(body, (x_low, x_high), (y_low, y_high), title)


def histogram(values: Sequence[float], *, title: str) -> Markup:
    """How many of ``values`` fall into each of 24 bins, with their median as a line."""
    low, high = _span(values)
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int((value - low) / (high - low) * BINS))] += 1
    x_of, y_of = _scales(low, high, 0, max(counts) * 1.05)
    width = (high - low) / BINS
    bars = []
    for place, count in enumerate(counts):
        if not count:
            continue
        x, right = x_of(low + place * width), x_of(low + (place + 1) * width)
        label = f"{count} between {short(low + place * width)} and {short(low + (place + 1) * width)}"
        bars.append(
            f'<rect class="bar" x="{x + 0.5:.1f}" y="{y_of(count):.1f}" width="{max(right - x - 1, 1):.1f}" '
            f'height="{y_of(0) - y_of(count):.1f}"><title>{escape(label)}</title></rect>'
        )
    ordered = sorted(values)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    middle = f"{x_of(median):.1f}"
    body = "".join(bars) + (
        f'<line class="median" x1="{middle}" x2="{middle}" y1="{TOP}" y2="{HEIGHT - BOTTOM}">'
        f"<title>median {escape(short(median))}</title></line>"
    )
    return _frame(body, (low, high), (0, max(counts) * 1.05), title)


def _span(values: Sequence[float], margin: float = 0.0) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        around = abs(low) * 0.1 or 1.0
        return low - around, high + around
    room = (high - low) * margin
    return low - room, high + room


def _scales(x_low: float, x_high: float, y_low: float, y_high: float) -> tuple[Any, Any]:
    def x_of(x: float) -> float:
        return LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def y_of(y: float) -> float:
        return HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    return x_of, y_of


def _frame(body: str, x_range: tuple[float, float], y_range: tuple[float, float], title: str) -> Markup:
    x_of, y_of = _scales(*x_range, *y_range)
    parts = []
    for y in ticks(*y_range):
        parts.append(
            f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y_of(y):.1f}" y2="{y_of(y):.1f}"/>'
            f'<text class="y" x="{LEFT - 6}" y="{y_of(y) + 3.5:.1f}">{escape(short(y))}</text>'
        )
    for x in ticks(*x_range):
        parts.append(f'<text class="x" x="{x_of(x):.1f}" y="{HEIGHT - 7}">{escape(short(x))}</text>')
    return Markup(
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}{body}</svg>"
    )
