"""An evaluation as the command line describes it: names and options in, a run's result out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anchor_hub.errors import PluginError, UsageError
from anchor_hub.evaluation.data import pair_data
from anchor_hub.evaluation.plan import PAIRED, SETS, Networks, check_used, parse_metrics
from anchor_hub.evaluation.result import FILE, RunResult, read_run
from anchor_hub.evaluation.running import Options, evaluate, outputs_wanted
from anchor_hub.system.inputs import shown
from anchor_hub.system.outputs import check_new
from anchor_hub.translation.command_line import request_of
from anchor_hub.translation.request import TranslationRequest

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PairsRequest:
    """What to translate, and the files to measure the translation on.

    :param data: folder with ``<source>`` and ``<target>`` folders.
    :param real, count: see ``pair_data`` (``count`` is its ``limit``).
    :param metrics: comma-separated names, or None for the metrics that need no weights.
    :param styles: random styles; 0: the backend's own look (10 where ``lpips_diversity`` is asked for).
    :param references: pictures that give the outputs their look.
    :param backend, translator, options: how to translate, see
        :class:`~anchor_hub.translation.request.TranslationRequest`.
    """

    source: str | Path
    target: str | Path
    data: str | Path
    metrics: str | None = None
    real: str | Path | None = None
    count: int | None = None
    styles: int = 0
    vary: bool = False
    style_layers: str | None = None
    truncation: float = 1.0
    device: str = "auto"
    references: tuple[str | Path, ...] = ()
    invert: int = 0
    backend: str | None = None
    translator: str | Path | None = None
    options: Sequence[str] = ()

    def translation(self, seed: int) -> TranslationRequest:
        """How to translate. :raises UsageError: options that contradict each other."""
        words = [word.strip().lower().replace("-", "_") for word in (self.metrics or "").split(",")]
        styles = self.styles if self.references else outputs_wanted(words, self.styles)
        return request_of(
            self.source, self.target, backend=self.backend, translator=self.translator, styles=styles, vary=self.vary,
            style_from=self.references, truncation=self.truncation, seed=seed if styles else None,
            style_layers=self.style_layers, invert=self.invert, settings=self.options,
        )  # fmt: skip


def evaluate_pairs(
    request: PairsRequest,
    report: str | Path,
    networks: Networks | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """The result of `anchor evaluate --data`.

    See :func:`anchor_hub.evaluation.running.evaluate` for the files it writes and the errors it raises.
    """
    options = options or Options()
    words = {word.strip().lower().replace("-", "_") for word in (request.metrics or "").split(",")}
    session = request.translation(options.seed).open(request.device)
    source, target = session.translator.source, session.translator.target
    data = pair_data(
        request.data, (source, session.source_modality), (target, session.target_modality),
        real=request.real, limit=request.count, alone=request.metrics is not None and not {*PAIRED, *SETS} & words,
    )  # fmt: skip
    metrics = parse_metrics(request.metrics, session.target_modality, data.paired)
    check_used(metrics, Networks(), request.real)
    return evaluate(session, data, metrics, report, networks=networks, options=options, progress=progress)


def evaluate_benchmark(
    name: str,
    source: str | None,
    target: str | None,
    report: str | Path,
    count: int | None = None,
    device: str = "auto",
    options: Options | None = None,
    progress: Progress | None = None,
    way: Mapping[str, Any] | None = None,
) -> RunResult:
    """The result of `anchor evaluate --benchmark`.

    The registered benchmark measures and writes its samples; this function writes `metrics.json`.

    :param source, target: names of the domains; both None: every ordered pair of the benchmark's domains.
    :param way: those of ``backend``, ``translator`` and ``options`` that the request gives.
    :raises UsageError: the report folder is in use (and ``resume`` off), or holds an evaluation of another kind.
    :raises BenchmarkNotFoundError: nobody registered the name.
    :raises PluginError: the benchmark returned no result.
    """
    from anchor_hub.plugins.registry import registry

    options = options or Options()
    if (source is None) != (target is None):
        raise UsageError("give --from and --to, or neither (every ordered pair of the benchmark's domains)")
    record = registry().benchmarks[name]
    _check_report(Path(report), options.resume)
    run = registry().load(record.spec.target, f"benchmark {name!r} of {record.label}")
    takes = inspect.signature(run).parameters
    known = any(item.kind is inspect.Parameter.VAR_KEYWORD for item in takes.values())
    for word in way or {}:
        if not known and word not in takes:
            option = "--set" if word == "options" else f"--{word}"
            raise UsageError(f"{option}: the benchmark {name!r} measures the backend 'anchor' alone; leave it out")
    result = run(
        source, target, report=Path(report), count=count, seed=options.seed, batch=options.batch,
        workers=options.workers, device=device, resume=options.resume, progress=progress,
        **(way or {}),
    )  # fmt: skip
    if not isinstance(result, RunResult):
        raise PluginError(f"benchmark {name!r} of {record.label}: returned {type(result).__name__}, not a RunResult")
    result.write(report)
    return result


def _check_report(report: Path, resume: bool) -> None:
    """Check that a benchmark may write into the folder.

    :raises UsageError: the folder is in use, or holds another kind of evaluation.
    """
    if not resume or not report.is_dir():
        check_new(report, "--report", resume=True)
    elif (report / FILE).is_file() and (kind := read_run(report).kind) != "benchmark":
        raise UsageError(f"--report {shown(report)}: holds an evaluation of the kind {kind!r}; choose another folder")
