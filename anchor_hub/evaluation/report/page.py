"""The report as HTML: what it shows, in which order. The template escapes every text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from anchor_hub.evaluation.report.contents import Contents, Samples, inside
from anchor_hub.evaluation.report.embedding import Embedded, Embedder
from anchor_hub.evaluation.report.plots import histogram, line_plot, training_series
from anchor_hub.evaluation.result import Metric, PairResult, SampleResult

PAGE = Path(__file__).parent / "page"
#: Number of samples in a pair's grid, and at each end of a score.
IN_GRID, AT_END = 16, 6
#: Number of outputs shown per input.
MOST_OUTPUTS = 5
#: Number of characters shown of a name or setting; a longer text ends in an ellipsis.
LONGEST = 2000


@dataclass(frozen=True)
class Tile:
    """A picture with its caption."""

    label: str
    picture: Embedded


@dataclass(frozen=True)
class Card:
    """A sample: its pictures side by side, its scores below."""

    name: str
    tiles: tuple[Tile, ...]
    scores: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Ends:
    """The two ends of a per-sample score, its spread, and what the ends are called."""

    title: str
    first: str
    last: str
    first_cards: tuple[Card, ...]
    last_cards: tuple[Card, ...]
    spread: Markup
    count: int
    not_scored: int


@dataclass(frozen=True)
class PairPage:
    """One translation's part of the page."""

    pair: PairResult
    cards: tuple[Card, ...]
    ends: tuple[Ends, ...]
    count: int


def render(contents: Contents) -> str:
    """The complete page, as HTML."""
    embed = Embedder()
    pairs = [_pair_page(contents, place, embed) for place in range(len(contents.run.pairs))]
    style = (PAGE / "report.css").read_text(encoding="utf-8")
    script = (PAGE / "report.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(PAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(text=text, value=shown_value, fraction=_fraction)
    environment.tests.update(table=lambda value: isinstance(value, Mapping) and bool(value))
    return environment.get_template("report.html.j2").render(
        run=contents.run,
        title=contents.run.title or " and ".join(pair.name for pair in contents.run.pairs[:2]) or contents.run.kind,
        pairs=pairs,
        overview=overview(contents.run.pairs),
        training=[(name, _charts(name, lines)) for name, lines in contents.logs.items()],
        problems=contents.problems,
        settings=flat(
            {
                "translation": contents.run.settings,
                "data": contents.run.data.model_dump() if contents.run.data else {},
                "hub": contents.run.hub.model_dump() if contents.run.hub else {},
                "versions": contents.run.versions,
                "machine": contents.run.machine,
            }
        ),
        flat=flat,
        matrix=matrix,
        # The page may use only this style and script, whatever the name of a file or a setting contains.
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def text(value: Any) -> str:
    """``value`` as text that HTML can hold: without control characters or lone surrogates, and of limited length."""
    found = "".join(char if char.isprintable() or char == " " else "\N{REPLACEMENT CHARACTER}" for char in str(value))
    found = found.encode("utf-8", "replace").decode("utf-8")
    return found if len(found) <= LONGEST else f"{found[:LONGEST]}…"


def shown_value(value: Any) -> str:
    """A setting or a detail as people read it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return text(", ".join(shown_value(item) for item in value))
    if isinstance(value, Mapping):
        return text(json.dumps(value, ensure_ascii=False))
    return text(value)


def flat(table: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """``{"a": {"b": 1}}`` as ``[("a.b", 1)]``; empty parts are left out."""
    rows: list[tuple[str, Any]] = []
    for key, value in table.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            rows.extend(flat(value, f"{name}."))
        elif value is not None and value != "" and value != []:
            rows.append((name, value))
    return rows


def matrix(value: Any) -> tuple[list[str], list[tuple[str, list[Any]]]] | None:
    """Columns and rows of a dictionary of dictionaries with the same keys (values by class, by factor); else None."""
    if not isinstance(value, Mapping) or not value or not all(isinstance(row, Mapping) for row in value.values()):
        return None
    columns = list(dict.fromkeys(key for row in value.values() for key in row))
    if not columns or any(isinstance(cell, Mapping) for row in value.values() for cell in row.values()):
        return None
    return columns, [(name, [row.get(column) for column in columns]) for name, row in value.items()]


def overview(pairs: Sequence[PairResult]) -> tuple[list[Metric], list[tuple[PairResult, list[Metric | None]]]] | None:
    """Columns, and each pair with its metrics; None for a single pair. A column holds numbers of one protocol only."""
    if len(pairs) < 2:
        return None
    columns: dict[str, Metric] = {}
    for metric in (metric for pair in pairs for metric in pair.metrics):
        columns.setdefault(metric.protocol, metric)
    rows = []
    for pair in pairs:
        own = {metric.protocol: metric for metric in pair.metrics}
        rows.append((pair, [own.get(protocol) for protocol in columns]))
    return list(columns.values()), rows


def _fraction(metric: Metric) -> int | None:
    """The place of a value between chance (0) and the judge's floor (100), in percent."""
    if metric.value is None or metric.floor is None or metric.chance is None or metric.floor == metric.chance:
        return None
    share = (metric.value - metric.chance) / (metric.floor - metric.chance)
    return round(100 * min(1.0, max(0.0, share)))


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode("utf-8")).digest()).decode("ascii")


