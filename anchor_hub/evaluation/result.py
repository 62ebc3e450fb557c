"""What an evaluation found: its records, and `metrics.json`, the one file that comparisons and reports read.

    report/metrics.json     a RunResult: one PairResult for each ordered pair of domains and backend
    report/<pair.samples>   one SampleResult per line, in the order of the samples (JSONL)
    report/<...>            the outputs that the sample lines name, relative to the report folder

A number always comes with how it was measured: :class:`Metric` carries extractor, resize filter, counts, settings and
seed. Two numbers may stand in one column exactly where their :attr:`Metric.protocol` is equal.
The files hold no time and no duration, so the same command writes the same bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from anchor_hub.errors import ConfigError, DataError
from anchor_hub.system.config import validate
from anchor_hub.system.files import write_file
from anchor_hub.system.guarded import open_text, read_regular
from anchor_hub.system.inputs import shown

FORMAT_VERSION = 1
#: Name of the file in a report folder.
FILE = "metrics.json"
MAX_BYTES = 64_000_000
_SHA256 = r"^[0-9a-f]{64}$"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class ExtractorRecord(_Record):
    """The network that measured a number. ``sha256``: of the network's weight file, as hexadecimal digits."""

    name: str = Field(min_length=1)
    sha256: str = Field(pattern=_SHA256)


