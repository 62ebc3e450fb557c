"""Evaluates a translation on a folder of samples: translates, measures and writes, in a stream that can be resumed at
any point."""

from __future__ import annotations

import importlib.metadata
import os
import zlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import AnchorError, DataError, UsageError
from anchor_hub.evaluation import passes
from anchor_hub.evaluation.classes import PicturesMeasure, shared_classes, trained_classifiers
from anchor_hub.evaluation.data import Item, PairData, labels
from anchor_hub.evaluation.folder import ReportFolder
from anchor_hub.evaluation.measures import FeatureMeasure, Loaded, Measure, Setting
from anchor_hub.evaluation.passes import run_pass
from anchor_hub.evaluation.plan import (
    BY_CLASS,
    CLASSIFIERS,
    DIVERSITY,
    DIVERSITY_OUTPUTS,
    LINEAR_CLASSIFIERS,
    SETS,
    Networks,
    Plan,
    make_plan,
)
from anchor_hub.evaluation.result import (
    FILE,
    DataRecord,
    HubRecord,
    Metric,
    PairResult,
    RunResult,
    SampleResult,
    read_run,
    sample_line,
)
from anchor_hub.evaluation.rows import BLOCK, Rows
from anchor_hub.evaluation.sets import FeatureSets
from anchor_hub.metrics import trained_classifier
from anchor_hub.modality import Modality
from anchor_hub.system.inputs import InputFile
from anchor_hub.system.pipeline import Pipeline
from anchor_hub.translation.request import Session

#: Number of pairs of outputs that LPIPS_d is measured on; all pairs where there are fewer.
RANDOM_PAIRS = 1000
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """How an evaluation runs. Only ``seed`` (of random pairs and subsets) changes a result."""

    seed: int = 0
    batch: int = 16
    workers: int = 2
    resume: bool = False


def outputs_wanted(metrics: Sequence[str], styles: int) -> int:
    """The number of outputs per input: ``styles``, or GP-UNIT's 10 for a metric of diversity where ``styles`` is 0.

    :raises UsageError: a metric of diversity with a single output.
    """
    asked = [name for name in metrics if name in DIVERSITY]
    if not asked:
        return styles
    if styles == 1:
        raise UsageError(f"--metrics {asked[0]} compares the outputs of one input: give --styles 2 or more")
    return styles or DIVERSITY_OUTPUTS