def _pair_page(contents: Contents, place: int, embed: Embedder) -> PairPage:
    pair, samples = contents.run.pairs[place], contents.samples[place]
    if samples is None:
        return PairPage(pair, (), (), 0)
    orders = {name: order for name in samples.scores if len(order := _order(name, pair, samples)) >= 2}
    grid = range(min(IN_GRID, samples.count))
    shown = {*grid, *(number for order in orders.values() for number in (*_first(order), *_last(order)))}
    cards = {
        number: _card(contents.folder, pair, sample, embed) for number, sample in samples.read(shown).items()
    }
    ends = tuple(_ends(name, pair, samples, order, cards) for name, order in orders.items())
    return PairPage(pair, tuple(cards[number] for number in grid), ends, samples.count)


def _card(folder: Path, pair: PairResult, sample: SampleResult, embed: Embedder) -> Card:
    tiles = [Tile("input", embed(Path(sample.input), pair.source))]
    several = len(sample.outputs) > 1
    for place, name in enumerate(sample.outputs[:MOST_OUTPUTS]):
        path = inside(folder, name)
        picture = Embedded(problem="not in this folder") if path is None else embed(path, pair.target)
        tiles.append(Tile(f"output {place + 1}" if several else "output", picture))
    if sample.truth is not None:
        tiles.append(Tile("truth", embed(Path(sample.truth), pair.target)))
    labels = {metric.name: metric.label or metric.name for metric in pair.metrics}
    scores = tuple((labels.get(name, name), shown_value(value)) for name, value in sample.scores.items())
    return Card(sample.name, tuple(tiles), scores)


def _higher(name: str, pair: PairResult) -> bool | None:
    metric = pair.metric(name)
    return metric.higher_is_better if metric else None


def _order(name: str, pair: PairResult, samples: Samples) -> list[int]:
    """The lines of the samples that have the score, best (or highest) first; equal scores keep their order."""
    import numpy as np

    scores = np.asarray(samples.scores[name])
    scored = np.flatnonzero(~np.isnan(scores))
    keys = scores[scored] if _higher(name, pair) is False else -scores[scored]
    return scored[np.argsort(keys, kind="stable")].tolist()


def _first(order: list[int]) -> list[int]:
    return order[: min(AT_END, len(order) // 2)]


def _last(order: list[int]) -> list[int]:
    return order[: -min(AT_END, len(order) // 2) - 1 : -1]


def _ends(
    name: str, pair: PairResult, samples: Samples, order: list[int], cards: Mapping[int, Card]
) -> Ends:
    metric = pair.metric(name)
    title = (metric.label or metric.name) if metric else name
    first, last = ("highest", "lowest") if _higher(name, pair) is None else ("best", "worst")
    scores = samples.scores[name]
    return Ends(
        title,
        first,
        last,
        tuple(cards[number] for number in _first(order)),
        tuple(cards[number] for number in _last(order)),
        histogram([scores[number] for number in order], title=f"{text(title)} of {len(order)} samples"),
        len(order),
        samples.count - len(order),
    )


def _charts(name: str, lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, Markup]]:
    series = training_series(lines)
    return [
        (loss, points[-1][1], line_plot(points, title=f"{text(loss)} over training of {text(name)}"))
        for loss, points in series.items()
    ]
