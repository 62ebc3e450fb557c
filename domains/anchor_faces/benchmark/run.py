"""Runs the benchmark: on one ordered pair of domains or on all pairs, and on outputs of other programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from anchor_faces.benchmark import samples as data
from anchor_faces.benchmark.measuring import BATCH, Benchmark, Progress, rounded
from anchor_faces.benchmark.samples import End
from anchor_hub.errors import DataError, UsageError
from anchor_hub.evaluation.result import Metric, PairResult, RunResult


def run(
    domains: Sequence[str],
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    count: int | None = None,
    seed: int = 0,
    batch: int = BATCH,
    device: str = "auto",
    report: Path | None = None,
    judges: str | Path | None = None,
    others: Mapping[str, Path] | None = None,
    earlier: RunResult | None = None,
    backend: str | None = None,
    translator: str | None = None,
    options: Mapping[str, Any] | None = None,
    only_others: bool = False,
    progress: Progress | None = None,
    said: Callable[[str], None] | None = None,
) -> RunResult:
    """The result of the benchmark over ``pairs`` of domains by name; default: all ordered pairs of ``domains``.

    :param others: backend -> folder of its outputs, with a folder ``<source>-to-<target>`` for each pair it answers.
    :param earlier: a run whose scores of other backends are taken over, for backends that ``others`` does not name.
    :param backend, translator, options: how to translate, see ``anchor_hub.translation.request.TranslationRequest``.
    :param only_others: translate nothing, score ``others`` alone; then the domains need not be trained.
    :param said: called with one line per pair after the pair is measured.
    :raises DomainNotFoundError, HubMismatchError, UsageError, DataError.
    """
    from anchor_hub.system.devices import resolve_device
    from anchor_hub.translation.request import TranslationRequest

    if pairs is None:
        if len(domains) < 2 or len(set(domains)) != len(domains):
            raise UsageError(f"--domains {','.join(domains)}: name at least two different domains, with commas")
        pairs = [(source, target) for source in domains for target in domains if source != target]
    on = resolve_device(device)
    for name in domains:
        data.render_modality(name)  # refuses an unknown domain before anything is rendered
    way: dict[str, Any] = {"backend": backend, "translator": translator, "options": dict(options or {})}
    if only_others and (not others or any(way.values())):
        raise UsageError("--only-also scores the outputs of --also alone: give --also, and none of --backend, "
                         "--translator, --set")  # fmt: skip
    ours = [] if only_others else pairs
    requests = {pair: TranslationRequest(source=pair[0], target=pair[1], **way) for pair in ours}
    opened = {pair: request.open(on).translator for pair, request in requests.items()}
    answered = _answers(others or {}, pairs)  # before anything is rendered, too
    benchmark = Benchmark.open(
        domains, count=count, seed=seed, batch=batch, device=on, report=report, judges=judges, progress=progress
    )
    known = [pair for pair in benchmark.others_of(earlier) if pair.backend not in (others or {})] if earlier else []
    total, passed = benchmark.samples.count * (len(opened) + len(answered)), 0

    def done(count: int) -> None:
        nonlocal passed
        passed += count
        if progress is not None:
            progress(min(passed, total), total)

    benchmark.done = done
    results: list[PairResult] = []
    outputs: dict[str, Tensor] = {}
    last = ""
    for source, target in pairs:
        if opened and source != last:  # pairs of one source stand together
            together = [between for (start, _), between in opened.items() if start == source]
            outputs, last = benchmark.translations(together), source
        first, between = len(results), opened.get((source, target))
        if between is not None:
            results.append(benchmark.pair(between, outputs[target]))
        for other, folder in answered.get((source, target), ()):
            end = End.registered(target) if between is None else End.target(between)
            results.append(benchmark.outputs_of(other, source, end, folder))
        results += [pair for pair in known if (pair.source, pair.target) == (source, target)]
        if said is not None:
            for pair in results[first:]:
                said(_line(pair))
    return benchmark.result(results, opened[pairs[0]].identity.hub if opened else None)


def evaluate(
    source: str | None,
    target: str | None,
    *,
    report: Path,
    count: int | None = None,
    seed: int = 0,
    batch: int = BATCH,
    workers: int = 1,
    device: str = "auto",
    resume: bool = False,
    progress: Progress | None = None,
    **way: Any,
) -> RunResult:
    """The result of ``anchor evaluate --benchmark rendered-faces``.

    :param source, target: names of the domains; both None: all ordered pairs of the trained domains.
    :param workers, resume: without effect, since samples are read once and a pair takes a minute.
    :param way: ``backend``, ``translator`` and ``options`` of :func:`run`.

    :raises UsageError: only one of ``source`` and ``target`` is given.
    """
    options: dict[str, Any] = {
        "count": count, "seed": seed, "batch": batch, "device": device, "report": report, "progress": progress,
        **way,
    }  # fmt: skip
    if source is None and target is None:
        return run(trained_domains(), **options)
    if source is None or target is None:
        raise UsageError("--benchmark rendered-faces: give both --from and --to, or neither for all pairs")
    return run(list(dict.fromkeys([source, target])), pairs=[(source, target)], **options)


def trained_domains() -> list[str]:
    """Names of the domains of rendered faces that are trained on this machine.

    :raises UsageError: there are fewer than two.
    """
    from anchor_faces.rendering import MODALITIES
    from anchor_hub.plugins.registry import registry

    known = registry().domains
    names = [name for name in MODALITIES if name in known and known[name].bundle is not None]
    if len(names) < 2:
        raise UsageError("the benchmark needs two trained domains of rendered faces; add one: anchor add-domain sketch")
    return names


def _answers(
    others: Mapping[str, Path], pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], list[tuple[str, Path]]]:
    """(source, target) -> (backend, folder) of each set of outputs that exists."""
    found: dict[tuple[str, str], list[tuple[str, Path]]] = {}
    for backend, folder in others.items():
        held = [pair for pair in pairs if (folder / f"{pair[0]}-to-{pair[1]}").is_dir()]
        if not held:
            raise DataError(
                f"{folder}: holds no outputs of {backend} for any of the pairs; expected folders such as "
                f"{pairs[0][0]}-to-{pairs[0][1]}"
            )
        for source, target in held:
            found.setdefault((source, target), []).append((backend, folder / f"{source}-to-{target}"))
    return found


def _line(pair: PairResult) -> str:
    def text(metric: Metric) -> str:
        beside = [f"floor {metric.floor:.3g}"] if metric.floor is not None else []
        beside += [f"chance {metric.chance:.3g}"] if metric.chance is not None else []
        return f"{metric.name} {metric.shown_value()}" + (f" ({', '.join(beside)})" if beside else "")

    return f"{pair.name}: " + "; ".join(text(metric) for metric in pair.metrics)


def dumped(result: RunResult) -> bytes:
    """The run as JSON with six digits, as it is committed; ``read_run`` reads it back."""
    text = json.dumps(rounded(result.model_dump(mode="json")), indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()