def evaluate(
    session: Session,
    data: PairData,
    metrics: tuple[str, ...],
    report: str | Path,
    *,
    networks: Networks | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """The result of translating the inputs of ``data`` into ``report/outputs`` and measuring the outputs.

    Writes `metrics.json` and the scores of the samples into ``report``.

    :param metrics: names of ``plan.METRICS``, as ``parse_metrics`` gives them.
    :param progress: called with (steps done, steps in all).
    :raises DataError: files or weights are missing, or files do not fit (before any work).
    :raises UsageError: the report folder belongs to another run.
    """
    return _Evaluation(session, data, metrics, Path(report), networks or Networks(), options or Options()).run(progress)


class _Evaluation:
    def __init__(
        self, session: Session, data: PairData, metrics: tuple[str, ...], report: Path,
        networks: Networks, options: Options,
    ) -> None:  # fmt: skip
        translator = session.translator
        self.session, self.data, self.metrics, self.options = session, data, metrics, options
        self.names, self.identity = (translator.source, translator.target), translator.identity
        self.side = session.size
        self.source, self.target = session.source_modality.at(self.side), session.target_modality.at(self.side)
        self._check_sets()
        self.device = translator.device
        self.plan: Plan = make_plan(metrics, self.target, self.side, networks, self.device)
        self.settings = _settings(session)
        self.record = DataRecord(path=str(data.path), count=len(data.items), sha256=data.sha256())
        hub = self.identity.hub
        described = {
            "data": self.record.sha256, "hub": hub[1] if hub else None, "settings": self.settings,
            "names": list(self.names),
        }  # fmt: skip
        self.folder = ReportFolder(report, described)
        self.setting = Setting(
            side=self.side, pairs=len(data.items), styles=session.outputs, seed=options.seed,
            class_names=self.target.traits.classes,
        )  # fmt: skip

    def run(self, progress: Progress | None) -> RunResult:
        self.folder.begin(resume=self.options.resume)
        try:
            return self._run(progress)
        except AnchorError as error:
            self.folder.give_up(error)
            raise

    def _run(self, progress: Progress | None) -> RunResult:
        result_settings = {"metrics": list(self.metrics), "seed": self.options.seed, "key": self.folder.key}
        if (self.folder.path / FILE).is_file():
            before = read_run(self.folder.path)
            if before.settings == result_settings and _same_networks(before, self.plan):
                self.folder.end()
                return before
        between = self._random_pairs() if self.plan.between else []
        real = self.data.real if self.plan.extractors or self.plan.classifiers else ()
        total = 2 * len(self.data.items) + len(between) + len(real)
        total += trained_classifier.STEPS * len(self.plan.classifiers)
        done = 0

        def step(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, total)

        self._translate(step)
        sample_rows = self._measure_samples(step)
        found = [metric for measure, rows in sample_rows for metric in measure.metrics(rows, self.setting)]
        found += self._measure_between(between, step)
        found += self._measure_sets(real, step)
        result = RunResult(
            kind="pairs", title=" -> ".join(self.names),
            hub=None if self.identity.hub is None else HubRecord(
                name=self.identity.hub[0], fingerprint=self.identity.hub[1]
            ),
            data=self.record, settings=result_settings, versions=_versions(self.metrics), machine=self.device.type,
            pairs=[
                PairResult(
                    source=self.names[0], target=self.names[1], backend=self.identity.backend,
                    metrics=_asked_for(found, self.metrics), settings=self.settings,
                    samples=self._write_samples(sample_rows),
                )
            ],
        )  # fmt: skip
        result.write(self.folder.path)
        self.folder.end()
        return result

    # -- outputs -------------------------------------------------------------------------------------

    def _outputs(self, item: Item) -> list[Path]:
        """The paths of an item's outputs, one for each style."""
        suffix, count = self.target.output_suffix, self.session.outputs
        if count == 1:
            return [self.folder.outputs / f"{item.name}{suffix}"]
        return [self.folder.outputs / f"{item.name}-style{number}{suffix}" for number in range(1, count + 1)]

    def _translate(self, step: Callable[[int], None]) -> None:
        # A resumed run computes the same samples together as before: it would round differently otherwise.
        size = passes.COMPUTE
        missing = array("L")
        for start in range(0, len(self.data.items), size):
            part = self.data.items[start : start + size]
            if not all(path.is_file() for item in part for path in self._outputs(item)):
                missing.extend(item.index for item in part)
        step(len(self.data.items) - len(missing))

        def compute(items: Sequence[Item], samples: Sequence[Tensor]) -> list[list[Tensor]]:
            found: list[list[Tensor]] = []
            for start in range(0, len(items), size):
                indices = [item.index for item in items[start : start + size]]
                found += self.session.compute(samples[start : start + size], indices)
            return found

        def write(item: Item, outputs: list[Tensor]) -> None:
            paths = self._outputs(item)
            paths[0].parent.mkdir(parents=True, exist_ok=True)
            for path, value in zip(paths, outputs, strict=True):
                self.target.write(value, path)
            step(1)

        pipeline = Pipeline[Item, Tensor, list[Tensor]](
            lambda item: self.session.read(item.input),
            compute, write, batch=passes.rounded(self.options.batch), readers=self.options.workers,
        )  # fmt: skip
        pipeline.run(self.data.items[number] for number in missing)

    # -- passes --------------------------------------------------------------------------------------

    def _rows(self, measure: Measure, role: str = "") -> Rows:
        """The rows of a measure; the file's name names its network, so that a resumed run never mixes two networks."""
        network: Any = getattr(measure, "extractor", None) or getattr(measure, "model", None)
        weights = f"-{network.sha256[:16]}" if network is not None else ""
        resize = f"-{zlib.crc32(network.resize.encode()):x}" if hasattr(network, "resize") else ""
        name = f"{measure.key}{role}{weights}{resize}.rows"
        return Rows(self.folder.work / name, measure.width, measure.dtype)

    def _pass(
        self, items: Sequence[Any], read: Callable[[Any], dict[str, Tensor]],
        measures: Sequence[tuple[Rows, Measure]], step: Callable[[int], None],
    ) -> None:  # fmt: skip
        run_pass(
            items, read, _collate, [(rows, measure.rows) for rows, measure in measures],
            batch=self.options.batch, workers=self.options.workers, progress=step,
        )  # fmt: skip

    def _measure_samples(self, step: Callable[[int], None]) -> list[tuple[Measure, Rows]]:
        measures: list[Measure] = list(self.plan.measures)
        measures += self._set_measures("fake")
        needs = frozenset(field for measure in measures for field in measure.needs)
        pairs = [(self._rows(measure), measure) for measure in measures]
        self._pass(self.data.items, lambda item: self._load(item, needs), pairs, step)
        return [(measure, rows) for rows, measure in pairs]

    def _load(self, item: Item, needs: frozenset[str]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        paths = self._outputs(item)
        if needs & {"output", "output_pictures"}:
            found["output"] = self.target.read(paths[0], self.side)
            found["output_pictures"] = self.target.preview(found["output"], self.side)
        if needs & {"truth", "truth_pictures"}:
            assert item.truth is not None
            found["truth"] = self.target.read(item.truth, self.side)
            found["truth_pictures"] = self.target.preview(found["truth"], self.side)
        if "input_pictures" in needs:
            found["input_pictures"] = self.source.preview(self.source.read(item.input, self.side), self.side)
        if "styles" in needs:
            found["styles"] = torch.stack([self._picture(self.target, path) for path in paths])
        return found

    def _picture(self, modality: Modality, path: Path) -> Tensor:
        return modality.preview(modality.read(path, self.side), self.side)

    def _random_pairs(self) -> list[tuple[int, int]]:
        """Pairs of numbers of two different outputs, drawn from the seed; no pair twice."""
        count = len(self.data.items)
        if count < 2:
            name = self.plan.between[0].name
            raise UsageError(f"--metrics {name} compares two outputs, but there is only one input; give more inputs")
        most = count * (count - 1) // 2
        if most <= RANDOM_PAIRS:
            return [(i, j) for i in range(count) for j in range(i + 1, count)]
        generator, found = torch.Generator().manual_seed(self.options.seed), dict[tuple[int, int], None]()
        while len(found) < RANDOM_PAIRS:
            first, second = sorted(torch.randint(count, (2,), generator=generator).tolist())
            if first != second:
                found[first, second] = None
        return list(found)

    def _measure_between(self, pairs: list[tuple[int, int]], step: Callable[[int], None]) -> list[Metric]:
        if not self.plan.between:
            return []

        def read(pair: tuple[int, int]) -> dict[str, Tensor]:
            first, second = (self._picture(self.target, self._outputs(self.data.items[index])[0]) for index in pair)
            return {"output_pictures": first, "truth_pictures": second}

        held = [(self._rows(measure, f"-{self.options.seed}"), measure) for measure in self.plan.between]
        self._pass(pairs, read, held, step)
        counts = {"pairs": len(pairs), "outputs": len(self.data.items)}
        found = [metric for rows, measure in held for metric in measure.metrics(rows, self.setting)]
        return [metric.model_copy(update={"counts": counts}) for metric in found]

    def _set_measures(self, role: str) -> list[Measure]:
        """The measures that keep what the metrics of whole sets need; ``role`` is real or fake."""
        found: list[Measure] = [FeatureMeasure(extractor, role) for extractor, _ in self.plan.extractors]
        return found + ([PicturesMeasure(role)] if self.plan.classifiers else [])

    def _measure_sets(self, real: Sequence[InputFile], step: Callable[[int], None]) -> list[Metric]:
        kept = [(self._rows(measure), measure) for measure in self._set_measures("real")]
        self._pass(real, lambda file: {"output_pictures": self._picture(self.target, file.path)}, kept, step)
        fakes = [self._rows(measure) for measure in self._set_measures("fake")]
        real_labels, fake_labels = self._labels()
        found: list[Metric] = []
        for (rows, _), fake, (extractor, names) in zip(kept, fakes, self.plan.extractors, strict=False):
            sets = FeatureSets(extractor, rows, fake, real_labels, fake_labels, self.options.seed, self.side)
            ways = {"d": sets.frechet, "k": sets.kernel, "md": sets.mean_frechet, "mk": sets.mean_kernel}
            for name in names:
                if name not in LINEAR_CLASSIFIERS:
                    kind = "k" if "k" in name else "d"
                    found += ways[f"m{kind}" if name.startswith("m") else kind]()
            if any(name in LINEAR_CLASSIFIERS for name in names):
                found += sets.linear_classifiers(names)
        if self.plan.classifiers:
            found += trained_classifiers(
                self.plan.classifiers, (kept[-1][0], real_labels), (fakes[-1], fake_labels),
                seed=self.options.seed, side=self.side, device=self.device, progress=step,
            )  # fmt: skip
        return found

    def _labels(self) -> tuple[list[str], list[str]]:
        """The classes of the real files and of the inputs."""
        return labels(file.name.as_posix() for file in self.data.real), labels(item.name for item in self.data.items)

    def _check_sets(self) -> None:
        """Check, before any work, that the sets are large enough and have the classes that a metric needs.

        :raises DataError: they are too small, or lack classes.
        """
        if not set(SETS) & set(self.metrics):
            return
        counts = len(self.data.real), len(self.data.items)
        if min(counts) < 2:
            name = next(name for name in self.metrics if name in SETS)
            raise DataError(
                f"--metrics {name}: needs at least two pictures in each set; there are {counts[0]} real files and "
                f"{counts[1]} inputs"
            )
        if set(BY_CLASS) & set(self.metrics):
            classes = shared_classes(*self._labels())
            asked = [name for name in self.metrics if name in (*CLASSIFIERS, *LINEAR_CLASSIFIERS)]
            if asked and len(classes) < 2:
                raise DataError(f"--metrics {asked[0]}: needs two classes or more, but there is only {classes[0]!r}")

    # -- results -------------------------------------------------------------------------------------

    def _write_samples(self, measured: Sequence[tuple[Measure, Rows]]) -> str:
        """Write the lines of the samples; returns the file's name."""
        name = f"{self.names[0]}-{self.names[1]}.jsonl"
        scored = [(measure, rows) for measure, rows in measured if measure.scored and rows.width < 10_000]
        temporary = self.folder.work / "samples.jsonl"
        with open(temporary, "w", encoding="utf-8", newline="\n") as stream:
            for start in range(0, len(self.data.items), BLOCK):
                blocks = [(measure, torch.from_numpy(rows[start : start + BLOCK])) for measure, rows in scored]
                for item in self.data.items[start : start + BLOCK]:
                    scores: dict[str, float | None] = {}
                    for measure, block in blocks:
                        scores.update(measure.scores(block[item.index - start]))
                    outputs = [path.relative_to(self.folder.path).as_posix() for path in self._outputs(item)]
                    sample = SampleResult(
                        index=item.index, name=item.name, input=os.path.abspath(item.input), outputs=outputs,
                        truth=None if item.truth is None else os.path.abspath(item.truth), scores=scores,
                    )  # fmt: skip
                    stream.write(sample_line(sample))
        os.replace(temporary, self.folder.path / name)
        return name


def _collate(read: Sequence[dict[str, Tensor]]) -> Loaded:
    return Loaded(**{name: torch.stack([table[name] for table in read]) for name in read[0]})


def _asked_for(found: Iterable[Metric], metrics: Sequence[str]) -> list[Metric]:
    """The metrics that were asked for: one measure gives both pixel accuracy and mean IoU."""
    siblings = {"pixel_accuracy", "mean_iou"} - set(metrics)
    return [metric for metric in found if metric.name not in siblings]


def _same_networks(before: RunResult, plan: Plan) -> bool:
    """Whether a finished run used the networks of this plan."""
    used = {metric.extractor.sha256 for pair in before.pairs for metric in pair.metrics if metric.extractor}
    resizes = {metric.resize for pair in before.pairs for metric in pair.metrics}
    wanted = {extractor.sha256 for extractor, _ in plan.extractors}
    wanted |= {m.model.sha256 for m in (*plan.measures, *plan.between) if hasattr(m, "model")}
    filters = {getattr(extractor, "resize", "") or extractor.preprocessing for extractor, _ in plan.extractors}
    return used == wanted and filters <= resizes


def _settings(session: Session) -> dict[str, Any]:
    """The settings that decide the outputs, beside the data: styles, the backend's options, the weights."""
    ask, translator = session.request, session.translator
    settings: dict[str, Any] = {"outputs": session.outputs, **translator.settings()}
    if ask.styles:
        settings |= {"styles": ask.styles, "vary": ask.vary, "style_seed": ask.seed, "truncation": ask.truncation}
    if ask.references:
        settings |= {"references": list(ask.references)}
    return settings | {f"{role}_bundle": digest for role, digest in translator.identity.weights.items()}


def _versions(metrics: Sequence[str]) -> dict[str, str]:
    """Versions of the libraries that took part."""
    from anchor_hub import __version__

    names = {"torch", "numpy", "pillow"}
    if any(name.startswith("lpips") for name in metrics):
        names.add("lpips")
    if {"ssim", "kid", "mkid", "kd", "mkd"} & set(metrics):
        names.add("torchmetrics")
    if {"fid", "mfid", "kid", "mkid"} & set(metrics):
        names.add("torch-fidelity")
    return {"anchor-hub": __version__, **{name: importlib.metadata.version(name) for name in sorted(names)}}
