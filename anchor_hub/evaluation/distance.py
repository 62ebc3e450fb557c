"""Model distance (UI2I, equation 1): how far apart the images are that two models make of the same latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from anchor_hub.domains.base import Domain
from anchor_hub.errors import MissingPartError, UsageError, did_you_mean
from anchor_hub.evaluation.measures import (
    EfficientNetPairs,
    Loaded,
    Measure,
    PerceptualMeasure,
    PictureMeasure,
    Setting,
    check_perceptual_side,
)
from anchor_hub.evaluation.passes import in_parts, rounded
from anchor_hub.evaluation.plan import Networks, check_used
from anchor_hub.evaluation.result import HubRecord, Metric, PairResult, RunResult
from anchor_hub.evaluation.rows import Rows
from anchor_hub.hubs.base import Hub
from anchor_hub.metrics.perceptual import Perceptual
from anchor_hub.modality.pictures import from_unit

#: UI2I samples 2,000 latents.
LATENTS = 2000
#: LPIPS, or in its place a network whose weights can be installed (extra ``[perceptual]``); and plain measures.
MEASURES = ("lpips", "efficientnet", "ssim", "psnr", "l1", "l2")
_LABEL = "model distance"


def pictures_of(model: Hub | Domain, latents: Tensor) -> Tensor:
    """Pictures, uint8 ``[B, 3, H, W]``, of complete latents ``[B, L, D]``: a hub's images, or previews of a domain's
    samples."""
    if isinstance(model, Hub):
        return from_unit(model.image(latents, noise="const"))
    side = model.hub.size
    modality = model.modality.at(side)
    samples = modality.from_network(model.decode(latents)).cpu()
    return torch.stack([modality.preview(sample, side) for sample in samples])


def model_distance(
    first: Hub | Domain,
    second: Hub | Domain,
    *,
    metrics: Sequence[str] = ("lpips",),
    count: int = LATENTS,
    seed: int = 0,
    truncation: float = 1.0,
    batch: int = 16,
    networks: Networks | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RunResult:
    """The distance of two models, ``d(G_i, G_j) = E_z[dist(G_i(z), G_j(z))]``, over ``count`` latents that they share.

    :param first, second: hubs (measured by their own images) or domains that decode, both of the same hub.
    :param metrics: names from ``MEASURES``; the paper uses ``lpips``.
    :param truncation: factor on the latents; 1, as in the paper, leaves them as they are.
    :raises UsageError: an unknown metric.
    :raises MissingPartError: a domain does not decode.
    :raises HubMismatchError: the models are of different hubs and so share no latents.
    :raises DataError: LPIPS' weights are missing.
    """
    hub = second if isinstance(second, Hub) else second.hub
    other = first if isinstance(first, Hub) else first.hub
    hub.require_same(other.fingerprint, what=f"{_name(first)!r}", other_name=repr(other.name))
    for model in (first, second):
        if isinstance(model, Domain) and not model.can_decode:
            raise MissingPartError(f"domain {model.name!r} cannot be measured: it has no decoder")
    if count < 1:
        raise UsageError(f"--count {count}: must be at least 1")
    networks = networks or Networks()
    measures = [_measure(name, networks, hub) for name in dict.fromkeys(metrics)]
    check_used(metrics, networks)
    found: list[Metric] = []
    with TemporaryDirectory() as folder, torch.no_grad():
        rows = [Rows(Path(folder) / measure.key, measure.width) for measure in measures]
        batch = rounded(batch)
        for start in range(0, count, batch):
            latents = hub.expand(
                hub.sample(min(batch, count - start), seed=seed, truncation=truncation, start=start)
            )
            loaded = Loaded(
                output_pictures=in_parts(partial(pictures_of, second), latents),
                truth_pictures=in_parts(partial(pictures_of, first), latents),
            )
            for measure, held in zip(measures, rows, strict=True):
                held.append(measure.rows(loaded))
            if progress is not None:
                progress(min(start + batch, count), count)
        setting = Setting(side=hub.size, pairs=count, seed=seed)
        for measure, held in zip(measures, rows, strict=True):
            found += [_as_distance(metric, count, seed, truncation) for metric in measure.metrics(held, setting)]
    pair = PairResult(source=_name(first), target=_name(second), metrics=found, settings={"truncation": truncation})
    return RunResult(
        kind="distance", title=f"{_LABEL}: {pair.name}", pairs=[pair],
        hub=HubRecord(name=hub.name, fingerprint=hub.fingerprint),
        settings={"seed": seed, "count": count}, machine=hub.device.type,
    )  # fmt: skip


def _measure(name: str, networks: Networks, hub: Hub) -> Measure:
    if name not in MEASURES:
        raise UsageError(f"--metrics: the model distance knows no {name!r}.{did_you_mean(name, MEASURES)}")
    if name == "efficientnet":
        return PerceptualMeasure("efficientnet", EfficientNetPairs(hub.device))
    if name != "lpips":
        return PictureMeasure(name)
    check_perceptual_side(hub.size)
    return PerceptualMeasure("lpips", Perceptual(networks.lpips_net, weights=networks.lpips_weights, device=hub.device))


def _as_distance(metric: Metric, count: int, seed: int, truncation: float) -> Metric:
    return metric.model_copy(
        update={
            "name": f"model_distance_{metric.name}", "label": f"{_LABEL} ({metric.label})",
            "counts": {"latents": count}, "seed": seed,
            "settings": {**metric.settings, "truncation": truncation},
        }
    )  # fmt: skip


def _name(model: Hub | Domain) -> str:
    return f"hub {model.name}" if isinstance(model, Hub) else model.name
