"""The metrics, what each needs, and the plan of measures that a list of metrics asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anchor_hub.errors import DataError, UsageError, did_you_mean
from anchor_hub.evaluation.measures import (
    EfficientNetPairs,
    LabelMeasure,
    LandmarkMeasure,
    Measure,
    PerceptualMeasure,
    PictureMeasure,
    check_perceptual_side,
)
from anchor_hub.metrics.extractors import INCEPTION, load_extractor
from anchor_hub.metrics.inception import RESIZES
from anchor_hub.metrics.perceptual import TRUNK_FILES, Perceptual
from anchor_hub.modality import Modality

#: Name of a metric, as `--metrics` takes it -> what the metric measures.
METRICS = {
    "ssim": "SSIM to the truth",
    "psnr": "PSNR to the truth, in dB",
    "l1": "mean absolute error to the truth",
    "l2": "mean squared error to the truth",
    "lpips": "LPIPS to the truth",
    "lpips_s": "LPIPS to the input (UI2I)",
    "lpips_d": "LPIPS between random outputs (UI2I)",
    "lpips_diversity": "LPIPS among the outputs of one input, 10 random styles unless told otherwise (GP-UNIT)",
    "efficientnet": "distance of EfficientNet-Lite0's maps to the truth, in LPIPS' place",
    "efficientnet_s": "the same to the input",
    "efficientnet_d": "the same between random outputs",
    "efficientnet_diversity": "the same among the outputs of one input",
    "pixel_accuracy": "label maps: share of pixels of the right class",
    "mean_iou": "label maps: mean intersection over union",
    "landmark_error": "points: mean distance in pixels, and in distances of the eyes",
    "fid": "Fréchet distance of Inception features",
    "kid": "kernel distance of Inception features, ×10³ and ×100",
    "mfid": "FID within each class, averaged (DeepI2I)",
    "mkid": "KID within each class, averaged (DeepI2I)",
    "fd": "Fréchet distance of the features of --extractor",
    "kd": "kernel distance of the features of --extractor",
    "mfd": "fd within each class, averaged",
    "mkd": "kd within each class, averaged",
    "rc": "accuracy on outputs of a classifier trained on real pictures (DeepI2I)",
    "fc": "accuracy on real pictures of a classifier trained on outputs (DeepI2I)",
    "rc_linear": "as rc, with logistic regression on the features of --extractor",
    "fc_linear": "as fc, with logistic regression on the features of --extractor",
}
PAIRED = ("ssim", "psnr", "l1", "l2", "lpips", "efficientnet", "pixel_accuracy", "mean_iou", "landmark_error")
INCEPTION_SETS = ("fid", "kid", "mfid", "mkid")
OTHER_SETS = ("fd", "kd", "mfd", "mkd")
CLASSIFIERS = ("rc", "fc")
LINEAR_CLASSIFIERS = ("rc_linear", "fc_linear")
BY_CLASS = ("mfid", "mkid", "mfd", "mkd", *CLASSIFIERS, *LINEAR_CLASSIFIERS)
SETS = (*INCEPTION_SETS, *OTHER_SETS, *CLASSIFIERS, *LINEAR_CLASSIFIERS)
LPIPS = ("lpips", "lpips_s", "lpips_d", "lpips_diversity")
EFFICIENTNET = ("efficientnet", "efficientnet_s", "efficientnet_d", "efficientnet_diversity")
#: The metrics that compare the outputs of one input.
DIVERSITY = ("lpips_diversity", "efficientnet_diversity")
#: Outputs per input, as in GP-UNIT, where one of these is asked for and `--styles` is not given.
DIVERSITY_OUTPUTS = 10


@dataclass(frozen=True)
class Networks:
    """The networks that metrics use, and where their weights are.

    :param extractors: names or paths, see ``load_extractor``; empty: FID's Inception from the libraries' caches.
    :param resize: how pictures are resized for FID's Inception.
    :param lpips_net, lpips_weights: see ``Perceptual``.
    """

    extractors: tuple[str | Path, ...] = ()
    resize: str = "tensorflow"
    lpips_net: str = "alex"
    lpips_weights: str | Path | None = None


@dataclass
class Plan:
    """The measures of a run: ``measures`` look at single samples, ``between`` at pairs of outputs, ``extractors`` and
    ``classifiers`` at whole sets."""

    metrics: tuple[str, ...]
    measures: list[Measure] = field(default_factory=list)
    between: list[PerceptualMeasure] = field(default_factory=list)
    #: Each extractor with the metrics that use it.
    extractors: list[tuple[Any, tuple[str, ...]]] = field(default_factory=list)
    #: ``rc``, ``fc`` or both, where they are asked for.
    classifiers: tuple[str, ...] = ()


def parse_metrics(text: str | Sequence[str] | None, target: Modality, paired: bool) -> tuple[str, ...]:
    """The names of metrics in ``text`` (``"fid,kid"`` or a list), each once, in the order given.

    :param text: None: the metrics that fit the target and need no weights and no extra.
    :raises UsageError: an unknown name, a metric that does not fit the target's files, or None for unpaired sets.
    :raises DataError: a metric needs pairs, and the sets are unpaired.
    """
    if text is None:
        if not paired:
            raise UsageError("the files are not pairs, so only whole sets can be compared; give e.g. --metrics fid")
        if target.traits.classes:
            return ("pixel_accuracy", "mean_iou")
        return ("landmark_error",) if target.traits.points else ("psnr", "l1")
    words = text.split(",") if isinstance(text, str) else list(text)
    names = tuple(dict.fromkeys(word.strip().lower().replace("-", "_") for word in words if word.strip()))
    if not names:
        raise UsageError(f"--metrics names none; known: {', '.join(METRICS)}")
    for name in names:
        if name not in METRICS:
            several = len(re.split(r"[\s;+|/]+", name)) > 1
            hint = " Put commas between names" if several else did_you_mean(name, METRICS)
            raise UsageError(f"--metrics: no metric is named {name!r}.{hint}")
        if name in ("pixel_accuracy", "mean_iou") and not target.traits.classes:
            raise UsageError(f"--metrics {name}: measures label maps, but the target is {target.name}")
        if name == "landmark_error" and not target.traits.points:
            raise UsageError(f"--metrics {name}: measures points, but the target is {target.name}")
        if name in PAIRED and not paired:
            raise DataError(f"--metrics {name}: needs pairs, but no target file has the name of an input")
    return names


def check_used(metrics: Sequence[str], networks: Networks, real: object = None) -> None:
    """Check that some metric uses every option about networks and real files.

    :raises UsageError: no metric uses an option; the message names the metrics that would use it.
    """
    for option, given, users in (
        ("--real", real is not None, SETS),
        ("--lpips-weights", networks.lpips_weights is not None, LPIPS),
        ("--lpips-net", networks.lpips_net != Networks.lpips_net, LPIPS),
        ("--fid-resize", networks.resize != Networks.resize, (*INCEPTION_SETS, *LINEAR_CLASSIFIERS)),
    ):
        if given and not set(users) & set(metrics):
            raise UsageError(
                f"{option} has no effect on --metrics {','.join(metrics)}; only {', '.join(users)} use it. "
                f"Add one of these or drop {option}."
            )


def make_plan(
    metrics: tuple[str, ...], target: Modality, side: int, networks: Networks, device: Any = "cpu"
) -> Plan:
    """The plan of measures for ``metrics``; loads every network, so that a missing one is reported before any work.

    :param side: side of the pictures, in pixels.
    :raises DataError: a weight file is missing; the message names the file and where it was looked for.
    :raises UsageError: a metric does not fit the extractors (``fid`` and ``kid`` are Inception's alone), or no network
        or resize has the given name.
    """
    for option, given, known in (
        ("--lpips-net", networks.lpips_net, TRUNK_FILES),
        ("--fid-resize", networks.resize, RESIZES),
    ):
        if given not in known:
            raise UsageError(f"{option} {given}: there is {', '.join(known)}.{did_you_mean(given, known)}")
    check_used(metrics, networks)
    plan = Plan(metrics)
    for name in metrics:
        if name in PictureMeasure.names():
            plan.measures.append(PictureMeasure(name))
    if {"pixel_accuracy", "mean_iou"} & set(metrics):
        plan.measures.append(LabelMeasure(len(target.traits.classes), ignored=target.traits.ignored))
    if "landmark_error" in metrics:
        plan.measures.append(LandmarkMeasure(target.traits.points))
    perceptual: list[PerceptualMeasure] = []
    if any(name in LPIPS for name in metrics):
        check_perceptual_side(side)
        model = Perceptual(networks.lpips_net, weights=networks.lpips_weights, device=device)
        perceptual += [PerceptualMeasure(name, model) for name in metrics if name in LPIPS]
    if any(name in EFFICIENTNET for name in metrics):
        pairs = EfficientNetPairs(device)
        perceptual += [PerceptualMeasure(name, pairs) for name in metrics if name in EFFICIENTNET]
    plan.measures += [measure for measure in perceptual if measure.compared != "d"]
    plan.between += [measure for measure in perceptual if measure.compared == "d"]
    plan.extractors = _extractors(metrics, networks, device)
    plan.classifiers = tuple(name for name in metrics if name in CLASSIFIERS)
    return plan


def _extractors(metrics: tuple[str, ...], networks: Networks, device: Any) -> list[tuple[Any, tuple[str, ...]]]:
    wanted = {group: tuple(name for name in metrics if name in group) for group in (INCEPTION_SETS, OTHER_SETS)}
    classifiers = tuple(name for name in metrics if name in LINEAR_CLASSIFIERS)
    given = [load_extractor(item, device, resize=networks.resize) for item in networks.extractors]
    others = [extractor for extractor in given if extractor.name != INCEPTION]
    if given and not any(wanted.values()) and not classifiers:
        raise UsageError(
            "--extractor has no effect without distances between sets or linear classifiers: add fid, kid, fd, kd, "
            "rc_linear or fc_linear to --metrics"
        )
    if wanted[OTHER_SETS] and not others:
        raise UsageError(
            f"--metrics {wanted[OTHER_SETS][0]}: needs a network; give --extractor PATH (or NAME). Inception's "
            "distances are called fid and kid"
        )
    if others and not wanted[OTHER_SETS] and not classifiers:
        raise UsageError(
            f"--extractor {others[0].name}: FID and KID are distances of Inception; give --metrics fd,kd instead"
        )
    used: list[tuple[Any, tuple[str, ...]]] = []
    inception = [extractor for extractor in given if extractor.name == INCEPTION]
    if wanted[INCEPTION_SETS] and not inception:
        inception = [load_extractor(None, device, resize=networks.resize)]
    for extractor in inception[:1]:
        used.append((extractor, wanted[INCEPTION_SETS]))
    used += [(extractor, wanted[OTHER_SETS]) for extractor in others]
    if classifiers:
        if not used:
            raise UsageError(f"--metrics {classifiers[0]}: needs features; give --extractor PATH (or NAME)")
        used[-1] = (used[-1][0], used[-1][1] + classifiers)
    asked = [(extractor, names) for extractor, names in used if names]
    if len(asked) < max(len(given), len(used)):
        idle = next(extractor for extractor in given if not any(extractor is other for other, _ in asked))
        raise UsageError(
            f"--extractor {idle.name}: no metric uses it (linear classifiers use the last extractor); add "
            f"{'fid or kid' if idle.name == INCEPTION else 'fd or kd'} to --metrics, or drop it"
        )
    return asked