class Metric(_Record):
    """One number, and how it was measured.

    :param name: the metric's identifier, including its convention: ``fid``, ``kid_x1000``, ``kid_x100``,
        ``fd_mobilenetv2``, ``lpips_alex``, ``ssim``, ``mean_iou``, ``landmark_error_px`` ...
    :param value: the number; None where it is not defined (``note`` says why).
    :param higher_is_better: None where neither end is better.
    :param unit: ``px``, ``dB``, ``x1000`` ...; empty for a plain number.
    :param label: the name to show, e.g. ``KID ×10³``; empty: ``name``.
    :param extractor: the network that measured; None where the metric needs none.
    :param resize: how pictures were resized for the network or the formula (filter and size); ``none``: not at all.
    :param settings: what else belongs to the definition (subset size, window, classes ...).
    :param counts: number of pictures or pairs measured, by role: ``{"real": 500, "fake": 500}``, ``{"pairs": 500}``.
    :param seed: seed of random draws; None: nothing is drawn.
    :param floor: what the truth itself scores with this judge; ``chance``: what an unrelated answer scores.
    :param details: further findings: deviation, values by class, by factor ...
    """

    name: str = Field(pattern=r"^[a-z0-9]+(?:[_.-][a-z0-9]+)*$", max_length=100)
    value: float | None
    higher_is_better: bool | None
    unit: str = ""
    label: str = ""
    extractor: ExtractorRecord | None = None
    resize: str = "none"
    settings: dict[str, Any] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    seed: int | None = None
    floor: float | None = None
    chance: float | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    note: str = ""

    @field_validator("settings", "details")
    @classmethod
    def _plain(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _json_value(value)

    @property
    def protocol(self) -> str:
        """The protocol as text: name, unit, extractor with its weights, resize, settings and counts, but no seed.

        Two numbers may be compared exactly where their protocols are equal.
        """
        extractor = None if self.extractor is None else [self.extractor.name, self.extractor.sha256]
        parts = [self.name, self.unit, extractor, self.resize, self.settings, self.counts]
        return json.dumps(parts, sort_keys=True, ensure_ascii=False)

    @property
    def title(self) -> str:
        """The label, or the name, with an arrow towards the better end."""
        arrow = {True: " ↑", False: " ↓", None: ""}[self.higher_is_better]
        return f"{self.label or self.name}{arrow}"

    def shown_value(self) -> str:
        """The number as people read it: four significant digits; ``-`` where it is not defined."""
        if self.value is None:
            return "-"
        size = abs(self.value)
        return f"{self.value:.0f}" if size >= 10_000 else f"{self.value:.4g}"


class SampleResult(_Record):
    """One sample of a pair. Paths: ``input`` and ``truth`` as found, ``outputs`` relative to the report folder.

    :param scores: name of a metric that is a mean over samples -> this sample's value.
    """

    index: int = Field(ge=0)
    name: str
    input: str
    outputs: list[str] = Field(default_factory=list)
    truth: str | None = None
    scores: dict[str, float | None] = Field(default_factory=dict)


class PairResult(_Record):
    """All measurements of one translation.

    :param backend: ``anchor``, ``nearest``, ``cyclegan`` ...
    :param samples: file of :class:`SampleResult` lines, relative to the report folder; None: there is none.
    :param settings: of the translation: styles, seed, truncation, steps of inversion ...
    """

    source: str
    target: str
    backend: str = "anchor"
    metrics: list[Metric] = Field(default_factory=list)
    samples: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    @field_validator("settings")
    @classmethod
    def _plain(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _json_value(value)

    @property
    def name(self) -> str:
        """``source -> target``, with the backend where that is not anchor."""
        way = f"{self.source} -> {self.target}"
        return way if self.backend == "anchor" else f"{way} ({self.backend})"

    def metric(self, name: str) -> Metric | None:
        """The first metric of that name."""
        return next((metric for metric in self.metrics if metric.name == name), None)


class DataRecord(_Record):
    """The data that a run measured on. ``sha256``: over names and bytes of all files that were read; ``version``: of
    the benchmark."""

    path: str
    count: int = Field(ge=0)
    sha256: str = Field(pattern=_SHA256)
    benchmark: str | None = None
    version: str | None = None


class HubRecord(_Record):
    """The hub behind a translation."""

    name: str
    fingerprint: str


class RunResult(_Record):
    """A report folder's `metrics.json`.

    :param kind: ``pairs`` (anchor evaluate), ``benchmark``, ``distance``, or a word of another program that wrote it.
    :param title: headline of the report, one line.
    :param files: role -> path relative to the report folder, e.g. ``{"stats": "stats.jsonl"}``.
    :param versions: of the libraries; ``machine``: device and threads.
    """

    format_version: int = Field(default=FORMAT_VERSION, ge=1)
    kind: str
    title: str = ""
    hub: HubRecord | None = None
    data: DataRecord | None = None
    pairs: list[PairResult]
    settings: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    machine: str = ""
    files: dict[str, str] = Field(default_factory=dict)

    @field_validator("settings")
    @classmethod
    def _plain(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _json_value(value)

    def pair(self, source: str, target: str, backend: str = "anchor") -> PairResult | None:
        """The result of one translation."""
        wanted = (source, target, backend)
        return next((pair for pair in self.pairs if (pair.source, pair.target, pair.backend) == wanted), None)

    def write(self, folder: str | Path) -> Path:
        """Write `metrics.json` into ``folder`` (made if need be), whole or not at all; returns its path."""
        path = Path(folder) / FILE
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return write_file(path, f"{text}\n".encode())
        except OSError as error:
            raise DataError(f"{shown(path)}: cannot be written ({error.strerror or error})") from None


def read_run(path: str | Path) -> RunResult:
    """The run in a report folder, or in a `metrics.json`.

    :raises DataError: the file is missing or damaged, or a later version of this library wrote it.
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    value = parse_json(_read(path), shown(path))
    version = value.get("format_version", 1) if isinstance(value, dict) else 1
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise DataError(
            f"{shown(path)}: has format {version}, this version reads up to {FORMAT_VERSION}: upgrade anchor-hub"
        )
    try:
        return validate(value, RunResult, shown(path))
    except ConfigError as error:
        raise DataError(f"{error}; run the evaluation again") from None


def sample_line(sample: SampleResult) -> str:
    """One line of the samples' file, with its newline."""
    return json.dumps(sample.model_dump(mode="json"), ensure_ascii=False, allow_nan=False) + "\n"


def write_samples(path: str | Path, samples: Iterable[SampleResult]) -> Path:
    """Write sample lines, whole or not at all; returns the path. A run that streams appends :func:`sample_line`
    instead."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return write_file(path, "".join(sample_line(sample) for sample in samples).encode())


def read_samples(path: str | Path) -> Iterator[SampleResult]:
    """The samples in a file of lines, one by one.

    :raises DataError: the file cannot be read, or a line is damaged; the message says its number.
    """
    path = Path(path)
    try:
        with open_text(path) as stream:
            for number, line in enumerate(stream, 1):
                where = f"{shown(path)}, line {number}"
                try:
                    yield validate(parse_json(line, where), SampleResult, where)
                except ConfigError as error:
                    raise DataError(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{shown(path)}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def parse_json(text: str, where: str) -> Any:
    """The value of a JSON text.

    :param where: file (and line) that messages name.
    :raises DataError: the text is no JSON, repeats a key, or has a number that is not finite.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise ValueError("a key appears twice")
        return table

    def constant(name: str) -> Any:
        raise ValueError(f"JSON has no number {name}")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not valid JSON ({error})") from None


def _read(path: Path) -> str:
    try:
        return read_regular(path, MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{shown(path)}: is no {FILE}: it is not UTF-8 text") from None
    except OSError as error:
        raise DataError(
            f"{shown(path)}: cannot be read ({error.strerror or error}); give the --report folder of an evaluation"
        ) from None


def _json_value(value: Any) -> Any:
    """``value``, as JSON gives it back.

    :raises ValueError: NaN, infinity or a type that JSON lacks: refused here, where the cause can still be seen.
    """
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("keys must be text")
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} cannot be written to JSON: use None")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"{type(value).__name__} cannot be written to JSON")
