"""A measured benchmark as the Markdown tables of docs/benchmark.md, made from the JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anchor_faces.benchmark.factor_groups import ALL_GROUPS, ALL_JUDGED
from anchor_faces.benchmark.judge_kinds import FACES, JUDGE_KINDS
from anchor_hub.errors import DataError
from anchor_hub.evaluation.result import Metric, PairResult, RunResult
from anchor_hub.system.files import write_file

# One table per kind of target: (metric, heading, format); a pair belongs to the first kind whose metric it has.
_FACE = (
    ("parser_miou", "parser mIoU ↑", "{:.3f}"),
    ("landmark_error_px", "landmarks, px ↓", "{:.2f}"),
    ("landmark_error_interocular", "of eyes' distance ↓", "{:.1%}"),
    ("factor_agreement", "factor agreement ↑", "{:.3f}"),
    ("fd_rendered", "fd_rendered ↓", "{:.3f}"),
    ("diversity_rendered", "diversity of styles ↑", "{:.3f}"),
)
_CREATURE = (
    ("parser_miou", "parser mIoU ↑", "{:.3f}"),
    ("landmark_error_px", "landmarks, px ↓", "{:.2f}"),
    ("landmark_error_interocular", "of eyes' distance ↓", "{:.1%}"),
    ("turn_correlation", "turn of the head ↑", "{:.3f}"),
    ("factor_agreement", "factor agreement ↑", "{:.3f}"),
    ("pose_agreement", "pose ↑", "{:.3f}"),
    ("expression_agreement", "expression ↑", "{:.3f}"),
    ("hair_outline_agreement", "hair outline ↑", "{:.3f}"),
    ("glasses_agreement", "glasses ↑", "{:.3f}"),
    ("fd_creatures", "fd_creatures ↓", "{:.3f}"),
    ("diversity_creatures", "diversity of styles ↑", "{:.3f}"),
)
_CAR = (
    ("parser_miou", "parser mIoU ↑", "{:.3f}"),
    ("heading_end", "front ↑", "{:.1%}"),
    ("heading_side", "right side ↑", "{:.1%}"),
    ("heading_error_deg", "heading, degrees ↓", "{:.1f}"),
    ("turn_correlation", "turn ↑", "{:.3f}"),
    ("pose_agreement", "pose ↑", "{:.3f}"),
    ("fd_cars", "fd_cars ↓", "{:.3f}"),
    ("diversity_cars", "diversity of styles ↑", "{:.3f}"),
)
_LABELS = (("mean_iou", "mIoU ↑", "{:.3f}"), ("pixel_accuracy", "pixel accuracy ↑", "{:.3f}"))
_POINTS = (
    ("landmark_error_px", "landmarks, px ↓", "{:.2f}"),
    ("landmark_error_interocular", "of eyes' distance ↓", "{:.1%}"),
)
_PICTURES = (("l1", "mean absolute difference ↓", "{:.3f}"), ("psnr", "PSNR, dB ↑", "{:.1f}"))
_READ = (("factor_agreement", "factor agreement ↑", "{:.3f}"),)
KINDS = (
    ("Into faces", _FACE),
    ("Into toons", _CREATURE),
    ("Into cats", _CREATURE),
    ("Into cars", _CAR),
    ("Into label maps", _LABELS + _READ),
    ("Into landmarks", _POINTS + _READ),
    ("Into sketches and other pictures", _PICTURES + _READ),
)
#: Pictures that the other judges read have the names of the faces' scores, and say in their settings what they show.
_PICTURE_TITLES = {"toon": "Into toons", "cat": "Into cats", "car_front": "Into cars"}
_PLURALS = {"car_front": "fronts of cars"}
OURS = "ours"
#: Marks in a page; the tables stand between them.
BEGIN, END = "<!-- benchmark: made by anchor benchmark table -->", "<!-- end of benchmark -->"


def markdown(result: RunResult) -> str:
    """Every table: scores by kind of target, factors by target, the judges' own error."""
    parts = []
    for title, columns in KINDS:
        pairs = [pair for pair in result.pairs if _kind(pair) == title]
        if pairs:
            parts.append(f"### {title}\n\n{_scores(pairs, columns)}")
    for target in dict.fromkeys(pair.target for pair in result.pairs):
        factors = _factors([pair for pair in result.pairs if pair.target == target])
        if factors:
            parts.append(f"### What survives in {target}, factor by factor\n\n{factors}")
    floor = judges_table(result)
    if floor:
        parts.append(f"### The judges' own error\n\n{floor}")
    for kind in JUDGE_KINDS.values():
        floors = result.settings.get(f"{kind.recorded}_floor")
        if kind is not FACES and isinstance(floors, dict):
            rows = [f"- {_own_error(floor, _PLURALS.get(picture, f'{picture}s'))}" for picture, floor in floors.items()]
            parts.append(f"### The {kind.recorded.replace('_', ' ')}' own error\n\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def renewed(page: Path, result: RunResult) -> None:
    """Put the tables into a Markdown page, between ``BEGIN`` and ``END``.

    :raises DataError: the page cannot be read, or lacks the marks.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{page}: cannot be read ({error})") from None
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DataError(f"{page}: has no lines {BEGIN} and {END}; add them where the tables belong")
    write_file(page, f"{before}{BEGIN}\n\n{about(result)}\n\n{markdown(result)}\n{END}{after}".encode())


def about(result: RunResult) -> str:
    """One line that says what was measured."""
    hub, data = result.hub, result.data
    made = f"hub `{hub.name}` ({hub.fingerprint[:12]})" if hub else "outputs of other programs"
    versions = ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))
    return (
        f"`{data.benchmark if data else ''}` version {data.version if data else ''}, {data.count if data else 0:,} "
        f"samples; {made}; {versions}. "
        "Chance levels stand in brackets behind each score."
    )


def _kind(pair: PairResult) -> str:
    judged = pair.metric(_CREATURE[0][0])
    picture = "" if judged is None else judged.settings.get("picture", "")
    if picture in _PICTURE_TITLES:
        return _PICTURE_TITLES[picture]
    return next((title for title, columns in KINDS if pair.metric(columns[0][0]) is not None), "")


def _scores(pairs: Sequence[PairResult], columns: Sequence[tuple[str, str, str]]) -> str:
    """Rows: each translation with its chance level in brackets, then the truth itself."""
    held = [column for column in columns if any(pair.metric(column[0]) is not None for pair in pairs)]
    rows = [["from → to", "by", *(heading for _, heading, _ in held)], ["---"] * (2 + len(held))]
    for pair in pairs:
        cells = [_cell(pair.metric(name), form) for name, _, form in held]
        rows.append([f"{pair.source} → {pair.target}", OURS if pair.backend == "anchor" else pair.backend, *cells])
    floors = []
    for name, _, form in held:
        metrics = [metric for pair in pairs if (metric := pair.metric(name)) is not None]
        found = [metric.floor for metric in metrics if metric.floor is not None]
        same = len({form.format(value) for value in found}) == 1  # else what is kept differs between the pairs
        floors.append(form.format(found[0]) if same else "" if not found else f"up to {form.format(max(found))}")
    rows.append(["*the truth itself*", "", *floors])
    return _table(rows)


def _cell(metric: Metric | None, form: str) -> str:
    if metric is None or metric.value is None:
        return ""
    text = form.format(metric.value)
    return text if metric.chance is None else f"{text} ({form.format(metric.chance)})"


def _factors(pairs: Sequence[PairResult]) -> str:
    """Rows: factors; columns: the truth itself, then each translation; factors that may vary in brackets."""
    columns = []
    for pair in pairs:
        metric = pair.metric("factor_agreement")
        if metric is not None and metric.details.get("factors"):
            columns.append((pair, metric.details["factors"]))
    if not columns:
        return ""
    heads = [f"{pair.source} → {pair.target}" + ("" if pair.backend == "anchor" else f" ({pair.backend})")
             for pair, _ in columns]  # fmt: skip
    known = columns[0][1]
    rows = [["group", "factor", "measure", "the truth itself", *heads], ["---"] * (4 + len(heads))]
    for group in ALL_GROUPS:
        for factor in ALL_JUDGED:
            row = known.get(factor.name)
            if factor.group != group or row is None:
                continue
            best = f"{_number(row.get('floor'))} / {_number(row.get('floor_agreement'))}"
            cells = [_factor_cell(table.get(factor.name)) for _, table in columns]
            rows.append([group, f"`{factor.name}`", str(row.get("measure", "")), best, *cells])
    return _table(rows)


def _factor_cell(row: dict[str, object] | None) -> str:
    """``score / agreement``; in brackets where the factor may vary."""
    if row is None or row.get("agreement") is None:
        return ""
    text = f"{_number(row['score'])} / {_number(row['agreement'])}"
    return text if row["kept"] else f"({text})"


def judges_table(result: RunResult) -> str:
    """IoU of every class and the landmark error of the judges on true faces."""
    floor = result.settings.get("judges_floor")
    if not isinstance(floor, dict):
        return ""
    ious = floor["structure"]["iou"]
    rows = [["class", "IoU"], ["---", "---"], *([name, _number(value)] for name, value in ious.items())]
    return f"{_own_error(floor, 'faces')}\n\n{_table(rows)}"


def _own_error(floor: dict[str, Any], what: str) -> str:
    structure = floor["structure"]
    text = (
        f"On {floor['samples']:,} true {what} that they never saw: parser mIoU {structure['mean_iou']:.3f}, "
        f"pixel accuracy {structure['pixel_accuracy']:.3f}, "
    )
    if "heading" in floor:
        heading = floor["heading"]
        return f"{text}the right end on {heading['end']:.1%}, heading {heading['error']:.1f} degrees away."
    landmarks = floor["landmarks"]
    return (
        f"{text}landmarks {landmarks['mean_error_px']:.2f} px "
        f"({landmarks['normalised_mean_error']:.1%} of the eyes' distance)."
    )


def _number(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "–"


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
